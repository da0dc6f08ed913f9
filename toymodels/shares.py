"""Shares of runs, with the interval that their number leaves open."""

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
