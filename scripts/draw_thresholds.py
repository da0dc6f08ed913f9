"""Draw figures/thresholds: where the original sees a change, where the best solution changes, and where training does.

python scripts/draw_thresholds.py, after the notebooks: the numbers are those that they recorded.
"""

import json
import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from studies.report import by_key, use_style
from toymodels.plots.base import TEXT_WIDTH, density_axis

ROOT = Path(__file__).resolve().parents[1]
# change: the densities between which the original puts it; key of the optimum; keys of our training
THRESHOLDS = {
    "equal pair stops being best ($n=2$)": ((4 / 7, 4 / 7), "phase.triple_relaxed", ()),
    "tetrahedra give way to triangles": ((0.66, 0.66), "staircase.tetrahedron_triangle", ()),
    "triangles give way to pairs": ((0.52, 0.52), "staircase.triangle_digon", ("uniform.half_from",)),
    "pairs end": ((0.27, 0.27), "staircase.digon_ends", ("uniform.half_to",)),
    "pentagon breaks (relative density)": ((0.4, 0.4), "perturbed.crossing", ("perturbed.half", "perturbed.half_adam")),
    "three correlated pairs merge": (
        (0.2, 0.25),
        "collapse.three",
        ("collapse.three_half", "collapse.three_half_adam"),
    ),
    "two of them merge": ((0.15, 0.15), "collapse.two", ("collapse.two_half", "collapse.two_half_adam")),
    "one of them merges": ((0.05, 0.05), "collapse.one", ("collapse.one_half", "collapse.one_half_adam")),
    "hidden ReLU: a neuron each ends": ((0.5, 0.5), "hidden.edge_dedicated", ()),
    "hidden ReLU: three in two end": ((0.15, 0.2), "hidden.edge_three_in_two", ()),
    "hidden ReLU: five in three end": ((0.12, 0.15), "hidden.edge_five_in_three", ()),
    "hidden ReLU: pairs begin": ((0.04, 0.05), "hidden.edge_pairs", ()),
}


def away(place: float, between: tuple[float, float]) -> float:
    """|log| of the factor from place to the nearest density of the original; 0 inside."""
    return abs(math.log(place / min(max(place, between[0]), between[1])))


def recorded() -> dict[str, float]:
    """The recorded numbers by key."""
    return {
        key: entry["value"]
        for key, entry in by_key(json.loads((ROOT / "figures" / "numbers.json").read_text())).items()
    }


def main() -> None:
    use_style()
    values = recorded()
    figure, ax = plt.subplots(figsize=(0.8 * TEXT_WIDTH, 2.7))
    for row, (between, optimum, training) in enumerate(THRESHOLDS.values()):
        ends = np.array([*between, values[optimum]])
        ax.plot([ends.min(), ends.max()], [row, row], color="0.85", lw=0.8, zorder=1)
        ax.plot(between, [row, row], "x-", color="#d01c8b", ms=5, lw=3, solid_capstyle="butt", label="original")
        ax.plot(values[optimum], row, "D", color="#2c6fbb", ms=5, label="best solution")
        ax.plot([values[key] for key in training], [row] * len(training), "ko", ms=3, label="our training")
    ax.set_yticks(range(len(THRESHOLDS)), THRESHOLDS)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    density_axis(ax, 1.0, 0.025)
    ax.set_xticks([1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03])
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles[:3], labels[:3], loc="outside upper right", ncols=3)
    for kind, dated in (("pdf", "CreationDate"), ("png", "Software")):  # without these equal drawings are equal files
        figure.savefig(ROOT / "figures" / f"thresholds.{kind}", metadata={dated: None})
    plt.close(figure)


if __name__ == "__main__":
    main()
