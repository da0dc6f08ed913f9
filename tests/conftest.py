import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
