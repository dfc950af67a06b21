"""Where and how one computes: devices and precision, processes, memory, threads.

In: modules, numbers and devices; no room here knows what is trained.
Out: the contract.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
