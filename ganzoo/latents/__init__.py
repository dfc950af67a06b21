"""Seeing into a generator: the latents of a picture, directions, style mixing.

In: a model, and pictures or seeds.
Out: latents, and pictures of what they do.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
