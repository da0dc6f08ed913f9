"""Shares of runs, with the interval that their number leaves open; and whether the same starts do better in one of two
settings."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy.stats import binomtest
from torch import Tensor


class Share(NamedTuple):
    """A share, and the ends of its interval."""

    value: float
    low: float
    high: float


def share(flags: Bool[Tensor, " run"] | Bool[np.ndarray, " run"], confidence: float = 0.95) -> Share:
    """In which share of runs the flag is set, with Wilson's interval; of no runs, 0 and the interval of one without.

    Raises ValueError for a confidence outside (0, 1).
    """
    found, of = int(flags.sum()), max(len(flags), 1)
    return Share(found / of, *binomtest(found, of).proportion_ci(confidence, "wilson"))


def with_interval(key: str, found: Share) -> dict[str, float]:
    """The share and the ends of its interval under the names key, key_low and key_high, for Report.record_all."""
    return {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}


def fraction(flags: Bool[Tensor, "*run"]) -> float:
    """Which share of the flags is set, without an interval; NaN of none."""
    return flags.double().mean().item()


def percent(flags: Bool[Tensor, " run"]) -> str:
    """share(flags) as it is printed: "40% [30%, 51%]"."""
    return "{:.0%} [{:.0%}, {:.0%}]".format(*share(flags))


class Paired(NamedTuple):
    """Starts that only the first setting has, that only the second has, and the p-value of the two-sided sign test."""

    gains: int
    losses: int
    chance: float


def paired(more: Bool[Tensor, " start"], less: Bool[Tensor, " start"]) -> Paired:
    """Which of two settings the same starts succeed in: their difference start by start, see Paired."""
    gains, losses = int((more & ~less).sum()), int((less & ~more).sum())
    return Paired(gains, losses, float(binomtest(gains, max(gains + losses, 1)).pvalue))


def clear(comparisons: Iterable[Paired], level: float = 0.05) -> tuple[int, int]:
    """In how many comparisons the first setting is better, and in how many worse, with a chance below level."""
    found = [(one.gains, one.losses) for one in comparisons if one.chance < level]
    return sum(gains > losses for gains, losses in found), sum(gains < losses for gains, losses in found)
