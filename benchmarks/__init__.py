"""Speed and start-up of ganzoo against plain code for the same work: `python -m benchmarks.NAME`."""
