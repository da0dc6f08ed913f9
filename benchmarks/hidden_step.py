"""Loss and gradient of models with a hidden ReLU: the compiled step against PyTorch and autograd, one thread each.

Both sides see the same weighted rows, in float32, in this process, alternating; CPU time.

    PYTHONPATH=notebooks python benchmarks/hidden_step.py
"""

import statistics
import time

import numpy as np
import torch

from studies import neurons
from toymodels import samples
from toymodels.engine import hidden

ROWS = 1 << 14


def cpu_seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def main():
    torch.set_num_threads(1)
    print(f"{'n, m':>10} {'model':>9} {'torch ns/row':>13} {'ours ns/row':>12} {'ratio':>6}")
    for n, m, absolute in ((10, 5, False), (6, 10, True), (20, 10, True), (60, 40, True)):
        problem = neurons.Problem(0.8 ** np.arange(n), m, tied=not absolute, absolute=absolute)
        sample = samples.stratified(n, 0.1, ROWS, 0, absolute)
        theta, importance = neurons.starts(problem, 1, 0), problem.importance.astype(np.float32)
        x, weight = torch.tensor(sample.rows), torch.tensor(sample.weight.reshape(-1, 1))
        weight = weight * torch.tensor(importance)
        W1, W2, b, _ = (torch.tensor(part[0]).float() for part in neurons.weights(problem, theta))
        leaves = [W1.requires_grad_(), b.requires_grad_()] + ([W2.requires_grad_()] if absolute else [])

        def plain(x=x, W1=W1, W2=W2, b=b, weight=weight, leaves=leaves, absolute=absolute):
            for leaf in leaves:
                leaf.grad = None
            y = torch.relu(torch.relu(x @ W1.mT) @ (W2.mT if absolute else W1) + b)
            (weight * ((x.abs() if absolute else x) - y).square()).sum().backward()

        def ours(theta=theta, sample=sample, importance=importance, problem=problem):
            hidden.losses(theta, *sample, importance, *problem.flags)

        pairs = [(cpu_seconds(plain), cpu_seconds(ours)) for _ in range(9)][1:]  # the first warms up
        theirs, mine = (1e9 * statistics.median(side) / len(x) for side in zip(*pairs, strict=True))
        kind = "abs" if absolute else "tied"
        print(f"{f'{n}, {m}':>10} {kind:>9} {theirs:13.0f} {mine:12.0f} {theirs / mine:6.2f}")


if __name__ == "__main__":
    main()
