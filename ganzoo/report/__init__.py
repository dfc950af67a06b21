"""The report of a run: one HTML file that needs nothing else, and a small server that shows it while training.

In: run folders.
Out: pages, and a list of the runs in a folder.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
