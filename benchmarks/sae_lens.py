"""One stacked sparse autoencoder against SAELens on the same weights, and the time of a training step of each.

    pip install -e . -r benchmarks/requirements-sae-lens.txt
    python benchmarks/sae_lens.py

Same loss to 1e-6 and same latents to 1e-5, for the L1 penalty and for TopK (without SAELens's optional rescaling of
pre-activations by decoder norms). A step is: draw a batch of 1,024 activations, loss, gradients, Adam. Both sides run
in this process, alternating, on one thread; CPU time.
"""

# ruff: noqa: E402  (this file has the name of the library, so its folder leaves the path before the import)

import statistics
import sys
import time
from pathlib import Path

sys.path = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

import torch
from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.saes.sae import TrainStepInput

import toymodels as tm

BATCH, STACKED, STEPS, REPEATS = 1024, 1000, 20, 5
PENALTY, LEARNING_RATE = 0.1, 3e-4


def cpu_seconds(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def theirs_of(model: tm.SparseAutoencoder):
    """SAELens's autoencoder with the weights of the first instance of ours."""
    sizes = {"d_in": model.n_features, "d_sae": model.n_hidden}
    if model.gate == "relu":
        sae = StandardTrainingSAE(StandardTrainingSAEConfig(**sizes, l1_coefficient=PENALTY))
    else:
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(**sizes, k=model.k, rescale_acts_by_decoder_norm=False))
    with torch.no_grad():
        sae.W_enc.copy_(model.E[0].mT)
        sae.W_dec.copy_(model.D[0].mT)
        sae.b_enc.copy_(model.e[0])
        sae.b_dec.copy_(model.d[0])
    return sae


def step_input(h: torch.Tensor) -> TrainStepInput:
    return TrainStepInput(
        sae_in=h, coefficients={"l1": PENALTY}, dead_neuron_mask=None, n_training_steps=0, is_logging_step=False
    )


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    features = tm.SparseFeatures(5, 0.1)
    found = tm.search(tm.ReLUModel, features, torch.ones(5), 2, starts=20, generator=generator)
    activations = tm.Activations(found.models.select([0]), features)
    print(f"{'kind':>6} {'loss differs':>13} {'latents differ':>15} {'theirs us':>10} {'ours us':>8} {'ratio':>6}")
    for kind, k in (("relu", None), ("topk", 1)):
        settings = {"activation": kind, "k": k, "init_scale": 1.0}
        one = tm.SparseAutoencoder(2, 5, generator=generator, **settings)
        for values in one.parameters():
            values.data += 0.1 * torch.randn(values.shape, generator=generator)
        theirs, seeds = theirs_of(one), torch.tensor([1])
        h = activations.sample(BATCH, seeds).float()[0]
        ours = tm.AutoencoderLoss(activations, PENALTY, batch=BATCH, generator=seeds)(one).item()
        output = theirs.training_forward_pass(step_input(h))
        loss = abs(output.loss.item() - ours)
        latents = (output.feature_acts - one.hidden(h[None])[0]).abs().max().item()
        assert loss < 1e-6, loss
        assert latents < 1e-5, latents

        many = tm.SparseAutoencoder(2, 5, STACKED, generator=generator, **settings)
        objective = tm.AutoencoderLoss(activations, PENALTY, batch=BATCH, generator=generator)
        optimiser = torch.optim.Adam(theirs.parameters(), lr=LEARNING_RATE)
        W, density = activations.W[0].float(), features.density[0].float()

        def their_steps(theirs=theirs, optimiser=optimiser, W=W, density=density):
            for _ in range(STEPS):
                x = torch.rand(BATCH, 5) * (torch.rand(BATCH, 5) < density)
                optimiser.zero_grad()
                theirs.training_forward_pass(step_input(x @ W.mT)).loss.backward()
                optimiser.step()

        def our_steps(many=many, objective=objective):
            tm.train(many, objective, STEPS, LEARNING_RATE)

        pairs = [(cpu_seconds(their_steps), cpu_seconds(our_steps)) for _ in range(REPEATS + 1)][
            1:
        ]  # the first warms up
        their_time, our_time = (statistics.median(side) / STEPS * 1e6 for side in zip(*pairs, strict=True))
        our_time /= STACKED
        ratio = their_time / our_time
        print(f"{kind:>6} {loss:>13.1e} {latents:>15.1e} {their_time:>10.0f} {our_time:>8.1f} {ratio:>6.1f}")


if __name__ == "__main__":
    main()
