"""A page that runs a model in the visitor's browser: written into a folder, served on this machine, or published.

In: a model, onnxruntime-web from npm.
Out: HTML, a style sheet, a script, ONNX files and the runtime, which ask no other host for anything.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
