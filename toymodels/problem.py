"""What is to be learned: features and how much each matters, for one task or for many that are stacked."""

from typing import NamedTuple

import torch
from torch import Tensor

from toymodels.checks import importance_tensor
from toymodels.data import Features


class Problem(NamedTuple):
    """Features and their importance [task, feature]; a task is an instance of the features.

    Many starts of each task are stacked as instance = start * tasks + task.
    """

    features: Features
    importance: Tensor

    @classmethod
    def of(cls, features: Features, importance: object) -> "Problem":
        """The problem of as many tasks as the features have. importance: [feature] or [task, feature].

        Raises ValueError if the numbers of features or of tasks disagree.
        """
        like = torch.empty(0, dtype=torch.float64, device=features.density.device)
        return cls(features, importance_tensor(importance, features.n_features, features.n_instances, like))

    @property
    def tasks(self) -> int:
        return self.features.n_instances

    def repeat(self, times: int) -> "Problem":
        """The same tasks, so many times one after the other."""
        return Problem(self.features.repeat(times), self.importance.repeat(times, 1))
