"""How samples of each `View` are drawn, and the files that they are written to."""
