"""Draw figures/thresholds: where the original sees a change, where the optimum changes, and where training does.

python scripts/draw_thresholds.py, after the notebooks: the places are those that they recorded, as printed. The rows
are those of the table of ten thresholds in FINDINGS, by verdict.
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from studies.report import by_key, use_style
from toymodels.plots.base import TEXT_WIDTH, density_axis

ROOT = Path(__file__).resolve().parents[1]
LBFGS, ADAM = "^", "v"  # markers of training
# change: (the original's densities around it, key of the optimum if there is one, training by its key)
Change = tuple[tuple[float, float], str | None, dict[str, str]]
PENTAGON: dict[str, Change] = {  # in relative density, on an axis of its own
    "a pentagon breaks into two pairs": (
        (0.4, 0.4),
        "perturbed.crossing",
        {"perturbed.half": LBFGS, "perturbed.half_adam": ADAM},
    ),
}
MOVED: dict[str, Change] = {
    "three pairs of partners: the first merges": (
        (0.05, 0.05),
        "collapse.one",
        {"collapse.one_half": LBFGS, "collapse.one_half_adam": ADAM},
    ),
    "three pairs of partners: the last merges": (
        (0.2, 0.25),
        "collapse.three",
        {"collapse.three_half": LBFGS, "collapse.three_half_adam": ADAM},
    ),
    "the equal pair stops being best, $r=1$": ((4 / 7, 4 / 7), "phase.triple_relaxed", {}),
    "pure pairs of neurons become best": ((0.04, 0.05), "hidden.edge_pairs", {}),
}
REFUTED: dict[str, Change] = {"six features in four neurons are best": ((0.12, 0.12), None, {})}
CONFIRMED: dict[str, Change] = {
    "three pairs of partners: the second merges": (
        (0.15, 0.15),
        "collapse.two",
        {"collapse.two_half": LBFGS, "collapse.two_half_adam": ADAM},
    ),
    "features begin to share neurons": ((0.5, 0.5), "hidden.edge_dedicated", {}),
    "three features in two neurons: the end": ((0.15, 0.2), "hidden.edge_three_in_two", {}),
    "five features in three neurons: the end*": ((0.12, 0.15), "hidden.edge_five_in_three", {}),
}
BLOCKS = {"moved": PENTAGON | MOVED, "refuted": REFUTED, "confirmed": CONFIRMED}
SAMPLED = "hidden."  # keys of losses that are sampled; the others are exact
COLUMNS = 1.03, 1.27, 1.49  # of the numbers at the right, in widths of the axes
ABOUT_HALF_TO = {"collapse.three_half_adam": 0.39}  # up to there about half of the starts have changed
NEAR = 0.1  # how far, of the original's place, a change may lie off and still count as at that place; our choice


def factor(place: float, between: tuple[float, float]) -> float:
    """place over the nearest density of the original; 1 inside."""
    return place / min(max(place, between[0]), between[1])


def away(place: float, between: tuple[float, float]) -> float:
    """How far place lies off, as a share of the original's nearest density."""
    return abs(factor(place, between) - 1)


def recorded() -> dict[str, str]:
    """The recorded numbers by key, as printed."""
    return {
        key: entry["text"] for key, entry in by_key(json.loads((ROOT / "figures" / "numbers.json").read_text())).items()
    }


