"""Training conditions: maps, shares and lines of success."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from toymodels.intervals import share
from toymodels.plots.base import TEXT_WIDTH, array, fraction_line, panel_row

SHARED = {"sharex": True, "sharey": True, "squeeze": False}  # a grid of panels


def setting_map(
    ax: Axes, values: Tensor | np.ndarray, rates: Sequence[float], batches: Sequence[int | None], good: str = "high"
) -> AxesImage:
    """Fractions [rate, batch] of starts that succeed (good="high"), or excess losses (good="low"), as per cent.

    Colours run from 0 to 1, bright is good; grey where a setting was not run (NaN).
    """
    table = array(values)
    ax.set_facecolor("0.93")
    colours = "viridis" if good == "high" else "viridis_r"
    image = ax.imshow(table, cmap=colours, vmin=0, vmax=1, aspect="auto", origin="lower", rasterized=True)
    for row, column in np.ndindex(*table.shape):
        value = table[row, column]
        if not np.isnan(value):
            dark = (value < 0.6) == (good == "high")
            text = f"{100 * value:.0f}" if value < 9.995 else "∞" if np.isinf(value) else ">1k"
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    ax.set_xticks(range(len(batches)), [_batch_name(batch) for batch in batches])
    ax.set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    ax.tick_params(length=0)
    return image


def _batch_name(batch: int | None) -> str:
    if batch is None:
        return "∞"
    return f"{batch // 1024}k" if batch >= 1024 else str(batch)


def success_line(ax: Axes, values: Sequence, flags: Sequence[Tensor], label: str, **look: object) -> Line2D:
    """fraction_line of the share of starts that succeed, from the flags [start] at each of values, 95 % intervals."""
    found = list(map(share, flags))
    return fraction_line(ax, values, [s.value for s in found], [(s.low, s.high) for s in found], label, **look)


def success_by_steps(ax: Axes, steps: Sequence[int], flags: dict[int | None, Sequence[Tensor]]) -> None:
    """Shares of starts that succeed against steps, a line for each batch size: flags [start] at each of steps.

    None is the batch without noise, in black.
    """
    for number, (batch, found) in enumerate(flags.items()):
        name, colour = ("exact", "black") if batch is None else (f"batch {batch:,}", f"C{number}")
        success_line(ax, steps, found, name, color=colour, lw=1.2, ms=3)
    ax.set_xticks(steps, [f"{s:,}" if s < 1000 else f"{s // 1000}k" for s in steps])


def success_by_rate(ax: Axes, flags: dict[str, dict[int, dict[float, Tensor]]], colours: Sequence[str]) -> None:
    """Shares of starts that succeed against the learning rate: flags [start] by name, two numbers of steps and rate.

    The first number of steps is dotted. colours: one a name. Legend below.
    """
    for (name, by_steps), colour in zip(flags.items(), colours, strict=True):
        for (steps, by_rate), style in zip(by_steps.items(), (":", "-"), strict=True):
            look = {"color": colour, "ls": style, "ms": 3}
            success_line(ax, list(by_rate), list(by_rate.values()), f"{name}, {steps:,}", **look)
    rates = sorted({a for by_steps in flags.values() for by_rate in by_steps.values() for a in by_rate})
    ax.set_xticks(rates, [f"{a:g}" for a in rates])
    ax.set_xlabel("learning rate")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=7)


def setting_maps(
    rows: dict[str, Sequence], titles: Iterable[str], rates: Sequence[float], batches: Sequence[int | None]
) -> Figure:
    """A setting_map for each task of each row: shares [task, rate, batch] of starts by the label of the row."""
    titles = list(titles)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(TEXT_WIDTH, 5.4), **SHARED)
    for row, (label, tables) in zip(axes, rows.items(), strict=True):
        for ax, table in zip(row, tables, strict=True):
            image = setting_map(ax, np.array(table), rates, batches)
        row[0].set_ylabel(f"{label}\nlearning rate", fontsize=7.5)
    outer_labels(axes, titles, "batch size", fontsize=8)
    figure.colorbar(image, ax=axes, label="share of starts (numbers: %)", shrink=0.6)
    return figure


def steps_figure(rows: dict[float, Sequence[dict]], titles: Iterable[str], steps: Sequence[int]) -> Figure:
    """success_by_steps for each task, a row for each learning rate."""
    titles = list(titles)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(TEXT_WIDTH, 3.3), **SHARED)
    for row, (rate, tasks) in zip(axes, rows.items(), strict=True):
        for ax, flags in zip(row, tasks, strict=True):
            success_by_steps(ax, steps, flags)
        row[0].set_ylabel(f"rate {rate:g}\nsuccess")
    outer_labels(axes, titles, "steps", fontsize=8)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def rates_figure(panels: Sequence[dict], colours: Sequence[Sequence[int]]) -> Figure:
    """success_by_rate beside each other, with the numbers of their lines' colours."""
    figure, axes = panel_row(len(panels), 3.0)
    for ax, lines, numbers in zip(axes, panels, colours, strict=True):
        success_by_rate(ax, lines, [f"C{number}" for number in numbers])
    axes[0].set_ylabel("success")
    return figure


def outer_labels(axes: np.ndarray, titles: Sequence[str], below: str, **look: object) -> None:
    """A grid of panels [row, column] that share axes: titles above its columns, in this look, one name below each."""
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, **look)
    for ax in axes[-1]:
        ax.set_xlabel(below)
