"""Reading a curve that is given at points."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def nearest(x: Float[Tensor, " point"], value: float) -> int:
    """Which of the points is nearest to value; the first of several."""
    return int((x - value).abs().argmin())


def first_crossing(x: Float[Tensor, " point"], y: Float[Tensor, " point"], level: float) -> float:
    """Where a curve first falls through a level, by a straight line between the two points; NaN if it never does.

    A fall is from the level or above it to below it.
    """
    falls = torch.nonzero((y[:-1] >= level) & (y[1:] < level)).flatten()
    if not len(falls):
        return float("nan")
    k = falls[0]
    return (x[k] + (y[k] - level) / (y[k] - y[k + 1]) * (x[k + 1] - x[k])).item()


def half_way(share: Float[Tensor, " setting"], x: Float[Tensor, " setting"], log: bool = False) -> float:
    """Where along x, in rising order, a share that rises from setting to setting reaches one half.

    Linear in x between the settings, in log10 x with log. A fall of the share counts as noise, it stays where it was.
    The first or last x where it is above or below one half all along, the last one at which it is exactly one half.
    """
    rising, places = np.maximum.accumulate(share.numpy()), x.numpy()
    if log:
        return float(10 ** np.interp(0.5, rising, np.log10(places)))
    return float(np.interp(0.5, rising, places))
