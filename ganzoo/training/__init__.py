"""The loop: trainer, teams of learners, optimisers, checkpoints, run folder, and what acts between iterations.

In: a checked game and a feed.
Out: a run folder with a model in it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
