"""What the zoo's recipes reach, and the scripts that measure it: `python -m results.NAME`."""
