"""Loss and gradient of models with a hidden ReLU: the compiled step against PyTorch and autograd, one thread each.

Both sides see the same weighted rows, in float32, in this process, alternating; CPU time.

    python benchmarks/hidden_step.py
"""

import statistics
import time

import torch

import toymodels as tm
from toymodels.losses import kernel_of

ROWS = 1 << 14


def cpu_seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def main():
    torch.set_num_threads(1)
    print(f"{'n, m':>10} {'model':>9} {'torch ns/row':>13} {'ours ns/row':>12} {'ratio':>6}")
    for n, m, absolute in ((10, 5, False), (6, 10, True), (20, 10, True), (60, 40, True)):
        features, importance = tm.SparseFeatures(n, 0.1, signed=absolute), 0.8 ** torch.arange(n)
        kind = tm.AbsoluteValueModel if absolute else tm.ReLUHiddenModel
        model = kind(n, m, generator=torch.Generator().manual_seed(0))
        objective = tm.StratifiedLoss(features, importance, ROWS)
        x, weight = (torch.from_numpy(part) for part in objective.sample.rows)
        weight = weight[..., None] * importance

        def plain(model=model, x=x, weight=weight):
            model.zero_grad()
            (weight * (model.target(x) - model(x)).square()).sum().backward()

        def ours(model=model, objective=objective):
            kernel_of(objective, model)(list(model.parameters()))

        pairs = [(cpu_seconds(plain), cpu_seconds(ours)) for _ in range(9)][1:]  # the first warms up
        theirs, mine = (1e9 * statistics.median(side) / x.shape[1] for side in zip(*pairs, strict=True))
        name = "abs" if absolute else "tied"
        print(f"{f'{n}, {m}':>10} {name:>9} {theirs:13.0f} {mine:12.0f} {theirs / mine:6.2f}")


if __name__ == "__main__":
    main()
