"""The words of every phase, and which of them follow on which."""

from pathlib import Path

import pytest

from strangler.control.phases import (
    MONOLITH,
    MOVES,
    SHADOW,
    SWITCHED,
    Phase,
    check_back,
    check_forward,
    meaning,
    move,
    step_towards,
)
from strangler.errors import ConfigError, UsageError
from tests.strangler.control.wanted import TEXT, wanted


@pytest.mark.parametrize("text", ["monolith", "shadow", "canary=1", "canary=99", "switched"])
def test_a_phase_is_written_as_it_is_read(text: str) -> None:
    assert str(Phase.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "swiched",
            "There is no phase 'swiched'; the phases are: monolith, shadow, canary=N, switched for reads, "
            "and monolith, replicate, switched, complete for writes.",
        ),
        ("canary", "A canary names its share of users in percent: canary=10, for example."),
        ("canary=0", "A canary's share lies between 1 and 99 percent, not 0"),
        ("canary=100", "all users is 'switched'"),
        ("canary=\u0661", "There is no phase"),
        ("canary=1O", "There is no phase"),
        ("", "There is no phase ''"),
        ("Shadow", "There is no phase 'Shadow'"),
    ],
)
def test_what_is_no_phase_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Phase.parse(text)
    assert sentence in str(refusal.value)
    assert str(refusal.value).endswith("Nothing was changed.")


def test_strangler_toml_points_at_a_wrong_phase(tmp_path: Path) -> None:
    text = TEXT.replace('phase = "switched"', '    phase = "canary=150"')
    line = text.splitlines().index('    phase = "canary=150"') + 1
    with pytest.raises(ConfigError) as refusal:
        wanted(tmp_path, text)
    assert str(refusal.value).startswith(f"strangler.toml:{line}:5: A canary's share lies between")


def test_the_moves_lead_from_the_monolith_to_the_switch_and_through_every_phase() -> None:
    assert [(one.origin, one.target) for one in MOVES] == [
        ("monolith", "shadow"),
        ("shadow", "canary"),
        ("canary", "canary"),
        ("canary", "switched"),
        ("monolith", "replicate"),
        ("replicate", "switched"),
        ("switched", "complete"),
    ]


def test_a_canary_may_grow_and_not_shrink() -> None:
    assert move(Phase("canary", 10), Phase("canary", 50))
    assert move(Phase("canary", 50), Phase("canary", 10)) is None


@pytest.mark.parametrize(
    ("origin", "target", "step"),
    [
        (MONOLITH, SWITCHED, SHADOW),
        (MONOLITH, Phase("canary", 50), SHADOW),
        (SHADOW, SWITCHED, Phase("canary", 10)),
        (SHADOW, Phase("canary", 50), Phase("canary", 50)),
        (Phase("canary", 5), Phase("canary", 50), Phase("canary", 50)),
        (Phase("canary", 5), SWITCHED, SWITCHED),
    ],
)
def test_the_way_to_a_phase_is_one_move_at_a_time(origin: Phase, target: Phase, step: Phase) -> None:
    assert step_towards(origin, target) == step


def test_the_wrong_direction_suggests_the_right_verb() -> None:
    with pytest.raises(UsageError, match=r"use `strangler reverse catalog\.read --to shadow`"):
        check_forward("catalog.read", Phase("canary", 10), SHADOW)
    with pytest.raises(UsageError, match=r"use `strangler apply catalog\.read switched`"):
        check_back("catalog.read", Phase("canary", 10), SWITCHED)


def test_a_phase_that_was_left_out_is_named() -> None:
    with pytest.raises(UsageError, match="after monolith comes shadow, not switched"):
        check_forward("catalog.read", MONOLITH, SWITCHED)


def test_every_phase_says_who_answers() -> None:
    assert meaning(MONOLITH, "monolith", "catalog") == "monolith answers everybody"
    assert meaning(Phase("canary", 10), "monolith", "catalog").startswith("catalog answers 10 % of the users")
