"""How long tests wait for what a free machine does at once: a busy one takes its time, and a free one never waits."""

SECONDS = 120.0
MILLISECONDS = 120_000
