"""The study of dictionaries: what its candidates are, its two routes to a border, and clusterings by rays."""

import math
from functools import partial

import pytest
import torch
from conftest import functions_of

import toymodels as tm
from studies import dictionaries
from toymodels import chunks

NOTEBOOK = functions_of("13_dictionaries", work=chunks.run)
PENTAGON = NOTEBOOK.limit_pentagon()


def unit_loss(model, activations, penalty):
    with torch.no_grad():
        return tm.AutoencoderLoss(activations, penalty, rows=2000)(model)


def test_true_dictionary_has_the_features_for_directions_and_silences_no_one_upwards():
    generator = torch.Generator().manual_seed(0)
    own = dictionaries.true_dictionary(PENTAGON, 7, generator)
    assert tm.read(own, PENTAGON).found.all()
    assert (own.e[0, :5] <= 0).all()
    few = dictionaries.true_dictionary(PENTAGON, 3, generator)
    assert tm.read(few, PENTAGON).found.sum() == 3


def test_chiral_dictionary_is_turned_by_the_angle_given():
    turned = dictionaries.chiral(PENTAGON, 18.0, 26.0)
    angle = tm.decoder_cosines(turned, PENTAGON.W).amax(2).acos().rad2deg()
    torch.testing.assert_close(angle, torch.full((1, 5), 26.0).double(), rtol=0, atol=1e-3)
    assert not tm.read(turned, PENTAGON).found.any()


def test_limit_loss_is_the_loss_on_sparse_data():
    activations = PENTAGON
    p = activations.features.density.flatten()[0].item()
    model = dictionaries.chiral(activations, 18.0, 26.0)
    limit = NOTEBOOK.limit_loss(model, activations.W[0], 0.1)
    assert unit_loss(model, activations, 0.1).item() / p == pytest.approx(limit.item(), rel=0.02)


def test_limit_border_is_where_the_two_losses_are_equal():
    at = NOTEBOOK.limit_border()
    own = dictionaries.true_dictionary(PENTAGON, 5, torch.Generator().manual_seed(0))
    turned = dictionaries.chiral(PENTAGON, *dictionaries.TWISTS[0])
    for penalty, sign in ((0.95 * at, 1), (1.05 * at, -1)):
        objective = partial(NOTEBOOK.limit_loss, W=PENTAGON.W[0], penalty=penalty)
        loss = [tm.minimise(start.select([0]), objective) for start in (own, turned)]
        assert sign * (loss[0] - loss[1]) > 0


def test_twisted_dictionary_is_cheaper_without_biases_by_trigonometry():
    unit = torch.nn.functional.normalize(PENTAGON.W[0], dim=0)
    tilt = math.degrees(
        math.atan2(
            math.cos(math.radians(54)) * math.sin(math.radians(72)),
            math.cos(math.radians(18)) + math.cos(math.radians(54)) * math.cos(math.radians(72)),
        )
    )
    prices = []
    for encoder, decoder in ((0.0, 0.0), (18.0, tilt)):
        model = dictionaries.chiral(
            tm.Activations(tm.ReLUModel.from_weights(unit), PENTAGON.features), encoder, decoder
        )
        E, D = (torch.nn.functional.normalize(w[0], dim=axis) for w, axis in ((model.E, 1), (model.D, 0)))
        z = (E @ unit).relu()
        z[z < 1e-9] = 0.0
        written = D @ z
        along = (written * unit).sum(0)
        torch.testing.assert_close(written, along * unit)
        prices.append((z.sum(0) / along)[0].item())
    assert prices[0] > prices[1]


def test_rays_are_the_best_encoder_of_their_directions():
    d, D = torch.zeros(2).double(), PENTAGON.W[0]
    model = dictionaries.rays(d, D)
    loss = dictionaries.ray_loss(PENTAGON, 2000)(d, D)
    with torch.no_grad():
        own = tm.AutoencoderLoss(PENTAGON, rows=2000, seed=0)(model)
    assert own.item() == pytest.approx(loss.item(), rel=1e-6)
    for name in ("E", "e"):
        worse = model.select([0])
        getattr(worse, name).data += 0.05
        with torch.no_grad():
            assert tm.AutoencoderLoss(PENTAGON, rows=2000, seed=0)(worse) > own


def test_true_until_follows_both_branches():
    found = dictionaries.true_until(PENTAGON, 5, 0.12, 0.16, starts=20, rows=1000)
    assert found["border"][0] == pytest.approx(NOTEBOOK.limit_border(), abs=0.004)
    assert not found["below"].any()
    assert found["above"].all()


def test_antipodal_pairs_are_read():
    features = tm.SparseFeatures(4, 0.2)
    best = tm.search(tm.ReLUModel, features, torch.ones(4), 2, 5, torch.Generator().manual_seed(1)).best
    activations = tm.Activations(best, features)
    found = dictionaries.lowest_dictionary(activations, 4, 0.05, starts=6)
    assert found["found"].all()
    again = tm.SparseAutoencoder.from_weights(**{name: torch.from_numpy(found[name]) for name in "EDed"})
    assert unit_loss(again, activations, 0.05).item() == pytest.approx(found["loss"][0], rel=0.05)


def test_the_jump_is_compared_and_not_its_ramp():
    found = dictionaries.lowest_jumprelu(PENTAGON, 5, 0.06, starts=6)
    assert found["loss"][0] <= found["loss"][1]
    assert found["loss"][1] < (PENTAGON.rows(4000).h.square().sum(-1) * PENTAGON.rows(4000).weight).sum()
    again = tm.AutoencoderLoss(PENTAGON, 0.06, rows=dictionaries.FINE_ROWS, seed=1, bandwidth=0.0)
    some = {name: torch.as_tensor(found[name]) for name in ("E", "D", "e", "d", "log_threshold")}
    with torch.no_grad():
        loss = again(tm.SparseAutoencoder.from_weights(**some, activation="jumprelu"))
    assert loss.tolist() == pytest.approx(found["loss"].tolist(), rel=1e-9)


def test_partners_of_independent_features_are_not_read_together():
    features = tm.PairedFeatures(4, [[0, 1], [2, 3]], 0.1, 0.1)
    (found,) = NOTEBOOK.partners([features], [2, 4], starts=6)
    assert found["found"][1] == 4
    assert found["read"][1] == pytest.approx(found["own"], abs=0.05)
    assert found["read"].shape == (2,)
