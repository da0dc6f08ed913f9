"""Shapes in signatures: there, and checked, in every module outside engine/."""

import importlib
import inspect

import pytest
import torch
from conftest import CHECKED
from jaxtyping import TypeCheckError

from toymodels import population

PACKAGE = "losses", "models", "data", "population", "theory", "representation", "metrics"
STUDIES = (
    "canonical",
    "basins",
    "staircase",
    "sets",
    "conditions",
    "nulls",
    "landscape",
    "geometry",
    "intervals",
)
SHAPED = [f"toymodels.{name}" for name in PACKAGE] + [f"studies.{name}" for name in STUDIES]


@pytest.mark.parametrize("name", CHECKED)
def test_no_module_is_left_out_of_the_checks(name):
    module = importlib.import_module(name)
    assert "jaxtyping" in type(module.__spec__.loader).__module__


def test_a_wrong_shape_is_caught_where_a_signature_says_it():
    u, gain = torch.zeros(2, 3), torch.ones(2, 4)
    with pytest.raises(TypeCheckError):
        population.output_loss(u, gain, gain)


@pytest.mark.parametrize("name", SHAPED)
def test_public_functions_of_tensors_say_their_shapes(name):
    module = importlib.import_module(name)
    for label, function in inspect.getmembers(module, inspect.isfunction):
        if label.startswith("_") or function.__module__ != module.__name__:
            continue
        for argument, hint in inspect.get_annotations(inspect.unwrap(function)).items():
            assert hint is not torch.Tensor, f"{label}({argument}) has no shape"
