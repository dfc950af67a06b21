"""The data set inside the package."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import pytest
import torch

import ganzoo_data
from ganzoo_data.fashion_mini import FashionMini
from ganzoo_data.idx import FashionMnist


def test_holds_a_thousand_pictures_of_each_class():
    dataset = FashionMini()
    table = dataset.load()
    assert table.fields["image"].shape == (10_000, 28, 28, 1) and table.fields["image"].dtype == torch.uint8
    assert table.labels.bincount().tolist() == [1_000] * 10
    assert dataset.spec.classes == 10 and dataset.class_names[0] == "T-shirt/top"


def test_trousers_are_narrower_than_bags():
    def filled(name: str) -> float:
        return FashionMini(classes=[name]).load().fields["image"].gt(0).float().mean().item()

    assert filled("Trouser") < 0.4 < filled("Bag")


def test_is_one_file_of_at_most_five_megabytes_with_its_licence():
    package = resources.files(ganzoo_data)
    assert len(package.joinpath("fashion_mini.npz").read_bytes()) <= 5_000_000
    notice = package.joinpath("FASHION_MNIST_LICENSE").read_text(encoding="utf-8")
    assert "The MIT License (MIT)" in notice and "Copyright © 2017 Zalando SE" in notice


def test_pictures_are_those_of_the_training_set():
    folder = os.environ.get("GANZOO_TEST_DATA")
    if not folder:
        pytest.skip("GANZOO_TEST_DATA names no folder with Fashion-MNIST")
    whole, mini = FashionMnist(root=str(Path(folder))).load(), FashionMini().load()
    known = {bytes(picture.numpy()) for picture in whole.fields["image"]}
    assert all(bytes(picture.numpy()) in known for picture in mini.fields["image"])
