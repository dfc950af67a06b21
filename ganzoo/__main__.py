"""`python -m ganzoo`, which torchrun can start."""

from .cli import main

main()
