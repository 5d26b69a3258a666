"""One table in four forms; scores and differences as cells."""

import csv
import io
import json
import math

import pytest

from identitystory.experiments.tables import Outcome, Row, Table, cell, compared, percent
from identitystory.metrics.measures import Score

NAN = math.nan
TABLE = Table(["method", "CLIP-T", "stories"], [["a", 0.35416, 3], ["b|c, d", NAN, None]])


def test_what_was_not_measured_is_a_dash_nothing_or_null():
    assert TABLE.markdown() == [
        "| method | CLIP-T | stories |",
        "| --- | ---: | ---: |",
        "| a | 0.354 | 3 |",
        "| b|c, d | - | - |",
    ]
    rows = list(csv.reader(io.StringIO(TABLE.csv())))
    assert rows == [["method", "CLIP-T", "stories"], ["a", "0.354160", "3"], ["b|c, d", "", ""]]
    made = TABLE.json()
    assert made[1] == {"method": "b|c, d", "CLIP-T": None, "stories": None}
    assert json.loads(json.dumps(made, allow_nan=False))[0]["CLIP-T"] == 0.35416
    assert Table(["each"], [[(0.5, NAN)]]).json() == [{"each": [0.5, None]}]


def test_the_terminal_shows_lines_above_and_below():
    out = io.StringIO()
    TABLE.terminal(out, above="[95 %]", below=["CLIP: c"], width=60)
    lines = out.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("[95 %]", "CLIP: c")
    assert [w for line in lines for w in line.split() if w in ("0.354", "-")] == ["0.354", "-", "-"]


def test_a_cell_tells_of_missing_stories_and_shares_are_percent():
    assert cell(0.638, 0.61, 0.66, 3, 5) == "0.638 [0.610, 0.660] (3 of 5)"
    assert cell(-0.1, None, 0.2, 5, 5, "+.3f") == "-0.100"
    assert cell(NAN, 0, 1) == cell(None, 0, 1) == "-"
    assert percent(Score("CLIP-T", 0.3541, 0.3, 0.4, 2), 2) == "35.4 [30.0, 40.0]"
    assert percent(Score("AUC", 0.9, None, None, 1), 2) == "0.900 (1 of 2)"
    assert percent(Score("AUC", 0.9, None, None, 0), 2) == "-"


def test_variants_are_compared_within_their_group():
    """b less a is .1 over all stories and .2 over those of two characters."""
    rows = [
        Row("a", None, "m", 0.3, None, None, 2, each=(0.2, 0.4)),
        Row("b", None, "m", 0.4, None, None, 2, each=(0.2, 0.6)),
        Row("a", None, "m", 0.4, None, None, 1, each=(0.4,), group="2 characters"),
        Row("b", None, "m", 0.6, None, None, 1, each=(0.6,), group="2 characters"),
    ]
    outcome = Outcome(compared(rows, "a"), "a")
    gains = [outcome.row("b", "m", group).gain for group in outcome.groups]
    assert gains == [pytest.approx(0.1), pytest.approx(0.2)]
    shown = outcome.table({"m": "m ↑"}, "method", gains=True)
    assert (shown.head, shown.rows) == (["method", "m ↑"], [["b", "+0.100"]])
    few = [*rows, Row("c", None, "m", 0.5, None, None, 1, each=(0.5, NAN))]
    values = Outcome(few).table({"m": "m"}, "variant").rows
    assert values == [["a", "0.300"], ["b", "0.400"], ["c", "0.500 (1 of 2)"]]
    values = Outcome(few, sizes={"all": 3}).table({"m": "m"}, "variant").rows
    assert values == [["a", "0.300 (2 of 3)"], ["b", "0.400 (2 of 3)"], ["c", "0.500 (1 of 3)"]]
