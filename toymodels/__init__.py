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
"""

from toymodels import theory
from toymodels.data import (
    AnticorrelatedFeatures,
    CorrelatedFeatures,
    SharedByBatch,
    SharedByBoth,
    SharedByExample,
    SparseFeatures,
)
from toymodels.losses import FixedSampleLoss, PopulationLoss, SampledLoss, weighted_mse
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
from toymodels.minima import Branch, crossing, follow, minimise, relax, search
from toymodels.models import (
    AbsoluteValueModel,
    LinearModel,
    ReLUHiddenModel,
    ReLUModel,
    ToyModel,
    stack_models,
)
from toymodels.population import population_loss
from toymodels.representation import readout_accuracy, represented_features
from toymodels.sweeps import PhaseDiagram, phase_diagram
from toymodels.training import History, Restarts, restarts, success_rate, train

__version__ = "0.1.0"

__all__ = [
    "AbsoluteValueModel",
    "AnticorrelatedFeatures",
    "CorrelatedFeatures",
    "FixedSampleLoss",
    "History",
    "LinearModel",
    "Phase",
    "PhaseDiagram",
    "PopulationLoss",
    "ReLUHiddenModel",
    "ReLUModel",
    "Restarts",
    "SampledLoss",
    "SharedByBatch",
    "SharedByBoth",
    "SharedByExample",
    "SparseFeatures",
    "ToyModel",
    "angles",
    "dimensionality",
    "dimensions_per_feature",
    "feature_norms",
    "in_superposition",
    "interference",
    "minimise",
    "phase_diagram",
    "phase_labels",
    "population_loss",
    "readout_accuracy",
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
