"""The e-process of the gate on numbers: how strongly answers speak against a share of differing ones.

Wald's likelihood ratio of p1 = limit / 10 against p0 = limit. It is valid at every look (Ville's inequality),
so it may be asked as often as one likes: promote once it reaches 1 / (1 - confidence).
"""

from __future__ import annotations

import math


def e_value(n: int, k: int, limit: float) -> float:
    """E of n comparable requests of which k differ: (p1/p0)^k * ((1-p1)/(1-p0))^(n-k), p1 = p0 / 10."""
    return math.exp(min(log_e(n, k, limit), 700))  # beyond that a float overflows, and the verdict is clear


def log_e(n: int, k: int, limit: float) -> float:
    """The logarithm of E."""
    return k * _log_mismatch() + (n - k) * _log_match(limit)


def samples_needed(k: int, limit: float, confidence: float) -> int:
    """The least n at which k differing ones still pass: 3,327 for 0.1 % at 95 %, and 2,558 more for each."""
    return k + math.ceil((-math.log(1 - confidence) - k * _log_mismatch()) / _log_match(limit))


def _log_mismatch() -> float:
    return -math.log(10)


def _log_match(limit: float) -> float:
    return math.log1p(-limit / 10) - math.log1p(-limit)
