"""A generator as one ONNX file, which runs without ganzoo and without torch, and knows what it holds.

`page/` puts such files onto a page that draws in the visitor's browser.
"""

from .draws import distribution
from .subject import OPEN, StyleMapping, Subject, Synthesis
from .writing import Exported, Port, content, export, refuse_libraries, refuse_path

__all__ = [
    "OPEN",
    "Exported",
    "Port",
    "StyleMapping",
    "Subject",
    "Synthesis",
    "content",
    "distribution",
    "export",
    "refuse_libraries",
    "refuse_path",
]
