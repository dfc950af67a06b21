"""Who provides what: entry points become components, admitted by name and version; doctor and scaffold.

In: `registry()`, from every room that turns a name into a class.
Out: the contract. No torch here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
