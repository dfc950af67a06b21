"""`ganzoo push`, `pull`, `search` and `card`: models on the Hugging Face Hub."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError, printable
from ..counts import COUNT


@click.command(
    epilog="Examples:\n\n  ganzoo push runs/dcgan-seed0 alice/dcgan-fashion --tag v1\n\n"
    "  ganzoo push --page alice/dcgan-fashion\n\n  ganzoo push --space alice/dcgan-fashion"
)
@click.argument("model")
@click.argument("repository", metavar="USER/NAME", required=False)
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="Branch to commit to, made if need be. [default: main]")
@click.option("--tag", metavar="NAME", help="Tag to put on the commit.")
@click.option("--message", metavar="TEXT", help="Message of the commit.")
@click.option("--without-discriminator", is_flag=True, help="Leave out the discriminator, which training on needs.")
@click.option("--with-run", is_flag=True, help="Add the run's recipe, metrics and previews.")
@click.option("--page", is_flag=True, help="Make a static Space: a page that samples MODEL in visitors' browsers.")
@click.option("--space", is_flag=True, help="Make a Space in which Gradio samples MODEL on a computer of the Hub.")
def push(model: str, repository: str | None, page: bool, space: bool, **options: Any) -> None:
    """Publish MODEL as USER/NAME on the Hugging Face Hub: one commit of what changed. Prints the commit and its URL.

    With --page and --space USER/NAME is that of the Space, by default the one of a MODEL on the Hub.
    Log in once with `hf auth login`, or set HF_TOKEN. HF_ENDPOINT and HF_HOME are respected.
    """
    from ...hub import push as push_
    from ...hub import whole_folder
    from ...models import PushOptions

    if page and space:
        raise UsageError("--page and --space are two kinds of Space: choose one")
    if page:
        from ...export.page import find_runtime, push_page

        published = push_page(model, repository, PushOptions(**options), find_runtime())
    elif space:
        from ...hub import push_space

        published = push_space(model, repository, PushOptions(**options))
    elif repository is None:
        raise UsageError("name the repository: ganzoo push MODEL USER/NAME")
    else:
        with whole_folder(model) as folder:
            published = push_(folder, repository, PushOptions(**options))
    if not published.changed:
        click.echo("nothing had changed: no commit was made", err=True)
    click.echo(f"{published.repo_id}@{published.oid}\n{published.url}")


@click.command(
    epilog="Examples:\n\n  ganzoo pull alice/dcgan-fashion\n\n  ganzoo pull alice/dcgan-fashion@v1 --out old"
)
@click.argument("reference", metavar="USER/NAME[@REVISION]")
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Folder to make. [default: NAME]")
def pull(reference: str, out: str | None) -> None:
    """Bring a model from the Hugging Face Hub into a folder, verified and loadable. Prints the folder."""
    from ...hub.pull import pull as pull_
    from ...models import parse_reference

    click.echo(str(pull_(parse_reference(reference), Path(out) if out else None)))


@click.command(epilog="Examples:\n\n  ganzoo search\n\n  ganzoo search mnist --json")
@click.argument("text", required=False)
@click.option("--limit", metavar="COUNT", type=COUNT, default=50, help="Models to list at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(text: str | None, limit: int, as_json: bool) -> None:
    """List models on the Hugging Face Hub that were made with ganzoo, those whose name holds TEXT."""
    from ...hub import search as search_
    from ..tables import table

    found = search_(text, limit)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    rows = [(one.repo_id, ", ".join(one.tags), str(one.downloads), str(one.likes), one.updated or "") for one in found]
    table(("model", "tags", "downloads", "likes", "updated"), rows)


@click.command(
    epilog="Examples:\n\n  ganzoo card runs/dcgan-seed0\n\n"
    "  ganzoo card model_cards/dcgan --license apache-2.0 --data-license mit"
)
@click.argument("model")
@click.option("--license", "weights", metavar="ID", help="Licence of the weights, as the Hub names it: apache-2.0.")
@click.option("--data-license", "data", metavar="ID", help="Licence of the training data: mit, cc-by-4.0.")
@click.option("--credit", metavar="TEXT", help="Whom the data's licence asks to name.")
def card(model: str, **licence: str | None) -> None:
    """Write the card of MODEL, a run or model folder, and print its path. What you edited in it stays as it is."""
    from dataclasses import replace

    from ...hub import local_folder
    from ...models import CARD, LicenceConfig, read_config, unknown_licence, write_card, write_config

    folder = local_folder(model)
    if folder is None:
        raise UsageError(f"there is no model folder {model}: a card is written into a folder")
    config = read_config(folder)
    stated = {key: text for key, text in licence.items() if text}
    unprintable = [text for text in stated.values() if not text.isprintable() or len(text) > 1000]
    if unprintable:
        raise UsageError(f"'{printable(unprintable[0])}' is no licence or credit: write one line of text")
    if "weights" in stated and (unknown := unknown_licence(stated["weights"])):
        click.echo(unknown, err=True)
    if stated:
        write_config(folder, replace(config, licence=LicenceConfig(**{**asdict(config.licence), **stated})))
    write_card(folder, model)
    click.echo(str(folder / CARD))


COMMANDS = {"push": push, "pull": pull, "search": search, "card": card}
