"""From words to a game: options and files become a recipe, a recipe a game, checked before data are read.

In: names and settings from the command line, Python or a file.
Out: `Game`, the contract's parts built to fit each other; what they compute by comes from `compute`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
