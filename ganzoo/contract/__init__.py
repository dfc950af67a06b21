"""What a plugin implements: samples, networks, games, data, callbacks, and the hook that offers them.

In: everybody.
Out: the ground alone, so that reading this room is enough to write a plugin.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
