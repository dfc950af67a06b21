"""Many seeds of one tiny game, trained in one process: a stack computes for all, each run keeps a seat in it."""
