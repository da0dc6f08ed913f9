"""Section 2, n=20, m=5: how much lower are the losses that five more searches find?

Five searches with the settings of notebook 02 and other seeds, the lowest of all against the committed numbers. Takes
about five minutes on two cores.

    python benchmarks/restarts.py
"""

import json
import os
import time
from pathlib import Path

import torch

import toymodels as tm

ROOT = Path(__file__).resolve().parents[1]

SEARCHES = (
    ((1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07), {"starts": 32, "rounds": 4, "keep": 4}),
    (
        (0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001),
        {"starts": 192, "rounds": 12, "keep": 8, "kicks": 8, "race_terms": 0},
    ),
)


def main():
    numbers = json.loads((ROOT / "figures" / "numbers.json").read_text())["02_demonstrating_superposition"]
    print(f"\nLowest loss / p of notebook 02 against five more searches, n=20, m=5, {os.cpu_count()} cores")
    start = time.perf_counter()
    for densities, settings in SEARCHES:
        density = torch.tensor(densities, dtype=torch.float64)
        losses = torch.stack(
            [
                tm.search(
                    tm.ReLUModel,
                    tm.SparseFeatures(20, density),
                    0.7 ** torch.arange(20, dtype=torch.float64),
                    n_hidden=5,
                    generator=torch.Generator().manual_seed(100 + seed),
                    iterations=2000,
                    **settings,
                ).best_loss
                / density
                for seed in range(5)
            ]
        )
        for p, several in zip(densities, losses.T.tolist(), strict=True):
            if (key := f"demo.loss_{p:g}") in numbers:
                committed, lowest = numbers[key]["value"], min(several)
                print(
                    f"  p = {p:<6g} committed {committed:.5f}: {committed / lowest - 1:+.2%} "
                    f"against the lowest of five, {lowest:.5f}; highest of five {max(several) / lowest - 1:+.2%}"
                )
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
