"""DCGAN and its best-known variants. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_RADFORD = "Radford et al. 2016, arXiv:1511.06434"
_RECIPES = "ganzoo_dcgan.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "dcgan",
        "ganzoo_dcgan.dcgan:DCGANGenerator",
        "Transposed convolutions, for pictures with sides of m·2^k, as 28x28 or 64x96",
        _RADFORD,
        "18.9 M parameters at 3x64x64",
    ),
    ganzoo.Component(
        "discriminator",
        "dcgan",
        "ganzoo_dcgan.dcgan:DCGANDiscriminator",
        "Strided convolutions, for pictures with sides of m·2^k, as 28x28 or 64x96",
        _RADFORD,
        "17.2 M parameters at 3x64x64",
    ),
    ganzoo.Component(
        "generator",
        "dcgan-mnist",
        "ganzoo_dcgan.dcgan_mnist:KerasGenerator",
        "The small 28x28 generator of Keras tutorials",
        _RADFORD,
        "2.3 M parameters at 1x28x28",
    ),
    ganzoo.Component(
        "discriminator",
        "dcgan-mnist",
        "ganzoo_dcgan.dcgan_mnist:KerasDiscriminator",
        "The small 28x28 discriminator of Keras tutorials, with dropout",
        _RADFORD,
        "213 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "dcgan",
        f"{_RECIPES}:DCGAN",
        "Radford's training, narrow enough for clothes within five minutes on two CPU cores",
        _RADFORD,
        "G 587 k, D 121 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "clothes",
        f"{_RECIPES}:CLOTHES",
        "The best clothes of five to seven minutes on two CPU cores: DCGAN's networks, relativistic loss, R1 and R2",
        f"{_RADFORD}; Huang et al. 2024, arXiv:2501.05441",
        "G 885 k, D 581 k parameters at 1x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "dcgan-tutorial",
        f"{_RECIPES}:DCGAN_TUTORIAL",
        "64x64 pictures by the network of the PyTorch tutorial",
        _RADFORD,
        "G 3.6 M, D 2.8 M parameters at 3x64x64",
    ),
    ganzoo.Component(
        "recipe",
        "dcgan-mnist",
        f"{_RECIPES}:DCGAN_MNIST",
        "28x28 pictures by the network of Keras tutorials, in a game that soon shows them",
        f"{_RADFORD}; Huang et al. 2024, arXiv:2501.05441",
        "G 2.3 M, D 213 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "dcgan-mnist-keras",
        f"{_RECIPES}:DCGAN_MNIST_KERAS",
        "The same with the settings of those tutorials",
        _RADFORD,
        "G 2.3 M, D 213 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "converter",
        "dcgan-example",
        "ganzoo_dcgan.converters:PyTorchExample",
        "netG and netD (.pth) of PyTorch's DCGAN example; huggan's DCGANs (pytorch_model.bin)",
        _RADFORD,
    ),
    ganzoo.Component(
        "converter",
        "dcgan-zoo",
        "ganzoo_dcgan.converters:GANZoo",
        "DCGANs (.pt) of pytorch_GAN_zoo",
        _RADFORD,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks and recipes."""
    return _COMPONENTS
