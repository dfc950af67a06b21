"""Data sets of ganzoo: published ones, folders and arrays of the user's own, and toy distributions."""

from __future__ import annotations

import ganzoo

_MNIST = "LeCun et al. 1998, Gradient-based learning applied to document recognition"
_STACKED = "Metz et al. 2017, arXiv:1611.02163"
_CIFAR = "Krizhevsky 2009, Learning multiple layers of features from tiny images"


@ganzoo.hookimpl
def ganzoo_components() -> list[ganzoo.Component]:
    def dataset(name: str, target: str, summary: str, paper: str = "") -> ganzoo.Component:
        return ganzoo.Component("dataset", name, f"ganzoo_data.{target}", summary, paper)

    return [
        dataset("mnist", "idx:Mnist", "60,000 handwritten digits, 1x28x28, 10 classes", _MNIST),
        dataset("stacked-mnist", "stacked:StackedMnist", "three digits as colours, 3x28x28, 1,000 classes", _STACKED),
        dataset(
            "fashion-mnist", "idx:FashionMnist", "60,000 articles of clothing, 1x28x28, 10 classes",
            "Xiao et al. 2017, arXiv:1708.07747",
        ),
        dataset(
            "kmnist", "idx:Kmnist", "60,000 cursive Japanese characters, 1x28x28, 10 classes",
            "Clanuwat et al. 2018, arXiv:1812.01718",
        ),
        dataset(
            "emnist", "idx:Emnist", "handwritten letters and digits, 1x28x28, 10 to 62 classes",
            "Cohen et al. 2017, arXiv:1702.05373",
        ),
        dataset("cifar10", "cifar:Cifar10", "50,000 photographs, 3x32x32, 10 classes", _CIFAR),
        dataset("cifar100", "cifar:Cifar100", "50,000 photographs, 3x32x32, 100 classes", _CIFAR),
        dataset(
            "svhn", "svhn:Svhn", "73,257 house numbers in street photographs, 3x32x32, 10 classes",
            "Netzer et al. 2011, Reading digits in natural images with unsupervised feature learning",
        ),
        dataset(
            "stl10", "stl10:Stl10", "5,000 labelled or 100,000 unlabelled photographs, 3x96x96",
            "Coates et al. 2011, An analysis of single-layer networks in unsupervised feature learning",
        ),
        dataset(
            "celeba", "celeba:CelebA", "162,770 faces of celebrities, 3x218x178, 40 attributes",
            "Liu et al. 2015, arXiv:1411.7766",
        ),
        dataset(
            "fashion-mini", "fashion_mini:FashionMini", "10,000 of Fashion-MNIST, in the package: works offline",
            "Xiao et al. 2017, arXiv:1708.07747",
        ),
        dataset("folder", "folder:Folder", "your own pictures, in a folder or .zip; class sub-folders are labels"),
        dataset("shards", "shards:Shards", "your own pictures in many .tar or .zip files; .cls files are labels"),
        dataset("pair", "pair:Pair", "two folders or .zips to translate between, as pair:A:B; unpaired"),
        dataset("paired", "paired:Paired", "pairs of pictures: paired:A:B by name, paired:A side by side"),
        dataset("hub", "hub:Hub", "pictures of a data set on the Hugging Face Hub, as hub:USER/NAME"),
        dataset("npz", "npz:Npz", "your own arrays, in an .npz file of NumPy"),
        dataset("gaussian", "toys:Gaussian", "a normal distribution on the line, mean 4, standard deviation 1.25"),
        dataset("ring", "toys:Ring", "8 Gaussians on a circle in the plane", "Metz et al. 2017, arXiv:1611.02163"),
        dataset("grid", "toys:Grid", "25 Gaussians on a 5x5 grid in the plane", "Lin et al. 2018, arXiv:1712.04086"),
        dataset("two-moons", "toys:TwoMoons", "two interleaved half circles in the plane"),
    ]  # fmt: skip
