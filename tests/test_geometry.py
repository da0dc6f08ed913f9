"""Dense training, feature graphs and the benefit of factors (paper, section 4)."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import crowd, geometry
from toymodels.engine import dense
from toymodels.population import linear_output_losses


def test_exact_gradient_of_the_linear_model_is_that_of_its_loss():
    g = torch.Generator().manual_seed(0)
    W = torch.randn(3, 7, generator=g, dtype=torch.float64).requires_grad_()
    b = torch.randn(7, generator=g, dtype=torch.float64).requires_grad_()
    linear_output_losses(W[None], b[None], torch.full((1, 7), 0.3, dtype=torch.float64)).sum().backward()
    gW, gb = dense.linear_gradient(W.detach(), b.detach(), 0.3)
    torch.testing.assert_close(gW, W.grad)
    torch.testing.assert_close(gb, b.grad)


def test_one_step_with_and_without_the_variate_agree_on_average():
    """With one huge batch both gradients are close to the exact one, so Adam's second step nearly agrees."""
    results = [geometry.train_uniform(12, 3, 0.5, 1, steps=20, batch=40_000, lr=0.01, control=c) for c in (True, False)]
    torch.testing.assert_close(*(torch.tensor(r["W"]) for r in results), atol=5e-3, rtol=0)


def test_training_repeats_bit_for_bit_for_any_number_of_threads():
    threads = torch.get_num_threads()
    runs = []
    for k in (1, 2):
        torch.set_num_threads(k)
        runs.append(geometry.train_uniform(20, 4, 0.3, 5, steps=30, batch=64))
        assert torch.get_num_threads() == k
    torch.set_num_threads(threads)
    assert all((runs[0][name] == runs[1][name]).all() for name in ("W", "b"))


def test_graph_names_parts_by_count_rank_and_edges():
    angle = torch.arange(5.0).double() * 2 * torch.pi / 5
    parts = [geometry.simplex(1), geometry.simplex(2), geometry.simplex(3), torch.stack([angle.cos(), angle.sin()])]
    graph = geometry.feature_graph(torch.block_diag(*parts, geometry.double_simplex(4)))
    names = {part.name for part in graph.components}
    assert names == {"digon", "triangle", "tetrahedron", "pentagon", "double simplex in 4"}
    assert not graph.is_cloud


def test_dimensionalities_never_exceed_the_rank_and_double_simplices_have_theirs():  # C4.10
    W = torch.randn(50, 6, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (tm.dimensionality(W).sum(-1) <= 6 + 1e-9).all()
    for d in (2, 5, 11):
        D = tm.dimensionality(geometry.double_simplex(d)[None])
        torch.testing.assert_close(D, torch.full_like(D, d / (2 * (d + 1))))


def test_double_simplex_overtakes_the_digon_before_the_pentagon_does():  # C4.13
    angle = torch.arange(5.0).double() * 2 * torch.pi / 5
    shapes = geometry.simplex(1), torch.stack([angle.cos(), angle.sin()]), geometry.double_simplex(10)
    digon, pentagon, double = (
        geometry.optimum(W.shape[1], len(W), [0.226], 0, seeded=[W], terms=256)["benefit"].item() for W in shapes
    )
    assert pentagon < digon < double


def test_a_crowd_without_extra_lines_is_the_digon_and_frames_come_near_the_crowd():
    p = 0.2
    assert crowd.crowd_loss(p, 0.0, 1.0, 0.0) == pytest.approx(p**2 / 6, abs=1e-4)  # kinks cost the quadrature this
    limit = crowd.best_crowd(p)
    gains = [
        geometry.optimum(2 * j * 6, 5 * j, [p], 0, seeded=[geometry.frame(5 * j, 6 * j)], iterations=200)[
            "benefit"
        ].item()
        for j in (1, 2)
    ]
    assert gains[0] < gains[1] < limit["benefit"] < 1.01 * gains[1]
    assert limit["dstar"] < limit["dimensionality"] < 0.45


def test_polishing_lowers_the_exact_loss_and_leaves_out_what_is_not_represented():
    W = torch.cat([geometry.simplex(1), torch.full((1, 1), 0.01)], 1)
    result = geometry.polish(W.numpy(), torch.zeros(3).numpy(), 0.3)
    assert result["W"].shape == (1, 2)
    assert result["loss"] <= result["before"]
    assert result["loss"] == pytest.approx(0.3**2 / 3, rel=0.05)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="density"):
        geometry.train_uniform(5, 2, 0.0, 0, steps=1)
    with pytest.raises(ValueError, match="starts"):
        geometry.optimum(2, 1, [0.3], 0)
    with pytest.raises(ValueError, match="lines"):
        geometry.frame(4, 3)
    with pytest.raises(ValueError, match="density"):
        crowd.best_crowd(0.0)


