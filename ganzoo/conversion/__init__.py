"""Checkpoints of other programs: read without running anything in them, and turned into models of ganzoo."""
