"""The figure of the introduction: arrangements of five features in the plane by density."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from studies.intervals import Share
from toymodels.plots.base import TEXT_WIDTH, density_axis


def arrangements(densities: Tensor, count: Tensor, gaps: Sequence[Tensor], found: Sequence[Share]) -> Figure:
    """Five features in the plane by density: how many are represented, the angles between them, the share of starts.

    densities, count [density]; gaps: for each density the angles in degrees between neighbours, see neighbour_gaps;
    found: for each the share of starts that find the best.
    """
    figure, axes = plt.subplots(3, 1, figsize=(TEXT_WIDTH, 3.2), sharex=True, height_ratios=[1, 1.3, 1])
    axes[0].step(densities, count, where="mid")
    axes[0].set(ylabel="features\nrepresented", yticks=range(1, 6), ylim=(1.5, 5.4))
    for p, gap in zip(densities.tolist(), gaps, strict=True):
        axes[1].plot([p] * len(gap), gap, ".", color="C1", ms=2.5)
    for angle, name in ((72, "72° pentagon"), (90, "90° pairs"), (120, "120° triangle")):
        axes[1].axhline(angle, color="0.8", lw=0.6, zorder=0)
        where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        offset = (4, -3 if angle == 72 else 0)
        axes[1].annotate(name, (1.0, angle), offset, va="center", fontsize=7, color="0.35", **where)
    around = "two arrows: 90° on one side,\n270° around the back"
    axes[1].annotate(around, (float(densities[0]) / 1.45, 270), va="center", fontsize=7, color="0.35")
    axes[1].set(ylabel="angle between\nneighbours (°)", yticks=[0, 90, 180, 270], ylim=(0, 290))
    success, low, high = zip(*found, strict=True)
    axes[2].fill_between(densities, low, high, color="C2", alpha=0.25, lw=0)
    axes[2].plot(densities, success, color="C2")
    axes[2].set(ylabel="share of starts\nthat arrive", ylim=(0, 1.04))
    density_axis(axes[2], 1, 0.01)
    return figure
