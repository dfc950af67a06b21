"""The recipes, and the promise that the whole fits into 50 lines."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import ganzoo
import ganzoo_gaussian
from ganzoo_gaussian.recipes import ARTICLE, GAUSSIAN

FOLDER = Path(ganzoo_gaussian.__file__).parent
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(source: str) -> int:
    """Lines that hold code: not blank, not only a comment, not part of a docstring."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def test_lines_of_code_counts_neither_blank_lines_nor_comments_nor_docstrings():
    assert (
        lines_of_code(
            '"""Doc\n\nstring."""\n\n# why\nx = [\n    1,  # one\n]\n\n\ndef f():\n    """Doc."""\n    return x\n'
        )
        == 5
    )


def test_networks_and_recipes_fit_into_50_lines_of_code():
    modules = [FOLDER / "networks.py", FOLDER / "recipes.py"]
    assert sum(lines_of_code(module.read_text()) for module in modules) <= 50
    assert max(len(line) for module in modules for line in module.read_text().splitlines()) <= 120


def test_listing_components_and_recipes_imports_no_torch():
    code = (
        "import sys, ganzoo_gaussian, ganzoo_gaussian.recipes; "
        "ganzoo_gaussian.ganzoo_components(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("recipe", [ARTICLE, GAUSSIAN])
def test_recipe_plays_the_articles_game(recipe):
    assert recipe["loss"]["name"] == "non-saturating"
    assert {recipe[part]["name"] for part in ("data", "generator", "discriminator")} == {"gaussian"}


def test_article_counts_the_images_of_its_rounds():
    rounds, updates = 5_000, 20
    assert ARTICLE["batch"] == 500
    assert ARTICLE["images"] == rounds * updates * ARTICLE["batch"]
    assert ARTICLE["loss"] == {"name": "non-saturating", "n_critic": updates, "n_generator": updates}
    assert ARTICLE["optimizer"] == {"name": "sgd", "lr": 1e-3, "momentum": 0.9}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_every_seed_of_the_default_recipe_lands_on_the_bell_curve(seed, tmp_path):
    model = ganzoo.train("gaussian", seed=seed, out=tmp_path, device="cpu", progress=False).model()
    sample = model.sample(10_000, seed=0)
    assert abs(sample.mean().item() - 4) < 0.15
    assert abs(sample.std().item() - 1.25) < 0.2
