"""The report of a run: one HTML file that needs nothing else, and a small server that shows it while training."""

from .looks import base_style
from .loopback import Answer, LoopbackServer
from .page import Options, write_report

__all__ = ["Answer", "LoopbackServer", "Options", "base_style", "write_report"]