def draw_row(ax: Axes, row: float, change: Change, texts: dict[str, str]) -> None:
    """One change: the original above, the optimum on it, training below, and the numbers at the right."""
    between, optimum, training = change
    near = (1 - NEAR) * between[0], (1 + NEAR) * between[1]
    ax.fill_between(near, row - 0.4, row + 0.4, color="#f7dcec", lw=0, zorder=0)
    ax.plot(between, [row - 0.1] * 2, "x-", color="#d01c8b", ms=4.5, lw=2)
    seen = "4/7" if between == (4 / 7, 4 / 7) else "–".join(f"{density:g}" for density in dict.fromkeys(between))
    words = seen, "nowhere", ""
    if optimum:
        place = float(texts[optimum])
        ax.plot([min(*between, place), max(*between, place)], [row - 0.1] * 2, color="0.8", lw=0.8, zorder=1)
        face = "white" if optimum.startswith(SAMPLED) else "#2c6fbb"
        ax.plot(place, row - 0.1, "D", color="#2c6fbb", mfc=face, ms=4, zorder=3)
        times = factor(place, between)
        words = seen, texts[optimum], "inside" if times == 1 else f"× {times:.2f}"
    for key, shape in training.items():
        face = "black" if shape == LBFGS else "white"
        if key in ABOUT_HALF_TO:
            ax.plot([float(texts[key]), ABOUT_HALF_TO[key]], [row + 0.24] * 2, color="black", lw=0.7, zorder=1)
        ax.plot(float(texts[key]), row + 0.24, shape, color="black", mfc=face, ms=4, mew=0.7)
    for x, word in zip(COLUMNS, words, strict=True):
        ax.text(x, row, word, transform=ax.get_yaxis_transform(), va="center", size=7)


def main() -> None:
    use_style()
    texts = recorded()
    figure = plt.figure(figsize=(TEXT_WIDTH, 3.1))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.0, 1.12], height_ratios=[1.9, 11.1])
    panels: list[dict[str, dict[str, Change]]] = [
        {"Moved: the optimum changes elsewhere": PENTAGON},
        {  # the first heading covers both panels
            "": MOVED,
            "Refuted: it has this code at no density": REFUTED,
            "Confirmed: it changes there, within a tenth": CONFIRMED,
        },
    ]
    for k, blocks in enumerate(panels):
        names, ax = figure.add_subplot(grid[k, 0]), figure.add_subplot(grid[k, 1])
        names.axis("off")
        row = -1
        for block, changes in blocks.items():
            row += bool(block)
            names.text(0, row, block, va="center", weight="bold", size=7)
            if row == 0 and k == 0:
                for x, head in zip(COLUMNS, ("original", "optimum", "factor"), strict=True):
                    ax.text(x, row, head, transform=ax.get_yaxis_transform(), va="center", color="0.4", size=7)
            for words, change in changes.items():
                row += 1
                names.text(0.04, row, words, va="center", size=7)
                draw_row(ax, row, change, texts)
        for each in (names, ax):
            each.set_ylim(row + 0.6, -0.6)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        if k:
            density_axis(ax, 0.8, 0.025)
            ax.set_xlabel("density $p$ of the features", size=7, labelpad=1)
            ax.set_xticks([0.5, 0.3, 0.2, 0.1, 0.05, 0.03])
        else:
            ax.set(xscale="log", xlim=(0.8, 0.14))
            ax.set_xlabel("density of one feature, over that of the other four", size=7, labelpad=1)
            ax.set_xticks([0.6, 0.4, 0.3, 0.2], ["0.6", "0.4", "0.3", "0.2"])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", labelsize=7, pad=1.5)
    key = [
        plt.Line2D([], [], color="#d01c8b", marker="x", ms=4.5, lw=2, label="original"),
        plt.Line2D([], [], color="#2c6fbb", marker="D", ms=4, lw=0, label="optimum, exact"),
        plt.Line2D([], [], color="#2c6fbb", marker="D", mfc="white", ms=4, lw=0, label="sampled"),
        plt.Line2D([], [], color="black", marker=LBFGS, ms=4, lw=0, label="L-BFGS"),
        plt.Line2D([], [], color="black", marker=ADAM, mfc="white", mew=0.7, ms=4, lw=0, label="Adam"),
        plt.Rectangle((0, 0), 1, 1, fc="#f7dcec", label="within a tenth"),
    ]
    figure.legend(handles=key, loc="outside upper right", ncols=6)
    for kind, dated in (("pdf", "CreationDate"), ("png", "Software")):  # without these equal drawings are equal files
        figure.savefig(ROOT / "figures" / f"thresholds.{kind}", metadata={dated: None})
    plt.close(figure)


if __name__ == "__main__":
    main()
