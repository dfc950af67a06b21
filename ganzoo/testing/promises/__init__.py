"""What each kind of component promises, and how it is held to it."""
