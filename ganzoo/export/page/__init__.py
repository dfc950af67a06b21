"""A page that runs a model in the visitor's browser: written into a folder, served on this machine, or published.

In: a model, onnxruntime-web from npm.
Out: HTML, a style sheet, a script, ONNX files and the runtime, which ask no other host for anything.
"""

from .player import play
from .runtime import find_runtime
from .space import push_page
from .writing import refuse_folder, write_page

__all__ = ["find_runtime", "play", "push_page", "refuse_folder", "write_page"]
