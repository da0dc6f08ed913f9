import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toymodels as tm
from toymodels import metrics

PENTAGON = torch.tensor([72.0 * k for k in range(5)], dtype=torch.float64).deg2rad()
W_PENTAGON = torch.stack([PENTAGON.cos(), PENTAGON.sin()])[None]


def test_orthogonal_pair_and_nothing():
    W = torch.tensor([[[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]])
    assert tm.feature_norms(W).tolist() == [[1, 1, 2, 0]]
    assert tm.interference(W).tolist() == [[1, 1, 0, 0]]
    assert tm.dimensionality(W).tolist() == [[0.5, 0.5, 1, 0]]
    assert tm.represented(W).tolist() == [[True, True, True, False]]
    assert tm.in_superposition(W).tolist() == [[True, True, False, False]]


def test_pentagon_has_two_fifths_of_a_dimension_each():
    torch.testing.assert_close(tm.dimensionality(W_PENTAGON), torch.full((1, 5), 0.4, dtype=torch.float64))
    torch.testing.assert_close(tm.interference(W_PENTAGON), torch.full((1, 5), 1.5, dtype=torch.float64))
    assert tm.angles(W_PENTAGON).sort().values.tolist()[0] == pytest.approx([0, 72, 144, 216, 288])


def test_phase_labels():
    norm = torch.tensor([0.01, 0.99, 1.0, 0.3])
    shared = torch.tensor([1.0, 0.0, 1.0, 0.0])
    expected = [tm.Phase.IGNORED, tm.Phase.DEDICATED, tm.Phase.SUPERPOSITION, tm.Phase.IGNORED]
    assert tm.phase_labels(norm, shared).tolist() == [int(phase) for phase in expected]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), m=st.integers(1, 4), n=st.integers(1, 6), scale=st.floats(0.1, 10.0))
def test_metrics_follow_permutations_ignore_rotations_and_scale_as_they_should(seed, m, n, scale):
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(2, m, n, generator=generator, dtype=torch.float64)
    order = torch.randperm(n, generator=generator)
    rotation = torch.linalg.qr(torch.randn(m, m, generator=generator, dtype=torch.float64)).Q
    for metric, power in ((tm.feature_norms, 1), (tm.interference, 2), (tm.dimensionality, 0)):
        value = metric(W)
        torch.testing.assert_close(metric(W[..., order]), value[..., order], rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(metric(rotation @ W), value, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(metric(scale * W), scale**power * value, rtol=1e-8, atol=1e-9 * scale**power)
    total = tm.dimensionality(W).sum(-1)
    assert (total <= min(m, n) + 1e-9).all()  # features cannot share more dimensions than there are


def test_dimensions_per_feature():
    assert tm.dimensions_per_feature(W_PENTAGON).tolist() == pytest.approx([0.4])
    assert tm.dimensions_per_feature(torch.eye(3)).item() == pytest.approx(1.0)


METRICS = (
    *(tm.feature_norms, tm.interference, tm.dimensionality, tm.dimensions_per_feature),
    *(tm.represented, tm.in_superposition, tm.angles),
)


def test_cosines_of_a_triangle_and_of_an_unused_feature():
    W = torch.zeros(1, 2, 4, dtype=torch.float64)
    angle = torch.arange(3.0).double() * 2 * torch.pi / 3
    W[0, :, :3] = 0.7 * torch.stack([angle.cos(), angle.sin()])
    expected = torch.full((3, 3), -0.5, dtype=torch.float64).fill_diagonal_(1.0)
    torch.testing.assert_close(metrics.cosines(W)[0, :3, :3], expected)
    assert metrics.cosines(W)[0, 3].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_weights_without_two_axes_or_with_nan_are_refused(metric):
    with pytest.raises(ValueError, match=r"W is 'of shape \(5,\)'; allowed: a tensor \[..., hidden, feature\]"):
        metric(torch.ones(5))
    with pytest.raises(ValueError, match="W is nan; allowed: numbers"):
        metric(torch.tensor([[[1.0, float("nan")], [0.0, 1.0]]]))


def test_labels_of_nan_and_angles_of_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="overlap is nan"):
        tm.phase_labels(torch.ones(2), torch.tensor([0.0, float("nan")]))
    with pytest.raises(ValueError, match="hidden dimensions of W is 3; allowed: 2"):
        tm.angles(torch.ones(3, 5))


def test_gaps_are_between_represented_neighbours_and_go_all_the_way_round():
    W = torch.cat([W_PENTAGON[0], torch.tensor([[0.1], [0.0]])], 1)  # a sixth that is not represented
    torch.testing.assert_close(metrics.neighbour_gaps(W), torch.full((5,), 72.0, dtype=torch.float64))
    assert metrics.neighbour_gaps(torch.tensor([[1.0, 0.0], [0.0, 2.0]])).tolist() == [90.0, 270.0]
