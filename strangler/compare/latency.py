"""Which home is slower, said only when noise can't explain it.

Both tests are exact and assume nothing about how times are distributed. Typical requests: a sign test over
pairs of like requests. The tail: confidence bounds of p95 by order statistics (Wilks).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

ALPHA = 0.01  # the chance that one report cries wolf, shared among its routes
TAIL = 0.95
SPREAD = 2.0  # how many samples the first bet is worth; less is sharper in many samples, more in few


@dataclass(frozen=True)
class Slower:
    """A route on which the candidate is slower than its slack allows.

    `ratio` is candidate to control, at the median of pairs or at p95 as `measure` says; `limit` is 1 + slack.
    """

    route: str
    measure: str
    pairs: int
    ratio: float
    limit: float
    p: float

    def __str__(self) -> str:
        chance = "p < 0.0001" if self.p < 1e-4 else f"p = {self.p:.4f}"
        return (
            f"{self.route}: the candidate takes {self.ratio:.1f} times as long at the {self.measure} "
            f"(limit {self.limit:.1f}, {self.pairs} pairs, {chance})"
        )


def quantile(values: Sequence[float], q: float) -> float:
    """The nearest-rank quantile of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(q * len(ordered)) - 1))]


def slower(
    route: str, pairs: Sequence[tuple[float, float]], slack: float, alpha: float = ALPHA
) -> Slower | None:
    """What pairs of (control, candidate) times say against a limit of 1 + slack; None if nothing."""
    limit, count = 1 + slack, len(pairs)
    if not count:
        return None
    beyond = sum(candidate > limit * control for control, candidate in pairs)
    if (p := binomial_tail(count, 0.5, beyond)) < alpha / 2:
        ratio = median(candidate / max(control, 1e-9) for control, candidate in pairs)
        return Slower(route, "median", count, ratio, limit, p)
    control, candidate = zip(*pairs, strict=True)
    if bounds(candidate, alpha / 4)[0] > limit * bounds(control, alpha / 4)[1]:
        ratio = quantile(candidate, TAIL) / max(quantile(control, TAIL), 1e-9)
        return Slower(route, "95th percentile", count, ratio, limit, alpha / 2)
    return None


def bounds(values: Sequence[float], alpha: float, q: float = TAIL) -> tuple[float, float]:
    """Lower and upper bound of a quantile, each wrong with a chance of at most `alpha`.

    0 and infinity where there are too few values to say anything.
    """
    ordered, count = sorted(values), len(values)
    tails = _tails(count, q)  # X below, the number of values under the quantile, is Binomial(count, q)
    # The k-th smallest value exceeds the quantile only if X < k, and stays under it only if X >= k.
    lower = next((k for k in range(count, 0, -1) if 1 - tails[k] <= alpha), 0)
    upper = next((k for k in range(1, count + 1) if tails[k] <= alpha), 0)
    return (ordered[lower - 1] if lower else 0.0), (ordered[upper - 1] if upper else math.inf)


def lasting_bounds(values: Sequence[float], alpha: float, q: float = TAIL) -> tuple[float, float]:
    """The same two bounds, valid at every look at a growing sample: each is ever wrong with a chance of at
    most `alpha`, however often one looks and whenever one stops.

    Whether a value lies under the quantile is a coin with a known chance, q; a bet on every other chance at
    once, spread as a beta distribution around q, is a fair game, and exceeds 1 / alpha with a chance of at
    most alpha (Ville). The bounds are the ranks from which on that bet would have won.

    Source: Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
    best-arm identification", Bernoulli 28(3), 2022; the mixture is Robbins', Annals of Mathematical
    Statistics 41(5), 1970.
    """
    ordered, count = sorted(values), len(values)
    middle, enough = math.floor(q * count), -math.log(alpha)

    def wins(below: int) -> bool:
        return _log_bet(count, below, q) >= enough

    # The bet is lost around the middle, and its gain grows towards both ends: a search by halves finds both.
    upper = middle + bisect_left(range(middle, count + 1), True, key=wins)
    lower = middle - bisect_left(range(middle + 1), True, key=lambda away: wins(middle - away))
    return (ordered[lower] if lower >= 0 else 0.0), (ordered[upper - 1] if upper <= count else math.inf)


def samples_for_bounds(alpha: float, q: float = TAIL) -> int:
    """The least number of samples whose largest is an upper bound that lasts: 80 for p95 at 2.5 %."""
    return next(count for count in itertools.count(1) if _log_bet(count, count, q) >= -math.log(alpha))


def _log_bet(count: int, below: int, q: float) -> float:
    """The logarithm of what is won with `below` of `count` values under the quantile q."""
    a, b = q * SPREAD, (1 - q) * SPREAD
    won = _log_beta(a + below, b + count - below) - _log_beta(a, b)
    return won - below * math.log(q) - (count - below) * math.log1p(-q)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def binomial_tail(count: int, q: float, k: int) -> float:
    """P(X >= k) for X ~ Binomial(count, q)."""
    return _tails(count, q)[k]


def _tails(count: int, q: float) -> list[float]:
    """P(X >= k) for k = 0..count."""
    log_q, log_not, total = math.log(q), math.log1p(-q), math.lgamma(count + 1)
    tails, sum_from_k = [0.0] * (count + 1), 0.0
    for k in range(count, -1, -1):
        ways = total - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        sum_from_k += math.exp(ways + k * log_q + (count - k) * log_not)
        tails[k] = min(1.0, sum_from_k)
    return tails
