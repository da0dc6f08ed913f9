"""The phase diagrams of an earlier replication (Roe, 2023), by its own procedure but for what is named here.

Its one-neuron models start far out, W ~ N(0, 1.5²) and b ~ N(0, 0.5²) (linear: both N(0, 1)), and take 6,000 steps of
Adam at a constant rate of 0.01 on a linear grid of density and importance. Its mask of shape (models, 1, 2) multiplies
data of shape (batch, models, 2, 1), and the product has two columns: every batch is two half batches, in each of which
all features of all examples share one on/off bit. See diagrams.threshold_vote for how it reads the weights.
"""

import numpy as np
import torch
from torch import Tensor

from toymodels.data import Features
from toymodels.losses import SampledLoss
from toymodels.models import LinearModel, ToyModel
from toymodels.training import train

RATE, STEPS = 0.01, 6000
HALF_BATCH = {False: 64, True: 128}  # examples in each of the two columns, ReLU and linear
START = {False: (1.5, 0.5), True: (1.0, 1.0)}  # standard deviations of W and b, ReLU and linear


def grid(cells: int) -> tuple[Tensor, Tensor]:
    """Densities and importances of cells × cells inner points of its linear axes, 0 to 1 and 0 to 10."""
    steps = torch.arange(1, cells + 1, dtype=torch.float64) / (cells + 1)
    return steps, 10 * steps


def train_diagram(
    model: type[ToyModel], data: type[Features], cells: int, starts: int, seed: int, steps: int = STEPS
) -> dict[str, np.ndarray]:
    """W [start, density, importance, 1, 2] after training on `data`: SharedByBoth for its mask, or another class."""
    p, r = (values.flatten() for values in torch.meshgrid(*grid(cells), indexing="ij"))
    linear = model is LinearModel
    size, (std_W, std_b) = len(p) * starts, START[linear]
    g = torch.Generator().manual_seed(seed)
    W, b = torch.randn(size, 1, 2, generator=g), torch.randn(size, 2, generator=g)
    models = model.from_weights(std_W * W, std_b * b)
    importance = torch.stack([torch.ones_like(r), r], 1).float().repeat(starts, 1)
    features = data(2, p).repeat(starts)
    columns = [SampledLoss(features, importance, HALF_BATCH[linear], generator=g) for _ in range(2)]
    train(models, lambda now: columns[0](now) + columns[1](now), steps, RATE, schedule="constant")
    return {"W": models.W.detach().view(starts, cells, cells, 1, 2).numpy()}
