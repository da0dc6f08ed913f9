"""Adversarial attacks (paper, section 6): vulnerability by density, its readings, masking, and training against it.

Harm is drawn as vulnerability, over the harm to the best orthogonal model at the same density.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from toymodels.plots.base import TEXT_WIDTH, density_axis
from toymodels.studies.vulnerability import READINGS, Masking, Study, Trained

TICKS = [1, 3, 10, 30]
WORST = "universal, worst found"


def vulnerability_figure(densities: Tensor, studies: Mapping[str, Study]) -> Figure:
    """Vulnerability and features per dimension of two studies, by name: against density, and each other."""
    figure, axes = plt.subplots(2, 3, figsize=(TEXT_WIDTH, 3.7), gridspec_kw={"width_ratios": [1, 1, 1.05]})
    for column, (name, s) in enumerate(studies.items()):
        vulnerability_panel(axes[0, column], densities, s.each, s.worst, s.paper)
        axes[0, column].set_title(f"{name}, m={s.model.n_hidden}")
        per_dimension_panel(axes[1, column], densities, s.per_dimension)
    axes[0, 0].set_ylabel("vulnerability")
    axes[1, 0].set_ylabel("features per dimension $1/D^*$")
    against_dimensions(axes[0, 2], {name: (s.per_dimension, s.each) for name, s in studies.items()})
    against_dimensions(axes[1, 2], {name: (s.per_dimension, s.worst) for name, s in studies.items()})
    axes[0, 2].set_title("for each example")
    axes[1, 2].set_title(WORST)
    for ax in axes[0, ::2]:
        ax.legend(loc="upper left", fontsize=7)
    return figure


def readings_figure(densities: Tensor, per_dimension: Tensor, readings: Mapping[str, Tensor]) -> Figure:
    """Vulnerability [density] by each of READINGS, beside features per dimension [density]."""
    figure, axes = plt.subplots(3, 3, figsize=(TEXT_WIDTH, 4.2), sharex=True, sharey=True)
    for ax, (key, values) in zip(axes.flat, readings.items(), strict=True):
        reading_panel(ax, densities, per_dimension, values)
        ax.set_title(READINGS[key])
    axes[0, 0].legend(loc="upper left", fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("density $p = 1 - S$")
    return figure


def masking_figure(densities: Tensor, off: Tensor, masked: Mapping[str, Masking]) -> Figure:
    """Outputs that are off and inputs without gradient [density]; what gradients reach, by name of a strength."""
    figure, axes = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.1))
    axes[0].plot(densities, off, color="C2", label="outputs that are off")
    axes[0].plot(densities, next(iter(masked.values())).flat, color="C3", label="inputs with gradient 0")
    axes[0].set(title="share", ylim=(0, 1.05))
    for ax, (words, m) in zip(axes[1:], masked.items(), strict=True):
        lines = {"one step": m.one_step, "ten steps from a random place": m.ten_steps}
        reach_panel(ax, densities, lines, m.on_flat)
        ax.set_title(f"harm / analytic, {words}")
    for ax in axes[:2]:
        ax.legend(loc="upper left")
    density_axis(axes[0], 1, 0.01)
    return figure


def training_figure(trained: Mapping[float, Trained]) -> Figure:
    """Models trained against attacks, by density."""
    figure, axes = plt.subplots(1, 4, figsize=(TEXT_WIDTH, 2.1))
    training_panels(axes, trained)
    return figure


def vulnerability_panel(ax: Axes, densities: Tensor, each: Tensor, worst: Tensor, paper: Tensor) -> None:
    """Vulnerability [density] to attacks on each example, to the worst universal one found, and to the paper's."""
    ax.plot(densities, each, "o-", ms=2, label="for each example")
    ax.plot(densities, worst, label=WORST)
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


def training_panels(axes: np.ndarray, trained: Mapping[float, Trained]) -> None:
    """Models trained against attacks by strength, on four axes: one line a density."""
    for colour, (density, t) in enumerate(trained.items()):
        look = {"color": f"C{colour}", "marker": "o", "ms": 2}
        axes[0].plot(t.strength, t.per_dimension, **look)
        axes[1].plot(t.strength, t.represented, **look)
        axes[1].plot(t.strength, t.superposed, color=f"C{colour}", ls=":")
        axes[2].plot(t.strength, t.clean / density, label=f"p = {density:.2g}", **look)
        axes[3].plot(t.strength, t.harm, **look)
    axes[0].axhline(1, color="0.7", lw=0.6, zorder=0)
    axes[2].legend(loc="lower right")  # where no line is
    titles = "$1/D^*$", "represented (dotted:\nin superposition)", "clean loss / $p$", "vulnerability at 0.1"
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title, xlabel="attack / mean norm", xlim=(0, None), ylim=(0, None))
