"""A recipe's parts, constructed and held against each other."""
