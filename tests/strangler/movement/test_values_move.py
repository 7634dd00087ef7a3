"""Values that a careless way would change go to the new owner, are changed there, and come back alike."""

from __future__ import annotations

import pytest

from strangler.movement import switch
from tests.strangler.movement.conftest import unmoved
from tests.strangler.movement.switching import NAME, Homes
from tests.strangler.movement.values import AWKWARD

TABLES = ("treasure",)
MOST = max(len(values) for values in AWKWARD.values())


@pytest.fixture
def treasures(pair, shop_applier) -> Homes:
    """A table with a column of each type, and a generated one, empty at both homes."""
    homes = unmoved(pair, shop_applier)
    columns = ", ".join(f'"v{n}" {type_}' for n, type_ in enumerate(AWKWARD))
    table = (
        f"CREATE TABLE treasure (id int PRIMARY KEY, weaver text, {columns}, "
        "doubled int GENERATED ALWAYS AS (id * 2) STORED)"
    )
    for home in ("shop", "service"):
        homes.sql(home, table)
    switch.replicate(
        NAME,
        TABLES,
        homes.shop,
        homes.service,
    )
    return homes


def weave(homes: Homes, home: str, shift: int) -> None:
    """Write every value; `shift` tells which row gets which, so that each is changed by the next."""
    for row in range(MOST):
        values = [
            f'"v{n}" = ({known[(row + shift) % len(known)]})::{type_}'
            for n, (type_, known) in enumerate(AWKWARD.items())
        ]
        homes.sql(
            home,
            f"INSERT INTO treasure (id, weaver) VALUES ({row}, '{home}') ON CONFLICT (id) DO NOTHING",
            f"UPDATE treasure SET weaver = '{home} {shift}', {', '.join(values)} WHERE id = {row}",
        )
    homes.sql(home, f"DELETE FROM treasure WHERE id = {shift}", f"DELETE FROM treasure WHERE id = {-shift}",
              f"INSERT INTO treasure (id) VALUES ({-shift})")  # fmt: skip


def as_it_is(homes: Homes, home: str) -> list[tuple]:
    """Text and NULL told apart; `row_to_json` and the binary form besides, which text could hide."""
    columns = [f'"v{n}"' for n in range(len(AWKWARD))]
    return homes.sql(
        home,
        f"SELECT id, weaver, doubled, {', '.join(f'{c}::text, {c} IS NULL' for c in columns)}, "
        "encode(record_send(t), 'hex') FROM treasure AS t ORDER BY id",
    )


def test_values_of_every_type_go_and_come_back(treasures):
    homes = treasures
    weave(homes, "shop", 0)
    with homes.followed(TABLES):
        homes.carry_out("shop", TABLES)
        there = as_it_is(homes, "service")
        assert there == as_it_is(homes, "shop")

        weave(homes, "service", 1)
        homes.carry_out("service", TABLES)
        back = as_it_is(homes, "shop")
        assert back == as_it_is(homes, "service")
        assert back != there

        weave(homes, "shop", 2)
        homes.carry_out("shop", TABLES)
    assert as_it_is(homes, "service") == as_it_is(homes, "shop")


def test_what_was_woven_is_what_was_meant(treasures):
    """The comparison above isn't one of two tables that are wrong alike."""
    homes = treasures
    with homes.followed(TABLES):
        homes.carry_out("shop", TABLES)
        weave(homes, "service", 1)
        homes.carry_out("service", TABLES)
    for n, (type_, known) in enumerate(AWKWARD.items()):
        meant = homes.sql("shop", f"SELECT ({known[(MOST // 2 + 1) % len(known)]})::{type_}::text")
        assert homes.sql("shop", f'SELECT "v{n}"::text FROM treasure WHERE id = {MOST // 2}') == meant, type_
