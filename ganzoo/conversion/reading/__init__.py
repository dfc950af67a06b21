"""Checkpoints of other programs as tensors, numbers and names; nothing in them is run or imported."""
