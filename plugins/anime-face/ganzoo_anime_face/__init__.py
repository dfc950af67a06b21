"""Anime and cartoon faces from a folder of pictures. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's recipes."""
    recipes = "ganzoo_anime_face.recipes"
    return [
        ganzoo.Component(
            "recipe",
            "anime-face",
            f"{recipes}:ANIME_FACE",
            "Faces of 100x100 from a folder, by a fully connected GAN",
            "Goodfellow et al. 2014, arXiv:1406.2661; Huang et al. 2024, arXiv:2501.05441",
            "G 15.6 M, D 15.5 M parameters at 3x100x100",
        ),
        ganzoo.Component(
            "recipe",
            "anime-face-article",
            f"{recipes}:ARTICLE",
            "The same with the article's settings, which end in noise",
            "Goodfellow et al. 2014, arXiv:1406.2661",
            "G 15.6 M, D 15.5 M parameters at 3x100x100",
        ),
        ganzoo.Component(
            "recipe",
            "anime-face-dcgan",
            f"{recipes}:ANIME_FACE_DCGAN",
            "Faces of 64x64 from a folder, by a DCGAN that two CPU cores can train",
            "Radford et al. 2016, arXiv:1511.06434",
            "G 696 k, D 392 k parameters at 3x64x64",
        ),
    ]
