"""Model cards: what is said of a model, and the pictures of it, as the folder's README."""
