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
minimise    the exact loss to the minimum near each start, compiled: tens of times faster than train, no curves
search      the lowest minima that can be found, where there are very many: what is optimal?
phase_diagram  minimise (or train on batches) on a grid of density and importance
All but train take store= and executor=: resumable from a folder, on many processes or machines, with the same bits.

What to hand them
data.py     what x is: Sparse-, Correlated-, Paired-, Anticorrelated-, HierarchicalFeatures; samples and their law
models.py   what x̂ is: LinearModel and ReLUModel (exact losses), ReLUHiddenModel and AbsoluteValueModel (sampled ones)
losses.py   what is minimised: SampledLoss on fresh batches, FixedSampleLoss on one sample, PopulationLoss exactly
What to read then
metrics, theory, representation, attacks: numbers and closed forms of W; intervals: shares of starts and curves at
points; plots: panels that several notebooks share; report: what leaves a notebook
Below
population  the exact loss and its derivation; training, minima, sweeps: the five above; chunks: long lists of work;
            streams, checks: seeds and arguments; engine: compiled loops, plain arrays in and out
"""

from toymodels import theory
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

__version__ = "0.2.0"

__all__ = [
    "AbsoluteValueModel",
    "AnticorrelatedFeatures",
    "Branch",
    "CorrelatedFeatures",
    "Features",
    "HierarchicalFeatures",
    "History",
    "Law",
    "LinearModel",
    "PairedFeatures",
    "Phase",
    "PhaseDiagram",
    "PopulationLoss",
    "Problem",
    "ReLUHiddenModel",
    "ReLUModel",
    "Restarts",
    "SampledLoss",
    "Saved",
    "SharedByBatch",
    "SharedByBoth",
    "SharedByExample",
    "SparseFeatures",
    "StratifiedLoss",
    "ToyModel",
    "Values",
    "angles",
    "crossing",
    "dimensionality",
    "dimensions_per_feature",
    "feature_norms",
    "follow",
    "in_superposition",
    "interference",
    "load",
    "minimise",
    "phase_diagram",
    "phase_labels",
    "population_loss",
    "readout_accuracy",
    "relax",
    "represented",
    "represented_features",
    "restarts",
    "search",
    "stack_models",
    "success_rate",
    "theory",
    "train",
    "weighted_mse",
]
