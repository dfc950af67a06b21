"""What a run will take: speed, time, memory, and the batch that fits; and what the data are that it will read.

In: checked games, which are tried for a moment; data sets.
Out: figures for `ganzoo plan` and `ganzoo data`, advice where memory runs out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
