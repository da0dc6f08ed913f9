"""Loss and gradient of models with a hidden ReLU: the compiled step against PyTorch and autograd, one thread each.

Both sides see the same weighted rows, in float32, in this process, alternating; CPU time.

    python benchmarks/hidden_step.py
"""

import statistics
import time

import torch

import toymodels as tm

ROWS = 1 << 14


def cpu_seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def main():
    torch.set_num_threads(1)
    print(f"{'n, m':>10} {'model':>18} {'torch ns/row':>13} {'ours ns/row':>12} {'ratio':>6}")
    tied, absolute = tm.ReLUHiddenModel, tm.AbsoluteValueModel
    for n, m, kind in ((10, 5, tied), (6, 10, absolute), (20, 10, absolute), (60, 40, absolute)):
        model = kind(n, m, generator=torch.Generator().manual_seed(0))
        features, importance = tm.SparseFeatures(n, 0.1, signed=kind is absolute), 0.8 ** torch.arange(n)
        objective = tm.StratifiedLoss(features, importance, ROWS)
        x, weight = map(torch.from_numpy, objective.sample.rows)

        def plain(model=model, x=x, weight=weight[..., None] * importance):
            model.zero_grad()
            (weight * (model.target(x) - model(x)).square()).sum().backward()

        def ours(model=model, objective=objective):
            objective.kernel(model)(list(model.parameters()))

        pairs = [(cpu_seconds(plain), cpu_seconds(ours)) for _ in range(9)][1:]  # the first warms up
        theirs, mine = (1e9 * statistics.median(side) / x.shape[1] for side in zip(*pairs, strict=True))
        print(f"{f'{n}, {m}':>10} {kind.__name__:>18} {theirs:13.0f} {mine:12.0f} {theirs / mine:6.2f}")


if __name__ == "__main__":
    main()
