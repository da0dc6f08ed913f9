import numpy as np
import pytest
import torch

from toymodels.shares import share


def test_a_share_and_its_interval():
    flags = torch.arange(100) < 29
    found = share(flags)
    assert found == share(flags.numpy())
    assert found.value == 0.29
    assert found.low == pytest.approx(0.2099, abs=1e-3)  # Wilson's formula with z = 1.96
    assert found.high == pytest.approx(0.3850, abs=1e-3)
    assert share(flags, 0.5).low > found.low
    assert share(np.zeros(0, bool)).value == 0
    with pytest.raises(ValueError, match="confidence"):
        share(flags, 1.5)
