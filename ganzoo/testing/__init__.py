"""Conformance checks for plugin authors: `check_plugin(module)` in a test, `pytest --ganzoo` in a plugin's folder.

In: a plugin's module or folder.
Out: what it promises and does not keep. Loaded when it is used: every pytest imports this room.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
