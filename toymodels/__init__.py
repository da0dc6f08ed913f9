"""Toy models of superposition (Elhage et al., 2022), with exact losses.

Notation        paper   here
density         1 - S   p, `density`: probability that a feature is not zero
importance      I_i     `importance`, weight of feature i in the loss
features        n       `n_features`           hidden dimensions  m  `n_hidden`
weights         W       `W` [instance, hidden, feature]: the paper's m × n, columns W_i are feature directions
biases          b       `b` [instance, feature]
data            x, x'   `x`, `x_hat` [instance, batch, feature]
loss            L       [instance]: E Σ_i I_i (x_i - x̂_i)²
Everything is stacked along a leading *instance* axis: one call trains many models, each on its own.

Which to call
train       one stack of models on any objective, with curves and snapshots: to study training itself
restarts    many random starts of a model, trained by train() and scored alike: how often does training succeed?
minimise    the loss to the minimum near each start, compiled: tens of times faster than train, no curves
search      the lowest minima that can be found, where there are very many: what is optimal?
follow      a minimum while density, importance or a penalty changes; crossing: where two of them have the same loss
phase_diagram  minimise (or train on batches) on a grid of density and importance, resumable, on many processes
load        the models that a figure shows, with their data and loss

What to hand them
data.py     what x is: Sparse-, Correlated-, Paired-, Anticorrelated-, HierarchicalFeatures; draws samples, says the law
models.py   what x̂ is: LinearModel and ReLUModel (exact losses), ReLUHiddenModel and AbsoluteValueModel (sampled ones)
autoencoders.py  SparseAutoencoder on the Activations of a model, its AutoencoderLoss, and what it reads
losses.py   what is minimised: PopulationLoss exactly, StratifiedLoss on one sample, SampledLoss on fresh batches

Ten words
task        an instance of the features; many starts of each are stacked as instance = start * tasks + task
represented ‖W_i‖ > 1/2: the feature has a direction
superposition  represented, and others activate its direction: interference above 1/4
start       a model with random weights, before training
minimum     weights that no small change improves; the lowest one is the optimum
basin       the starts from which a training ends in a minimum
kick        the weights of one random feature drawn afresh, to leave a minimum for another one
branch      a minimum, followed while a setting changes
border      where the lowest loss goes over from one branch to another
exact loss  the expected loss by formula, without sampling: see population.py
"""

from toymodels import theory
from toymodels.autoencoders import Activations, AutoencoderLoss, Reading, SparseAutoencoder, decoder_cosines, read
from toymodels.branches import Branch, crossing, follow, relax
from toymodels.data import (
    AnticorrelatedFeatures,
    CorrelatedFeatures,
    Features,
    HierarchicalFeatures,
    Law,
    PairedFeatures,
    SharedByBatch,
    SharedByBoth,
    SharedByExample,
    SparseFeatures,
    Values,
)
from toymodels.losses import PopulationLoss, SampledLoss, StratifiedLoss, weighted_mse
from toymodels.metrics import (
    Phase,
    angles,
    dimensionality,
    dimensions_per_feature,
    feature_norms,
    in_superposition,
    interference,
    phase_labels,
    represented,
)
from toymodels.minima import minimise, search
from toymodels.models import (
    AbsoluteValueModel,
    LinearModel,
    ReLUHiddenModel,
    ReLUModel,
    ToyModel,
    stack_models,
)
from toymodels.population import population_loss
from toymodels.problem import Problem
from toymodels.representation import readout_accuracy, represented_features
from toymodels.saved import Saved, load
from toymodels.sweeps import PhaseDiagram, phase_diagram
from toymodels.training import History, Restarts, restarts, success_rate, train

__version__ = "0.3.0"
