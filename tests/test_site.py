"""The site is built, every link of it leads somewhere, every page of a method is whole, and its commands are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
import torch
from fakes import fake_plugin
from PIL import Image

import ganzoo
from ganzoo import cli
from ganzoo.recipes import Request, resolve
from ganzoo.recipes.check import check
from ganzoo.registry.registry import Registry, registry

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "site"))
import lineage  # noqa: E402
import links  # noqa: E402
import sources  # noqa: E402

METHODS = sorted({one.plugin for one in sources.methods()})
PARTS = ("What is new", "The equation", "Pictures", "Curves", "Results", "Differences", "Cost")
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to by."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given or (tag == "link" and given.get("rel") != "canonical"):
            self.loads.append(given.get("src") or given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as CI does. Warnings of mkdocs are errors."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/site/mkdocs.yml", "-d", str(folder)]
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_no_link_is_dead(site, pages):
    dead = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            place, _, anchor = unquote(link).partition("#")
            if re.match(r"[a-z]+:|//", place) or path.name == "404.html":
                continue
            target = (path.parent / place.partition("?")[0]).resolve() if place else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 60 and dead == []


def test_nothing_is_loaded_from_elsewhere(pages):
    assert [one for page in pages.values() for one in page.loads if re.match(r"https?:|//", one)] == []


def test_equations_are_drawn_without_a_script(site):
    html = (site / "zoo" / "wgan.html").read_text()
    assert html.count("<math") >= 2 and "arithmatex" not in html and "\\mathbb" not in html
    assert all("\\(" not in path.read_text() for path in (site / "tutorials").glob("*.html"))


def test_the_reference_has_every_command_recipe_and_name(site):
    commands = (site / "reference" / "commands.html").read_text()
    assert [name for name in cli.COMMANDS if f"ganzoo {name}" not in commands] == []
    recipes = (site / "reference" / "recipes.html").read_text()
    assert [name for name in registry().names("recipe") if f'id="{name}"' not in recipes] == []
    python = (site / "reference" / "python.html").read_text()
    assert all(f"ganzoo.{name}<" in python for name in ("train", "load", "list", "Model", "Turn", "read_bounded"))


def test_what_is_no_page_is_carried_along(site):
    assert (site / "files" / "plugins" / "wgan" / "figures" / "distance.py").exists()
    assert (site / "files" / "plugins" / "wgan" / "images" / "distance.png").exists()


def test_links_are_moved_only_outside_code():
    text = "see [a](../plugins/wgan/README.md#losses), `[b](../x.md)`\n```\n[c](../x.md)\n```\n"
    moved = links.rewritten(
        text, "docs/tutorials/../recipes.md", {"plugins/wgan/README.md": "zoo/wgan.md"}, "recipes.md"
    )
    assert moved == text.replace("../plugins/wgan/README.md#", "zoo/wgan.md#")


def sections(name: str) -> dict[str, str]:
    text = (ROOT / "plugins" / name / "README.md").read_text()
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^## ", text, flags=re.MULTILINE)}


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_a_method_has_all_its_parts(name):
    found = sections(name)
    missing = [part for part in PARTS if not any(one.startswith(part) and text.strip() for one, text in found.items())]
    assert missing == [], f"plugins/{name}/README.md lacks these sections: see any other method's"
    assert "$$" in found["The equation"]
    assert any(command.startswith("ganzoo train") for command in commands(ROOT / "plugins" / name / "README.md"))
    assert "<!-- results -->" in found["Results"]


def test_every_plugin_with_recipes_is_a_method_and_every_plugin_is_listed():
    bundled = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    with_recipes = {one.plugin.name for one in registry().all("recipe")} & bundled
    assert with_recipes <= set(METHODS), "add a line to docs/site/methods.toml"
    assert {one.recipe for one in sources.methods()} <= set(registry().names("recipe"))
    listed = {one.readme for one in sources.directory()}
    examples = {
        path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "examples" / "plugins").glob("*/README.md")
    }
    assert {f"plugins/{name}" for name in bundled} | examples <= listed, "add a line to docs/site/directory.toml"


def test_kinds_of_listed_examples_are_those_of_their_hooks():
    for one in sources.directory():
        if one.readme.startswith("examples/"):
            text = next((ROOT / one.readme).glob("ganzoo_*/__init__.py")).read_text()
            kinds = re.findall(r"Component\(\s*\"([a-z]+)\"", text)
            assert one.kinds.split(", ") == list(dict.fromkeys(kinds)), one.name


def test_pictures_of_the_lineage_exist_and_the_readmes_table_is_that_of_the_index():
    assert all((ROOT / one.picture).is_file() for one in sources.methods() if one.picture)
    readme = (ROOT / "README.md").read_text()
    assert "<!-- lineage -->" in readme and lineage.renewed(readme) == readme, "run `python docs/site/lineage.py`"


def commands(path: Path) -> list[str]:
    """Lines of ganzoo in shell fences, without comments."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    blocks = [text for language, text in fences if language in ("", "sh", "bash")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in re.split(r"\s#|&&", f" {line}")[:1] + line.split("&&")[1:]]
    return [part.partition(" #")[0].strip() for part in parts if part.startswith("ganzoo ")]


