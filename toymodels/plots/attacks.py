"""Adversarial attacks (paper, section 6): vulnerability by density, its readings, masking, and training against it.

Harm is drawn as vulnerability, over the harm to the best orthogonal model at the same density.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from toymodels.plots.base import density_axis

TICKS = [1, 3, 10, 30]


def vulnerability_panel(ax: Axes, densities: Tensor, each: Tensor, worst: Tensor, paper: Tensor) -> None:
    """Vulnerability [density] to attacks on each example, to the worst universal one, and to the paper's."""
    ax.plot(densities, each, "o-", ms=2, label="for each example")
    ax.plot(densities, worst, label="universal, exact worst")
    ax.plot(densities, paper, ":", color="C3", label="universal, the paper's")
    ax.axhline(3, color="0.7", lw=0.6, zorder=0)
    ax.set(yscale="log", ylim=(0.2, 60), yticks=TICKS, yticklabels=TICKS)
    ax.minorticks_off()
    density_axis(ax, 1, 0.01)
    ax.set_xlabel("")


def per_dimension_panel(ax: Axes, densities: Tensor, per_dimension: Tensor) -> None:
    """Features per dimension [density]."""
    ax.plot(densities, per_dimension, color="C4")
    ax.set(ylim=(0, 14))
    density_axis(ax, 1, 0.01)


def against_dimensions(ax: Axes, lines: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """name -> features per dimension [density] and vulnerability [density], on log axes with the diagonal."""
    for k, (name, (per_dimension, values)) in enumerate(lines.items()):
        ax.plot(per_dimension, values, "o-", ms=2, lw=0.6, color=f"C{2 * k}", label=name)
    ax.plot([1, 14], [1, 14], "--", color="0.6", lw=0.7, zorder=0)
    ax.set(xlabel="features per dimension $1/D^*$", xscale="log", yscale="log", xlim=(0.9, 14), ylim=(0.2, 60))
    ax.set(xticks=[1, 2, 5, 10], xticklabels=[1, 2, 5, 10], yticks=TICKS, yticklabels=TICKS)
    ax.minorticks_off()


def reading_panel(ax: Axes, densities: Tensor, per_dimension: Tensor, values: Tensor) -> None:
    """One reading of vulnerability [density] beside features per dimension [density]."""
    ax.plot(densities, per_dimension, color="C4", lw=0.8, label="$1/D^*$")
    ax.plot(densities, values, color="C0", label="vulnerability")
    ax.axhline(3, color="0.7", lw=0.6, zorder=0)
    density_axis(ax, 1, 0.01)
    ax.set(xlabel="", ylim=(0, 8))


def reach_panel(ax: Axes, densities: Tensor, reach: Mapping[str, Tensor], on_flat: Tensor) -> None:
    """Harm of gradient attacks [density] over the analytic one's, by name, and the latter's where gradients vanish."""
    for name, values in reach.items():
        ax.plot(densities, values, label=name)
    ax.plot(densities, on_flat, ":", color="C3", label="analytic, where gradient 0")
    ax.axhline(1, color="0.7", lw=0.6, zorder=0)
    ax.set(ylim=(-0.03, 1.6))
    density_axis(ax, 1, 0.01)


def training_panels(axes: np.ndarray, strength: Tensor, trained: Mapping[float, Mapping[str, Tensor]]) -> None:
    """Models trained against attacks by strength: density -> per dimension, represented, superposed, clean, harm."""
    for colour, (density, t) in enumerate(trained.items()):
        look = {"color": f"C{colour}", "marker": "o", "ms": 2}
        axes[0].plot(strength, t["per dimension"], label=f"p = {density:.2g}", **look)
        axes[1].plot(strength, t["represented"], **look)
        axes[1].plot(strength, t["superposed"], color=f"C{colour}", ls=":")
        axes[2].plot(strength, t["clean"] / density, **look)
        axes[3].plot(strength, t["harm"], **look)
    axes[0].axhline(1, color="0.7", lw=0.6, zorder=0)
    axes[0].legend()
    titles = "$1/D^*$", "represented (dotted:\nin superposition)", "clean loss / $p$", "vulnerability at 0.1"
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title, xlabel="attack / mean norm", xlim=(0, None), ylim=(0, None))
