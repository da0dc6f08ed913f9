"""A sampled training step, and a whole task, against the plain loop most replications use.

Plain loop: einsum on [batch, instance, feature], two uniform draws per entry, autograd, AdamW 1e-3, batch 1024
(the recipe of the paper's public notebook). Both sides run in this process, alternating.

    python benchmarks/training_step.py
"""

import os
import statistics
import time
from functools import partial

import torch

import toymodels as tm

BATCH = 1024
DENSITIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


class PlainLoop:
    """One AdamW step on fresh data at each call."""

    def __init__(self, W, importance, density):
        self.W = torch.nn.Parameter(W.clone())
        self.b = torch.nn.Parameter(torch.zeros(W.shape[0], W.shape[2]))
        self.importance, self.density = importance, density
        self.optimizer = torch.optim.AdamW([self.W, self.b], lr=1e-3)

    def __call__(self):
        shape = BATCH, self.W.shape[0], self.W.shape[2]
        x = torch.where(torch.rand(shape) <= self.density[:, None], torch.rand(shape), torch.zeros(()))
        hidden = torch.einsum("bif,ihf->bih", x, self.W)
        out = torch.relu(torch.einsum("bih,ihf->bif", hidden, self.W) + self.b)
        loss = (self.importance * (x - out) ** 2).sum(-1).mean(0).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def seconds(function, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def step_ratios():
    print(f"\nSampled training step, batch {BATCH}, {os.cpu_count()} cores")
    print(f"{'instances, n, m':>18} {'plain ms':>9} {'ours ms':>9} {'ratio':>6}")
    for instances, n, m, steps in ((10, 5, 2, 200), (8, 20, 5, 100), (20, 100, 20, 10)):
        generator = torch.Generator().manual_seed(0)
        model = tm.ReLUModel(n, m, instances, generator=generator)
        density = torch.full((instances,), 0.1)
        plain = PlainLoop(model.W.detach(), torch.ones(n), density)
        objective = tm.SampledLoss(tm.SparseFeatures(n, density), torch.ones(n), BATCH, generator=generator)
        ours_steps = partial(tm.train, model, objective, steps, lr=1e-3, optimizer="adamw")
        pairs = [(seconds(plain, steps), seconds(ours_steps, 1) / steps) for _ in range(8)][1:]  # the first warms up
        theirs, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{f'{instances}, {n}, {m}':>18} {1e3 * theirs:9.2f} {1e3 * ours:9.2f} {theirs / ours:6.2f}")


if __name__ == "__main__":
    step_ratios()
