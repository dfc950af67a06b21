"""A trained generator and its folder: weights, config, card, sampling, pictures. The same on the Hub.

In: folders to load, networks to save.
Out: `Model`; networks are built as recipes build them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
