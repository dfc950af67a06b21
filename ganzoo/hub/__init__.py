"""The Hugging Face Hub: look up, download, verify, publish, and a page that samples a model.

In: model folders, names of repositories, answers of a server that is not trusted.
Out: folders that are what the Hub says they are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
