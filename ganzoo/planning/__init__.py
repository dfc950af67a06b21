"""What a run will take: speed, time, memory, and the batch that fits.

In: checked games, which are tried for a moment.
Out: figures for `ganzoo plan`, advice where memory runs out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
