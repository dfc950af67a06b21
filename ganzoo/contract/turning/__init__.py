"""One update, as losses and penalties see it: the turn, what lasts from turn to turn, and what is asked and drawn."""
