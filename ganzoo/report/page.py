"""`report.html`: everything about a run on one page, with nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ..errors import GanzooError, printable
from ..evaluation import group_by_recipe, leaves
from ..files import write_atomically
from ..health import Finding, History, open_findings, read_history
from ..health.verdict import recorded, verdict
from ..version import __version__
from .charts import Drawing, draw
from .evaluations import measured, table
from .frames import Frame, data_url, evenly, film, frame_of, halves_of, sound_of
from .looks import report_style
from .panels import compared_panels, grouped_panels, marks, panels

_FILM_BYTES = 3_000_000
_SOUND_BYTES = 1_000_000


@dataclass(frozen=True)
class Options:
    """neighbours: look for the training pictures nearest to samples.

    data: where the training pictures are, as in `ganzoo train --data`; by default published data of the recipe's name.
    group: draw compared runs that differ in nothing but the seed as one curve, their mean in a band.
    live: a version, for a page that reloads itself when the server has another.
    """

    neighbours: bool = True
    live: str = ""
    group: bool = False
    data: str | None = None


def write_report(folder: Path, others: Sequence[Path], out: Path, options: Options | None = None) -> Path:
    """Write the report of a run folder, compared with others. Returns `out`. Raises `RunError` for other folders."""
    page = render(folder, others, options)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page.encode())
    return out


def render(folder: Path, others: Sequence[Path] = (), options: Options | None = None) -> str:
    """The page as HTML."""
    options = options or Options()
    history = read_history(folder)
    compared = [read_history(other) for other in others]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganzoo.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    script = _source(environment, "report.js")
    frames, lost = film(history.previews, _FILM_BYTES // (1 + len(compared)))
    findings = recorded(history)
    drawings = _drawings(history, compared, findings, options.group)
    data = {"frames": [asdict(frame) for frame in frames], "charts": [list(one.curves.values()) for one in drawings]}
    return environment.get_template("report.html").render(
        title=_name(history),
        facts=_facts(history),
        images=history.images,
        total=_total(history),
        share=round(100 * min(1.0, history.images / max(_total(history), 1)), 1),
        findings=_listed(findings),
        verdict=verdict(history, findings),
        why=_with_code(verdict(history, findings).why),
        frames=frames,
        lost_frames=lost,
        sound=sound_of(folder / "samples.wav", _SOUND_BYTES),
        drawings=drawings,
        numbered=any(one.severity != "note" for one in findings),
        damaged=history.damaged,
        compared=[_compared(one) for one in [history, *compared]] if compared else [],
        differences=_differences([history, *compared]) if compared else [],
        **_pictures(history, options),
        evaluations=table([history, *compared]),
        measured=measured(history),
        runs=_labels([history, *compared]),
        command=_command(history),
        recipe=history.recipe_text.strip(),
        environment=[(str(key), str(value)) for key, value in history.training.items()],
        data=_embedded(data),
        style=report_style(),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        live=options.live,
        version=_version(),
    )


def _listed(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        asdict(one) | {"ended": over, "remedy_html": _with_code(one.remedy)} for one, over in open_findings(findings)
    ]


def _with_code(text: str) -> Markup:
    """Escaped text whose `quoted` parts are code."""
    if not text:
        return Markup("")
    parts = f"{text[0].upper()}{text[1:].removesuffix('.')}.".split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if i % 2 else escape(part) for i, part in enumerate(parts))


def _drawings(history: History, compared: Sequence[History], findings: Sequence[Finding], group: bool) -> list[Drawing]:
    if not compared:
        told = marks([one for one, _ in open_findings(findings)])
        return [draw(chart, told, history.images, i) for i, chart in enumerate(panels(history))]
    runs = [history, *compared]
    end = max(run.images for run in runs)
    charts = grouped_panels(_groups(runs)) if group else compared_panels(runs, _labels(runs))
    return [draw(chart, [], end, i) for i, chart in enumerate(charts)]


def _labels(runs: Sequence[History]) -> list[str]:
    """Their names, with a number where two are the same."""
    names = [_name(run) for run in runs]
    return [f"{i}. {name}" if names.count(name) > 1 else name for i, name in enumerate(names, 1)]


def _groups(runs: Sequence[History]) -> dict[str, list[History]]:
    """Runs that differ in nothing but the seed, by what sets them apart from the others and how many they are."""
    by_number = {str(number): run for number, run in enumerate(runs)}
    members = group_by_recipe({number: run.recipe for number, run in by_number.items()})
    return {f"{label} ({len(some)})": [by_number[one] for one in some] for label, some in members.items()}


def _pictures(history: History, options: Options) -> dict[str, Any]:
    """Real beside generated, and the nearest training pictures, as far as they can be had."""
    halves = halves_of(history.folder / "real-versus-generated.png")
    found: dict[str, Any] = {"real": halves, "nearest": None, "no_neighbours": ""}
    if not options.neighbours:
        return found | {"no_neighbours": "Left out here; `ganzoo report` looks for them.".replace("`", "")}
    from .neighbours import neighbours

    near = neighbours(history, options.data)
    if isinstance(near, str):
        return found | {"no_neighbours": near}
    if halves is None:
        found["real"] = data_url(near.real), data_url(near.generated)
    looked = "all" if near.looked_at == near.total else f"{near.looked_at:,} of the"
    mirrored = ", mirrored ones too" if near.mirrored else ""
    about = (
        f"By the mean difference of pixels, among {looked} {near.total:,} training pictures{mirrored}; "
        "below each its distance, 0 is the same picture and 1 black against white."
    )
    rows = [
        {
            "sample": data_url(row.sample),
            "nearest": list(zip(map(data_url, row.nearest), row.distances, strict=True)),
        }
        for row in near.rows
    ]
    return found | {"nearest": {"rows": rows, "about": about}}


def _compared(history: History) -> dict[str, Any]:
    last: list[Frame] = [frame for images, path in history.previews[-1:] if (frame := frame_of(images, path))]
    state = verdict(history, recorded(history)).text
    return {"name": _name(history), "images": history.images, "frame": last[0] if last else None, "verdict": state}


def _differences(histories: Sequence[History]) -> list[tuple[str, list[str]]]:
    """Leaves of the recipes that are not the same in all runs."""
    flat = [leaves(history.recipe) for history in histories]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = [(key, [str(one.get(key, "–")) for one in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _name(history: History) -> str:
    return history.folder.resolve().name or str(history.folder)


def _total(history: History) -> int:
    total = history.recipe.get("images")
    return total if isinstance(total, int) else 0


def _facts(history: History) -> list[str]:
    recipe = history.recipe
    names = {key: part.get("name") for key in ("data", "generator", "discriminator", "loss")
             if isinstance(part := recipe.get(key), Mapping)}  # fmt: skip
    total = f" of {_total(history):,}" if _total(history) else ""
    facts = [f"{history.images:,}{total} images", f"recipe {recipe.get('name', 'unnamed')}"]
    facts += [f"{key} {name}" for key, name in names.items() if name] + [f"seed {recipe.get('seed', '?')}"]
    hardware = history.training.get("device")
    return [*facts, f"trained on {printable(hardware)}"] if isinstance(hardware, str) else facts


def _command(history: History) -> str:
    """The command that trains this recipe again."""
    from ..recipes import command_for
    from ..registry.registry import registry

    try:
        return command_for(history.recipe, registry())
    except (GanzooError, TypeError, AttributeError, tomllib.TOMLDecodeError):
        return "ganzoo train recipe.toml  # the recipe in full is below"


def _embedded(data: object) -> str:
    """JSON that cannot end the element that holds it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _source(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None
    text, _, _ = environment.loader.get_source(environment, name)
    return text


def _version() -> str:
    return __version__


__all__ = ["Options", "evenly", "render", "write_report"]
