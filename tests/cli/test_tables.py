from __future__ import annotations

from ganzoo.cli.tables import table


def test_a_cell_from_strangers_is_shown_in_one_plain_line(capsys):
    """Tags of models on the Hub are what anybody wrote."""
    table(("model", "tags"), [("a/b", "\x1b]0;owned\x07\nc"), ("ü/x", "[red]d[/red]")])
    told = capsys.readouterr().out
    assert "\\x1b]0;owned\\x07\\nc" in told and "\x1b" not in told
    assert "ü/x" in told and "[red]d[/red]" in told
