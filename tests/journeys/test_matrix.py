"""A sample of the matrix, and its table; `make matrix` runs all of it."""

from __future__ import annotations

import psycopg
import pytest

from strangler.control.effects import to_record
from strangler.control.phases import REPLICATE, SWITCHED
from strangler.control.transition import draw, draw_back
from tests.journeys import matrix
from tests.journeys.matrix import ALL, EFFECTS, STRIKES, Cell, Result
from tests.journeys.project import until
from tests.journeys.switching import NAME, databases, heard_of
from tests.strangler.events.rabbit import NoRabbit, program
from tests.tree import skip

SAMPLE = (
    Cell("switch", "commit", "control plane killed, and left to the followers"),
    Cell("switch", "give_away", "PostgreSQL killed"),
    Cell("reverse", "drain", "shop's follower paused"),
    Cell("reverse", "commit", "service's relay killed"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    try:
        program()
    except NoRabbit as reason:
        skip(str(reason))
    with matrix.running_matrix(tmp_path_factory.mktemp("looms")) as found:
        yield found


@pytest.mark.long
@pytest.mark.parametrize("cell", SAMPLE, ids=str)
def test_whoever_is_struck_one_home_owns_the_rows_and_no_write_is_lost(running, cell):
    result = running.run(cell)
    assert result.wrong is None


@pytest.mark.long
def test_the_check_sees_a_write_that_is_lost(running):
    """Accounts for one that nobody sent, as if it had been accepted."""
    running.load.accepted.add(-7)
    try:
        with pytest.raises(matrix.Wrong, match=r"accepted and lost: \[-7\]"):
            running._check(running._owner())
    finally:
        running.load.accepted.discard(-7)


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "harm"),
    [
        ("(SELECT max(number) FROM rugs_rug)", "UPDATE fair_sighting SET times = {} WHERE number = {}"),
        ("-7", "INSERT INTO fair_sighting (times, number) VALUES ({}, {})"),
    ],
    ids=["twice", "never woven"],
)
def test_the_check_sees_what_was_heard_of_wrongly(running, number, harm):
    until(lambda: running._owner(), "an owner")
    with running.load.quiet(), psycopg.connect(databases(running.project)["shop"], autocommit=True) as shop:
        ((struck,),) = shop.execute(f"SELECT {number}").fetchall()
        until(lambda: number == "-7" or struck in heard_of(running.project), "it to be heard of")
        shop.execute(harm.format(2 if struck > 0 else 1, struck))
    try:
        with pytest.raises(matrix.Wrong, match="heard of more than once, or never woven"):
            running._check(running._owner())
    finally:
        with psycopg.connect(databases(running.project)["shop"]) as shop:
            shop.execute("DELETE FROM fair_sighting WHERE number < 0")
            shop.execute("UPDATE fair_sighting SET times = 1")


@pytest.mark.long
def test_the_boundaries_are_those_of_the_plan(running):
    there = running._owner() == "service"
    with running._desk() as desk:
        drawn = draw_back(desk, NAME, REPLICATE) if there else draw(desk, NAME, SWITCHED)
    named = [(kind, arguments.get("step", kind)) for kind, arguments in map(to_record, drawn.effects)]
    assert tuple(name for _, name in named) == EFFECTS


def test_every_strike_is_tried_at_every_effect_in_both_directions():
    assert len(ALL) == len(set(ALL)) == 2 * len(EFFECTS) * len(STRIKES)


def test_the_table_names_what_is_wrong():
    went = Result(Cell("switch", "commit", "shop killed"), "through", None, 1.0)
    astray = Result(Cell("reverse", "commit", "shop killed"), "astray", "2 writes are lost", 1.0)
    text = matrix.table([went, astray])
    assert "| shop killed | - , -".replace(" ,", ",") in text
    assert "through, **WRONG**" in text
    assert "- shop killed before commit of a reverse: 2 writes are lost" in text
