"""The figure of two sets of correlated features: local bases, and their losses."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from studies.local_bases import LocalBases, by_partner
from toymodels.plots.base import TEXT_WIDTH
from toymodels.plots.features import gram_grid, signed_key


def local_bases(found: LocalBases, shown: Sequence[float]) -> Figure:
    """WᵀW of the best models at up to three densities shown, features in the order by_partner, and the losses."""
    widths = [1, 1, 1, 1.3]
    figure, axes = plt.subplots(1, 4, figsize=(TEXT_WIDTH, 1.9), layout="constrained", width_ratios=widths)
    order = by_partner(found.W)
    for ax, p in zip(axes, shown, strict=False):
        k = found.nearest(p)
        gram_grid(ax, found.W[k][:, order[k]])
        ax.set_title(f"$p$ = {p:g}")
    signed_key(figure, axes[:3].tolist(), r"$W^{\top}W$")
    loss_per_density(axes[3], found.p, found.straight_loss, found.loss)
    return figure


def loss_per_density(ax: Axes, p: Tensor, permutation: Tensor, lowest: Tensor) -> None:
    """Losses of two sets of ten in ten dimensions, divided by the density, over it: of (I, -I), dashed, and the lowest
    found. With a legend."""
    ax.loglog(p, permutation / p, "--", color="0.4", label="$(I, -I)$: $10p/3$")
    ax.loglog(p, lowest / p, "o-", ms=3, color="#e66101", label="lowest found")
    ax.set(xlabel="density $p$", ylabel="loss / $p$")
    ax.invert_xaxis()  # dense on the left
    ax.legend(loc="lower left", fontsize=7)
