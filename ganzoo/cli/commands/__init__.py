"""The commands, a module each or for those that belong together; each says in `COMMANDS` which it has."""