DOCUMENTS = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md"), ROOT / "results" / "README.md"]
)
UNINSTALLED = re.compile(
    r"\b(glow|sharp|boost|lion|energy|spiral|infogan|pix2pix|sagan|mine\.toml|losses\.toml|runs/best)\b"
)
"""Names of plugins that a reader writes, and of files that the text makes."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_on_a_page_is_one_that_ganzoo_knows(path):
    """Its words are read as on the command line; recipes and their options have to resolve."""
    for command in commands(path):
        words = shlex.split(command.replace("…", "1"))[1:]
        if UNINSTALLED.search(command) or words[0] not in cli.COMMANDS:
            continue
        context = cli.cli.get_command(None, words[0]).make_context(words[0], list(words[1:]))
        if words[0] in ("train", "check", "plan") and isinstance(context.params.get("recipe"), str):
            fields = {
                name: value
                for name, value in context.params.items()
                if name in ("data", "generator", "loss", "batch", "images")
            }
            resolve(context.params["recipe"], Request(**{k: v for k, v in fields.items() if v is not None}), registry())


SHORT = ["--images", "64", "--batch", "16", "--device", "cpu"]


def shortened(words: list[str]) -> list[str]:
    """The same command at a size for a test."""
    if words[0] == "train":
        for name in ("--images", "--batch"):
            if name in words:
                del words[words.index(name) : words.index(name) + 2]
        return [*words, *SHORT]
    if words[0] == "plan":  # measures for seconds, and is measured elsewhere
        return ["check", *words[1:]]
    return [*words, *{"study": ["--check"], "eval": ["--samples", "200"]}.get(words[0], [])]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_commands_of_a_tutorial_run(path, tmp_path, monkeypatch, capsys):
    """In order, as a reader would, but short; what needs the reader's own plugin installed is tried below."""
    monkeypatch.chdir(tmp_path)
    faces(tmp_path / "faces")
    for command in commands(path):
        words = shlex.split(command)[1:]
        if UNINSTALLED.search(command) and words[:2] != ["plugins", "new"]:
            continue
        with pytest.raises(SystemExit) as ended:
            cli.main(shortened(words))
        refused = "dcgan --data gaussian" in command
        assert bool(ended.value.code) == refused, (command, capsys.readouterr().err)
    assert commands(path)


def faces(folder: Path) -> None:
    folder.mkdir()
    for number in range(20):
        Image.new("RGB", (64, 64), (number * 9, 40, 90)).save(folder / f"{number}.png")


def test_the_tutorials_loss_trains_with_any_networks(monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tutorials" / "loss.md").read_text(), re.DOTALL)
    module = ModuleType("boosting")
    exec(compile(code, "loss.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "boosting", module)
    component = ganzoo.Component("loss", "boost", "boosting:Boost", "Exponential loss")
    known = Registry([*entry_points(group="ganzoo"), fake_plugin("boosting", "boosting", [component])])
    for recipe in ("ring", "dcgan"):
        check(resolve(recipe, Request(loss="boost"), known), known)
    loss, zero = module.Boost(), torch.zeros(4)
    assert loss.discriminator(zero, zero).item() == 2.0 and loss.generator(zero, zero).item() == 1.0


def test_a_part_that_is_missing_from_a_page_would_be_seen():
    assert "Networks" in sections("wgan") and "What is new" not in sections("losses")


def test_commands_of_pages_are_found():
    found = commands(ROOT / "docs" / "tutorials" / "first-gan.md")
    assert "ganzoo train gaussian" in found and "ganzoo check dcgan --data gaussian" in found
    assert "ganzoo train wgan-mini" in commands(ROOT / "plugins" / "wgan" / "README.md")
