"""Weights of other programs, read without running or importing anything from them.

In: pickles, archives and arrays of strangers.
Out: tensors, numbers and names, or one line that says what was not known.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
