"""Training steps on a GPU against the compiled loops on all cores: the same starts, the same streams of data.

Without a GPU it says so and ends. Agreement is that of the losses after the first step and after all steps.

    python benchmarks/gpu.py
"""

import os
import time

import torch

import toymodels as tm

CASES = (("sampled", 1000, 5, 2), ("sampled", 1000, 20, 5), ("sampled", 100, 80, 20), ("sampled", 8, 400, 30))
EXACT = (("exact", 1000, 20, 5), ("exact", 20, 80, 20))  # the plain version holds [instance, output, feature, term]
STEPS = 30


def trained(kind, instances, n, m, device):
    """Milliseconds a step, and losses [record, instance]."""
    generator = torch.Generator().manual_seed(0)
    model = tm.ReLUModel(n, m, instances, generator=generator).to(device)
    features = tm.SparseFeatures(n, 0.1, device=device)
    importance = 0.9 ** torch.arange(n)

    def objective():
        if kind == "exact":
            return tm.PopulationLoss(features, importance)
        return tm.SampledLoss(features, importance, 1024, generator=torch.Generator().manual_seed(1))

    tm.train(model.select(torch.arange(instances)), objective(), 3, 1e-3)  # compiles, allocates
    start = time.perf_counter()
    history = tm.train(model, objective(), STEPS, 1e-3)
    losses = history.loss.double().cpu()
    return 1e3 * (time.perf_counter() - start) / STEPS, losses


def main():
    if not torch.cuda.is_available():
        print("no GPU here")
        return
    print(f"{torch.cuda.get_device_name()} against {os.cpu_count()} cores, milliseconds a step")
    print(
        f"{'loss':>8s} {'instances, n, m':>18s} {'cores':>9s} {'GPU':>9s} {'ratio':>6s}  first and last loss differ by"
    )
    for case in CASES + EXACT:
        cpu, there = trained(*case, "cpu")
        gpu, here = trained(*case, "cuda")
        apart = (here / there - 1).abs().amax(1)
        size = "{}, {}, {}".format(*case[1:])
        print(
            f"{case[0]:>8s} {size:>18s} {cpu:9.2f} {gpu:9.2f} {cpu / gpu:6.2f}  {apart[0]:.0e}, {apart[-1]:.0e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
