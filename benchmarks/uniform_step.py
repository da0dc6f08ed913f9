"""One large uniform model (n = 400, m = 30): the dense step against baddbmm and autograd, one thread each, CPU time.

The plain side: torch.rand, a mask, baddbmm, autograd, Adam at 1e-3, batch 1,024, 10,000 steps. Fresh losses.

    PYTHONPATH=notebooks python benchmarks/uniform_step.py [density ...]
"""

import sys
import time

import torch

from studies import geometry
from toymodels.models import ReLUModel

N, M, BATCH, STEPS = 400, 30, 1024, 10_000


def batch(size, p, generator):
    x = torch.rand(1, size, N, generator=generator)
    return torch.where(torch.rand(1, size, N, generator=generator) < p, x, 0.0)


def plain(p):
    g = torch.Generator().manual_seed(0)
    model = ReLUModel(N, M, 1, generator=g)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(STEPS):
        x = batch(BATCH, p, g)
        h = torch.bmm(x, model.W.mT)
        loss = (torch.relu(torch.baddbmm(model.b[:, None], h, model.W)) - x).square().sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.W.detach()[0], model.b.detach()[0]


def ours(p, recipe):
    trained = geometry.train_uniform(N, M, p, 0, **recipe)
    return torch.tensor(trained["W"]), torch.tensor(trained["b"])


@torch.no_grad()
def fresh_loss(W, b, p):
    g = torch.Generator().manual_seed(1)
    xs = (batch(2000, p, g)[0] for _ in range(50))
    return sum((torch.relu(x @ W.mT @ W + b) - x).square().sum(1).mean().item() for x in xs) / 50 / p


def main():
    torch.set_num_threads(1)
    recipes = {0.6: {"batch": 256, "steps": 3000}, 0.356: {"batch": 512, "steps": 1500, "lr": 0.003, "control": False}}
    geometry.train_uniform(N, M, 0.5, 0, steps=2, batch=8)  # compiles
    for p in [float(word) for word in sys.argv[1:]] or recipes:
        for name, side in (("ours", lambda p=p: ours(p, recipes[p])), ("plain", lambda p=p: plain(p))):
            start = time.process_time()
            W, b = side()
            seconds = time.process_time() - start
            dstar = M / W.square().sum().item()
            print(f"p={p:<6g}{name:>6} {seconds:7.1f} s, loss/p {fresh_loss(W, b, p):.3f}, D* {dstar:.3f}", flush=True)


if __name__ == "__main__":
    main()