def test_a_factor_that_drops_a_feature_has_no_benefit_of_its_own():
    found = geometry.optimum(3, 2, [0.6, 0.95], 0, seeded=[geometry.simplex(2)], iterations=100)
    found["W"][0, 1, :, 0] = 0.0  # the second setting has dropped its first feature
    benefit, dstar = geometry.whole(found)
    assert benefit[0] == found["benefit"][0]
    assert dstar[0] == pytest.approx(2 / (found["W"][0, 0] ** 2).sum())
    assert (benefit[1], dstar[1]) != (benefit[1], dstar[1])  # NaN


@pytest.mark.parametrize("density", [0.0, 1.5, float("nan")])
def test_no_recipe_for_a_density_outside(density):
    with pytest.raises(ValueError, match=r"density is .*; allowed"):
        geometry.recipe(density)


def test_polygon_has_equal_angles_of_unit_vectors():
    W = geometry.polygon(5)
    torch.testing.assert_close(tm.feature_norms(W), torch.ones(5).double())
    torch.testing.assert_close(tm.angles(W), 72.0 * torch.arange(5).double())
    with pytest.raises(ValueError, match="corners is 0"):
        geometry.polygon(0)


def test_jobs_of_uniform_models_follow_the_recipe_but_for_changes():
    job = geometry.uniform_job(0.3, 40, 5, seed=2, length=2, lr=0.02)
    recipe = geometry.recipe(0.3)
    sizes = {"n_features": 40, "n_hidden": 5, "density": 0.3, "seed": 2}
    assert job == sizes | recipe | {"steps": 2 * recipe["steps"], "lr": 0.02}
    with pytest.raises(ValueError, match="density"):
        geometry.uniform_job(0.0, 40, 5)


def test_names_of_a_graph_are_counted():
    graph = geometry.feature_graph(torch.block_diag(geometry.simplex(1), geometry.simplex(2), geometry.simplex(1)))
    assert list(graph.names.items()) == [("triangle", 1), ("digon", 2)]
    assert graph.names["pentagon"] == 0


def test_share_on_the_named_lines_is_of_represented_features():
    W = torch.block_diag(geometry.simplex(1), geometry.simplex(2), torch.zeros(0, 1).double())  # the last: dropped
    assert geometry.on_lines(torch.stack([W, 0 * W])).nan_to_num(-1).tolist() == [1.0, -1.0]
    assert geometry.on_lines(geometry.double_simplex(4)).item() == 1.0  # 2/5, as the pentagon
    assert geometry.on_lines(geometry.double_simplex(9)).item() == 0.0  # 9/20


def test_antipodes_are_counted_by_their_cosine():
    W = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.3, 1.0, 0.0]])
    assert geometry.with_antipode(torch.stack([W, W.abs()])).tolist() == [0.5, 0.0]
    assert geometry.with_antipode(W, below=-0.98).item() == 0.0


def test_the_lowest_candidate_is_told_from_single_random_starts():
    found = {
        "loss": np.array([[1.0, 0.2], [1.1, 0.1], [0.8, 0.4]]),
        "W": np.stack([np.full((2, 1, 3), size) for size in (1.0, 2.0, 0.5)]),
    }
    best = geometry.lowest(found, starts=2)
    assert (best.seeded, best.dstar, best.single.tolist()) == (True, 1 / 0.75, [1 / 3, 1 / 12])
    assert best.excess == pytest.approx(0.25)
    assert best.W.tolist() == [[0.5] * 3]
    other = geometry.lowest(found, starts=2, density=1)
    assert (other.seeded, other.excess, other.dstar) == (False, 0.0, 1 / 12)
    with pytest.raises(ValueError, match="starts is 0"):
        geometry.lowest(found, starts=0)
