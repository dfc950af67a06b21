"""A Hub-compatible server on loopback, for end-to-end tests of what talks to the Hugging Face Hub."""
