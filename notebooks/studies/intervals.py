"""Shares of runs with their intervals, paired comparisons, and where a curve given at points crosses a level."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Share(NamedTuple):
    """The share of the runs that succeed, in [0, 1], and the two ends of its interval."""

    value: float
    low: float
    high: float


def share(flags: Bool[Tensor, " run"] | Bool[np.ndarray, " run"], confidence: float = 0.95) -> Share:
    """The share of the runs whose flag is set, with Wilson's interval at this confidence.

    Without any run the share is 0, and the interval is that of one run that fails.
    Raises ValueError for a confidence outside (0, 1).
    """
    from scipy.stats import binomtest  # here, because importing it takes a second

    found, of = int(flags.sum()), max(len(flags), 1)
    return Share(found / of, *binomtest(found, of).proportion_ci(confidence, "wilson"))


def fraction(flags: Bool[Tensor, "*run"]) -> float:
    """The share of the flags that are set, without an interval. It is NaN if there are no flags."""
    return flags.double().mean().item()


def percent(flags: Bool[Tensor, " run"]) -> str:
    """share(flags) in words, such as "40% [30%, 51%]"."""
    return "{:.0%} [{:.0%}, {:.0%}]".format(*share(flags))


class Paired(NamedTuple):
    """How two settings compare on the same starts, see paired.

    gains: number of starts that succeed in the first setting only. losses: in the second only. chance: p-value of the
    two-sided sign test, the probability of a difference at least as large if both settings were equally good.
    """

    gains: int
    losses: int
    chance: float


def paired(more: Bool[Tensor, " start"], less: Bool[Tensor, " start"]) -> Paired:
    """Compare two settings start by start; more and less tell which starts succeed in the first and in the second."""
    from scipy.stats import binomtest

    gains, losses = int((more & ~less).sum()), int((less & ~more).sum())
    return Paired(gains, losses, float(binomtest(gains, max(gains + losses, 1)).pvalue))


def clear(comparisons: Iterable[Paired], level: float = 0.05) -> tuple[int, int]:
    """The number of comparisons in which the first setting is better, and the number in which it is worse.

    Comparisons count if their chance is below level.
    """
    found = [(one.gains, one.losses) for one in comparisons if one.chance < level]
    return sum(gains > losses for gains, losses in found), sum(gains < losses for gains, losses in found)


def nearest(x: Float[Tensor, " point"], value: float) -> int:
    """The index of the point that is nearest to value, the first one if several are."""
    return int((x - value).abs().argmin())


def first_crossing(x: Float[Tensor, " point"], y: Float[Tensor, " point"], level: float) -> float:
    """The x at which a curve first falls below a level, on the straight line between the two points around it.

    The curve falls where one point lies at or above the level and the next one below it. Returns NaN if it never falls.
    """
    falls = torch.nonzero((y[:-1] >= level) & (y[1:] < level)).flatten()
    if not len(falls):
        return float("nan")
    k = falls[0]
    return (x[k] + (y[k] - level) / (y[k] - y[k + 1]) * (x[k + 1] - x[k])).item()


def half_way(share: Float[Tensor, " setting"], x: Float[Tensor, " setting"], log: bool = False) -> float:
    """The x at which a share, which rises along x but for noise, reaches one half.

    x [setting] rises. Each share is first replaced by the largest one up to there, so that falls are ignored; between
    two settings it is interpolated linearly in x, or in log10 x with log. Returns the first x if the share is above one
    half everywhere, the last x if it is below, and the last x at which it equals one half if there are several.
    """
    rising, places = np.maximum.accumulate(share.numpy()), x.numpy()
    if log:
        return float(10 ** np.interp(0.5, rising, np.log10(places)))
    return float(np.interp(0.5, rising, places))
