"""The seven densities × 8 starts of n=20, m=5: exact training against the plain sampled loop, to equal loss.

The plain loop (AdamW 1e-3, batch 1024, 10,000 steps: the paper's notebook) is timed over some steps, extrapolated, and
its final losses are found by running it in full with the fast sampler (same recipe, same batch). Compared at the worst
of the seven densities: the best loss of the starts, and their mean where there are as many.

    python benchmarks/population_training.py
"""

import os
import time

import torch
from training_step import DENSITIES, PlainLoop, seconds

import toymodels as tm

STARTS, STEPS = 8, 10_000


def main():
    density = torch.tensor(DENSITIES, dtype=torch.float64)
    features, importance = tm.SparseFeatures(20, density), 0.7 ** torch.arange(20)
    generator = torch.Generator().manual_seed(0)
    model = tm.ReLUModel(20, 5, STARTS * len(density), generator=generator)
    plain = PlainLoop(model.W.detach(), importance, density.float().repeat(STARTS))
    seconds(plain, 10)
    plain_time = STEPS * seconds(plain, 60)
    recipe = {"lr": 1e-3, "optimizer": "adamw", "schedule": "constant"}
    start = time.perf_counter()
    sampled = tm.restarts(tm.ReLUModel, features, importance, 5, STARTS, generator, steps=STEPS, batch=1024, **recipe)
    sampled_time = time.perf_counter() - start
    print(f"\nn=20, m=5, {len(density)} densities × {STARTS} starts to equal population loss, {os.cpu_count()} cores")
    print(f"plain loop, {STEPS} steps (extrapolated from 60): {plain_time:.0f} s; SampledLoss: {sampled_time:.0f} s")

    def compare(name, taken, runs):
        best_excess = (runs.best_loss / sampled.best_loss - 1).max().item()
        mean_excess = (runs.loss.mean(0) / sampled.loss.mean(0) - 1).max().item()
        mean = f", mean loss {mean_excess:+.1%}" if len(runs.loss) == STARTS else ""
        print(
            f"{name}: {taken:.1f} s, ratio {plain_time / taken:.1f}; worst density: best loss {best_excess:+.1%}{mean}"
        )

    for lr in (0.03, 0.1):
        for steps in (400, 800, 1600):
            generator = torch.Generator().manual_seed(1)
            start = time.perf_counter()
            exact = tm.restarts(tm.ReLUModel, features, importance, 5, STARTS, generator, steps=steps, lr=lr)
            compare(f"PopulationLoss, Adam {lr}, {steps} steps", time.perf_counter() - start, exact)
    for rounds in (0, 4, 8):
        generator = torch.Generator().manual_seed(1)
        start = time.perf_counter()
        found = tm.search(tm.ReLUModel, features, importance, 5, 3 * STARTS, generator, rounds=rounds, keep=6)
        compare(f"search, {3 * STARTS} starts, {rounds} rounds", time.perf_counter() - start, found)


if __name__ == "__main__":
    main()
