"""The libraries whose arrays the functions under test compute with."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import _arrays

#: Computes the gradients of a function at arrays, with an upstream gradient.
Differentiate = Callable[[Callable[..., Any], Sequence[Any], Any], Sequence[Any]]


@dataclass(frozen=True)
class Framework:
    """A library of arrays."""

    #: Returns its array of the numbers of a NumPy array, or of nested lists; None stays None.
    convert: Callable[[Any, str], Any]
    #: Differentiates, if the library does.
    differentiate: Differentiate | None = None


def find(name: str, precision: str | None) -> Framework:
    """Returns the framework of a name, whose arrays have the type of the precision, if one is given."""
    if name == "numpy":
        return numpy(precision)
    if name == "torch":
        return torch(precision)
    if name == "jax":
        return jax(precision)
    raise ValueError(f"framework must be numpy, torch or jax, got {name!r}")


def numpy(precision: str | None) -> Framework:
    np = _arrays.numpy()
    if np is None:
        return Framework(lambda array, values: array)
    names = {"f64": "float64", "f32": "float32", "f16": "float16"}
    dtype = importlib.import_module("ml_dtypes").bfloat16 if precision == "bf16" else names.get(precision or "")

    def convert(array: Any, values: str) -> Any:
        if array is None:
            return None
        return array.astype(np.int64) if values == "indices" else array.astype(dtype) if dtype else array

    return Framework(convert)


def torch(precision: str | None) -> Framework:
    module = importlib.import_module("torch")
    names = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}

    def convert(array: Any, values: str) -> Any:
        if array is None:
            return None
        tensor = module.as_tensor(array)
        dtype = "int64" if values == "indices" else names.get(precision or "")
        return tensor.to(getattr(module, dtype)) if dtype else tensor

    def differentiate(output: Callable[..., Any], arrays: Sequence[Any], dout: Any) -> Sequence[Any]:
        leaves = [array.detach().clone().requires_grad_() for array in arrays]
        y = output(*leaves)
        gradients = module.autograd.grad(y, leaves, dout.to(y.dtype).reshape(y.shape), allow_unused=True)
        return [module.zeros_like(leaf) if gradient is None else gradient for leaf, gradient in zip(leaves, gradients)]

    return Framework(convert, differentiate)


def jax(precision: str | None) -> Framework:
    module, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    names = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}

    def convert(array: Any, values: str) -> Any:
        if array is None:
            return None
        dtype = "int32" if values == "indices" else names.get(precision or "")
        return jnp.asarray(array, dtype=dtype)

    def differentiate(output: Callable[..., Any], arrays: Sequence[Any], dout: Any) -> Sequence[Any]:
        y, gradients_of = module.vjp(output, *arrays)
        gradients: Sequence[Any] = gradients_of(dout.astype(y.dtype).reshape(y.shape))
        return gradients

    return Framework(convert, differentiate)
