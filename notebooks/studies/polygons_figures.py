"""Panels of one feature perturbed: solutions along a branch, their losses, and the norm of that feature."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from studies.sets_figures import plane, pointing_up
from toymodels.branches import Branch
from toymodels.plots.base import TEXT_WIDTH

RATIOS, RATIO_COLOURS = Normalize(-1, 1), colormaps["viridis"]  # of log10 r
BRANCH_COLOURS = {"pentagon": "#e66101", "digons": "#5e3c99"}


def solutions(ax: Axes, branch: Branch, r: Tensor, up: int, every: int = 1) -> None:
    """Every so many of the solutions W [2, feature] along a branch of one line, in the colours of r, the first on top.

    up: the feature that points up. Solutions that have ended are left out.
    """
    chosen = [k for k in range(0, len(r), every) if branch.alive[k, 0]]
    for k in reversed(chosen):
        W = branch.W[k, 0]
        colour = RATIO_COLOURS(RATIOS(np.log10(r[k].item())))
        plane(ax, torch.from_numpy(pointing_up(W, up)), [colour] * W.shape[1], segments=False)


def ratio_key(figure: Figure, axes: Sequence[Axes]) -> Colorbar:
    """Colour bar of solutions, left of the given axes."""
    bar = figure.colorbar(ScalarMappable(RATIOS, RATIO_COLOURS), ax=axes, location="left", shrink=0.5, aspect=25)
    bar.set_ticks([-1, 0, 1], labels=["0.1", "1", "10"])
    bar.set_label("relative density or importance $r$")
    return bar


def branch_losses(
    ax: Axes, r: Tensor, branches: dict[str, Branch], crossing: float, tested: Tensor, runs: Tensor
) -> None:
    """Losses of the branches, by the names of BRANCH_COLOURS, over r, with a dot where one begins, and a dotted line
    where they cross; losses of single runs [start, ratio] at the tested ratios as grey points."""
    for name, branch in branches.items():
        alive = branch.alive[:, 0]
        ax.plot(r[alive], branch.loss[alive, 0], color=BRANCH_COLOURS[name], label=name, zorder=3)
        first = int(alive.nonzero()[0])
        if first > 0:
            ax.plot(r[first], branch.loss[first, 0], "o", color=BRANCH_COLOURS[name], ms=5, zorder=4)
    x, y = tested.expand_as(runs).T.flatten(), runs.T.flatten()
    ax.plot(x, y, ".", color="0.55", ms=2.5, zorder=2, label="runs")
    ax.axvline(crossing, color="black", lw=0.7, ls=":", label="where they cross")
    ax.set(xscale="log", yscale="log", xlim=(0.09, 11), ylim=(2.5e-3, 0.2), ylabel="loss")
    ax.set_title(f"they cross at $r$ = {crossing:.3f}")
    ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.set_yticks([0.003, 0.01, 0.03, 0.1], ["0.003", "0.01", "0.03", "0.1"])
    ax.minorticks_off()


@dataclass(frozen=True)
class Lines:
    """One kind of perturbation: the branches over r by the names of BRANCH_COLOURS, where they cross, and losses of
    single runs [start, ratio] at the ratios that were tested."""

    r: Tensor
    branches: dict[str, Branch]
    crossing: float
    tested: Tensor
    runs: Tensor


def perturbation_row(axes: np.ndarray, lines: Lines, kind: str, every: int = 1) -> None:
    """Three panels for one kind of perturbation, "density" say: both solutions along r, and their losses with those of
    single runs, see branch_losses. every: of the ratios."""
    left, middle, right = axes
    solutions(left, lines.branches["digons"], lines.r, up=1, every=every)
    solutions(middle, lines.branches["pentagon"], lines.r, up=0, every=every)
    left.set_title(f"two digons, {kind}", fontsize=8)
    middle.set_title(f"pentagon, {kind}", fontsize=8)
    left.annotate("feature 0", (0, -0.1), ha="center", va="top", fontsize=7)
    middle.annotate("feature 0", (0, 1.22), ha="center", va="bottom", fontsize=7)
    branch_losses(right, lines.r, lines.branches, lines.crossing, lines.tested, lines.runs)
    right.set_xlabel(f"relative {kind} $r$ of feature 0")


def perturbations(lines: dict[str, Lines], every: int = 1) -> Figure:
    """A row for each kind of perturbation, see perturbation_row, and the key of the ratios."""
    size = {"figsize": (TEXT_WIDTH, 4.0), "width_ratios": [1, 1, 1.6]}
    figure, axes = plt.subplots(len(lines), 3, squeeze=False, layout="constrained", **size)
    for row, (kind, one) in zip(axes, lines.items(), strict=True):
        perturbation_row(row, one, kind, every=every)
    ratio_key(figure, figure.axes[:-1])
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside lower right", ncols=4)
    return figure


def norms_and_snaps(r: Tensor, found: dict[int, tuple[Tensor, list[float]]]) -> Figure:
    """‖W_0‖ of the optimum over r, a line for each number of features, and dotted lines where a feature comes or goes.

    found: polygons.norms_and_snaps by number of features.
    """
    figure, ax = plt.subplots(figsize=(3.4, 2.0), layout="constrained")
    for number, (n, (norm, snaps)) in enumerate(found.items()):
        ax.plot(r, norm, "o-", ms=2.5, lw=0.8, color=f"C{number}", label=f"$n$ = {n}")
        for x in snaps:
            ax.axvline(x, color=f"C{number}", lw=0.7, ls=":")
    ax.set(xscale="log", xlabel="relative density $r$ of feature 0", ylabel=r"$\|W_0\|$ of the optimum")
    ax.set_ylim(-0.05, 1.35)
    ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.legend(loc="lower right")
    return figure
