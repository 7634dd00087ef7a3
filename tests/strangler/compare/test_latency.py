"""Three times as slow is found, noise isn't."""

from __future__ import annotations

import random

from strangler.compare.latency import bounds, lasting_bounds, quantile, samples_for_bounds, slower

ROUTE = "GET /api/rugs/"


def times(draw: random.Random, count: int, factor: float = 1.0) -> list[tuple[float, float]]:
    return [(draw.lognormvariate(1, 0.5), factor * draw.lognormvariate(1, 0.5)) for _ in range(count)]


def test_a_tripled_latency_is_found_in_two_hundred_noisy_pairs() -> None:
    found = [slower(ROUTE, times(random.Random(seed), 200, 3.0), 1.0) for seed in range(100)]
    assert sum(one is not None for one in found) >= 95
    one = next(one for one in found if one)
    assert one.measure == "median"
    assert "times as long" in str(one)


def test_noise_cries_wolf_less_often_than_one_time_in_a_hundred() -> None:
    draw = random.Random(7)
    assert sum(slower(ROUTE, times(draw, 60), 0.0) is not None for _ in range(2000)) <= 20


def test_a_candidate_just_within_its_slack_is_not_called_slower() -> None:
    draw = random.Random(8)
    assert sum(slower(ROUTE, times(draw, 60, 2.0), 1.0) is not None for _ in range(2000)) <= 20


def test_a_slow_tail_is_found_where_the_median_is_not_slower() -> None:
    draw = random.Random(9)
    pairs = [(a, b * (10 if draw.random() < 0.2 else 1)) for a, b in times(draw, 300)]
    found = slower(ROUTE, pairs, 1.0)
    assert found is not None
    assert found.measure == "95th percentile"


def test_a_handful_of_pairs_says_nothing() -> None:
    assert slower(ROUTE, [(1.0, 100.0)] * 5, 1.0) is None
    assert slower(ROUTE, [], 1.0) is None


def test_fifty_nine_values_bound_the_95th_percentile_and_fifty_eight_do_not() -> None:
    assert bounds(list(range(59)), 0.05)[1] == 58
    assert bounds(list(range(58)), 0.05)[1] == float("inf")


def test_bounds_enclose_the_quantile_as_often_as_they_say() -> None:
    draw, low, high = random.Random(10), 0, 0
    for _ in range(1000):
        lower, upper = bounds([draw.random() for _ in range(200)], 0.05)
        low, high = low + (lower > 0.95), high + (upper < 0.95)
    assert low <= 65
    assert high <= 65


def test_lasting_bounds_are_wrong_less_often_than_they_say_though_one_looks_at_every_sample() -> None:
    low = high = plain = 0
    for seed in range(200):
        draw, values = random.Random(seed), []
        wrong = [False] * 3
        for _ in range(400):
            values.append(draw.random())
            lower, upper = lasting_bounds(values, 0.05)
            wrong[0] |= lower > 0.95
            wrong[1] |= upper < 0.95
            if len(values) % 10 == 0:
                wrong[2] |= bounds(values, 0.05)[1] < 0.95
        low, high, plain = low + wrong[0], high + wrong[1], plain + wrong[2]
    assert low + high <= 10  # both together, out of 200
    assert plain > 20  # what looking again and again at a bound for one look comes to


def test_eighty_values_bound_the_95th_percentile_for_ever_and_seventy_nine_do_not() -> None:
    assert samples_for_bounds(0.025) == 80
    assert lasting_bounds(list(range(80)), 0.025)[1] == 79
    assert lasting_bounds(list(range(79)), 0.025)[1] == float("inf")
    assert lasting_bounds([], 0.025) == (0.0, float("inf"))


def test_lasting_bounds_close_in_on_the_quantile() -> None:
    lower, upper = lasting_bounds(list(range(1, 4001)), 0.025)
    assert 0.93 < lower / 4000 < 0.95 < upper / 4000 < 0.965


def test_quantiles_are_values_that_were_seen() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile(range(1, 101), 0.95) == 95
    assert quantile([4.0], 0.95) == 4.0
