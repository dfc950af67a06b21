"""The report of a run: one HTML file that needs nothing else, and a small server that shows it while training."""

from .page import Options, write_report

__all__ = ["Options", "write_report"]
