"""How good: features, distances, references, and which numbers may stand beside each other.

In: models, generators in training, data sets.
Out: metrics with all that is needed to repeat them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
