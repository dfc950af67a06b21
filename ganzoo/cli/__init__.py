"""The command line. Only here is click imported; torch comes in when a command needs it."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from typing import Any, NoReturn, TextIO

import click

from ..contract import COMMANDS
from ..errors import GanzooError, PluginError, did_you_mean, first_line, printable
from ..version import DISTRIBUTION
from .launcher import explain

_MODULES = {
    "export": "formats",
    "page": "formats",
    "play": "formats",
    "convert": "formats",
    "check": "train",
    "list": "catalogue",
    "show": "catalogue",
    "models": "catalogue",
    "features": "data",
    "eval": "evaluate",
    "project": "latents",
    "directions": "latents",
    "doctor": "report",
    "runs": "report",
    "push": "hub",
    "pull": "hub",
    "search": "hub",
    "card": "hub",
}
"""Where a command is, if not in a module of its own name."""


class _Commands(click.Group):
    """Built-in commands, then those of plugins; each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from ..registry.registry import registry

        # a plugin's command cannot take the place of one of these: `ganzoo plugins` says so
        return [*COMMANDS, *(name for name in registry().names("command") if name not in COMMANDS)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the rows of `--help`; a plugin's command is described by its summary, not imported."""
        from ..registry.registry import registry

        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))
        summaries = {one.component.name: one.component.summary for one in registry().all("command")}
        rows = []
        for name in names:
            command = self.get_command(ctx, name) if name in COMMANDS else None
            rows.append((name, command.get_short_help_str(limit) if command else summaries[name]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module = importlib.import_module(f".commands.{_MODULES.get(cmd_name, cmd_name)}", __name__)
            command: click.Command = module.COMMANDS[cmd_name]
            return command
        from ..registry.registry import registry

        if cmd_name in registry().names("command"):
            return _checked(cmd_name, registry().load("command", cmd_name))
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"there is no command '{args[0]}'{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _checked(name: str, command: object) -> click.Command:
    """Raise `PluginError` unless a plugin's command is one."""
    if not isinstance(command, click.Command):
        raise PluginError(f"command '{name}' is {command!r}: its target must be a click command")
    return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100},
    epilog="Examples: `ganzoo train dcgan`, `ganzoo sample runs/dcgan-seed0 -n 16 --out clothes.png`",
)
@click.version_option(package_name=DISTRIBUTION, message="ganzoo %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train, compare and share generative adversarial networks: any generator, discriminator, loss and data."""
    ctx.obj = {"debug": debug}
    if not debug:  # the Hub's client would report each retry; errors are told in one line
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    logging.basicConfig(handlers=[_Lines()], level=logging.INFO, format="%(message)s")
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("ganzoo").setLevel(logging.INFO)


class _Lines(logging.StreamHandler[TextIO]):
    """Log lines to what stderr is when they come: while a progress bar is shown, to the lines above it."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """It is always stderr."""


def _safe(text: str) -> str:
    """A message without control characters, whoever wrote the names in it; only line ends stay."""
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


def _misused(error: click.ClickException) -> str:
    """What click says of a command line, in one line, with the page that tells more."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    more = f" (see {context.command_path} --help)" if context else ""
    return _safe(f"Error: {' '.join(error.format_message().split()).removesuffix('.')}{more}")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; every foreseen error is one line on stderr and an exit code that is not 0."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    # --debug may stand anywhere, also after the command
    arguments = [*(["--debug"] if debug else []), *(one for one in arguments if one != "--debug")]
    try:
        result: Any = cli.main(arguments, prog_name="ganzoo", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(_misused(error), err=True)
        sys.exit(error.exit_code)
    except GanzooError as error:
        if debug:
            _print_traceback()
        lines = [f"Error: {_safe(line)}" for line in getattr(error, "problems", [str(error)])]
        for line in lines if _speaks(str(error)) else ():
            click.echo(line, err=True)
        explain("\n".join(lines))
        sys.exit(error.exit_code)
    except SystemExit as error:
        if isinstance(error.__cause__, GanzooError):  # another process has said it
            explain(f"Error: {_safe(str(error.__cause__))}")
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if debug:
            _print_traceback()
        where = f" {error.filename}" if error.filename else ""
        told = _safe(f"Error:{where} {error.strerror or error}")
        click.echo(told, err=True)
        explain(told)
        sys.exit(1)
    except Exception as error:  # a bug: Python would print the traceback too, but with any token in its message
        if _is_exhaustion(error) and not debug:
            advice = "ask for less at once, or use a device with more of it"
            told = _safe(f"Error: memory ran out: {advice} ({first_line(error)})")
            click.echo(told, err=True)
            explain(told)
        else:
            _print_traceback()
        sys.exit(1)


def _is_exhaustion(error: Exception) -> bool:
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from ..compute import is_exhaustion

    return is_exhaustion(error)


def _print_traceback() -> None:
    """The current exception's traceback, as Python prints it, but without tokens."""
    from ..hub import redact

    click.echo(redact(traceback.format_exc()), err=True)


def _speaks(text: str) -> bool:
    """False in one of several processes of a run where another has said the same."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        return True
    from ..compute import first_to_say

    return first_to_say(text)
