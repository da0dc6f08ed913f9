"""Shares of starts that succeed: how sure they are, and whether the same starts do better in one of two settings."""

from collections.abc import Iterable
from typing import NamedTuple

from jaxtyping import Bool
from scipy.stats import binomtest
from torch import Tensor

from toymodels.checks import require

Flags = Bool[Tensor, " start"]  # which of the starts succeed


class Paired(NamedTuple):
    """Starts that only the first setting has, that only the second has, and the p-value of the two-sided sign test."""

    gains: int
    losses: int
    chance: float


def share(flags: Flags) -> float:
    """Fraction of the flags [start] that are set, in [0, 1]; NaN of none."""
    return flags.double().mean().item()


def interval(flags: Flags) -> tuple[float, float]:
    """95 % Wilson interval of share(flags). Raises ValueError without any flags."""
    require(len(flags) > 0, "flags", flags, "at least one")
    return tuple(binomtest(int(flags.sum()), len(flags)).proportion_ci(0.95, "wilson"))


def percent(flags: Flags) -> str:
    """share(flags) with its interval(), as it is printed: " 40% [30%, 51%]"."""
    return "{:3.0%} [{:.0%}, {:.0%}]".format(share(flags), *interval(flags))


def paired(more: Flags, less: Flags) -> Paired:
    """Which of two settings the same starts succeed in: their difference start by start, see Paired."""
    gains, losses = int((more & ~less).sum()), int((less & ~more).sum())
    return Paired(gains, losses, float(binomtest(gains, max(gains + losses, 1)).pvalue))


def clear(comparisons: Iterable[Paired], level: float = 0.05) -> tuple[int, int]:
    """In how many comparisons the first setting is better, and in how many worse, with a chance below level."""
    found = [(one.gains, one.losses) for one in comparisons if one.chance < level]
    return sum(gains > losses for gains, losses in found), sum(gains < losses for gains, losses in found)
