"""Argument checks: every public entry point fails early, naming the argument, its value and what is allowed."""

import math
from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise ValueError("name is value; allowed: ...") unless condition holds."""
    if not condition:
        raise ValueError(f"{name} is {value!r}; allowed: {allowed}")


def count(name: str, value: int, least: int = 1) -> int:
    """value as an int of at least `least`."""
    whole = isinstance(value, int) or (hasattr(value, "__index__") and not isinstance(value, bool))
    require(whole and value >= least, name, value, f"a whole number of at least {least}")
    return int(value)


def positive(name: str, value: float) -> float:
    """value as a finite float above 0."""
    require(math.isfinite(value) and value > 0, name, value, "a finite number above 0")
    return float(value)


def in_range(name: str, values: Tensor, low: float, high: float, allowed: str) -> None:
    """Every entry of values is a number in [low, high]; the first offender is named."""
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        require(False, name, values[bad][0].item(), allowed)


def importance_tensor(importance: object, n_features: int, n_instances: int, like: Tensor) -> Tensor:
    """importance [feature] or [instance, feature] as a tensor [instance, feature] on like's device and dtype."""
    weights = torch.as_tensor(importance, dtype=like.dtype, device=like.device)
    shape, fits = tuple(weights.shape), ((n_features,), (1, n_features), (n_instances, n_features))
    require(shape in fits, "importance", f"of shape {shape}", f"shape {fits[0]} or {fits[2]}")
    in_range("importance", weights, 0.0, torch.finfo(weights.dtype).max, "finite numbers of at least 0")
    return weights.expand(n_instances, n_features)


def finite_weights(model: torch.nn.Module) -> None:
    """Raise ValueError naming the first parameter of model that holds a NaN or an infinity."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            bad = parameter[~torch.isfinite(parameter)][0].item()
            require(False, name, bad, "finite numbers")


def of_weights(metric: Callable) -> Callable:
    """Decorates a function of W [..., hidden, feature]: ValueError if W lacks the two axes or holds a NaN."""

    @wraps(metric)
    def checked(W: Tensor, *arguments: object, **settings: object) -> Tensor:
        shape = f"of shape {tuple(W.shape)}" if isinstance(W, Tensor) else W
        require(isinstance(W, Tensor) and W.ndim >= 2, "W", shape, "a tensor [..., hidden, feature]")
        require(not W.isnan().any(), "W", math.nan, "numbers")
        return metric(W, *arguments, **settings)

    return checked
