"""The version, which `pyproject.toml` reads too."""

__version__ = "0.1.0"

DISTRIBUTION = "torch-ganzoo"
"""What pip installs. `ganzoo` on PyPI is another project's name, so it is never written into a line that installs."""
