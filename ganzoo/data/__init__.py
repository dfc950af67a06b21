"""From samples to batches on the device, in an order that a checkpoint can go on from.

In: what a `Dataset` loads.
Out: `make_feed`, which the trainer draws from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
