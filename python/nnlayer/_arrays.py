"""Arrays: from those of other libraries to files that nnlayer reads, from its results, and in base64 for programs under test."""

from __future__ import annotations

import base64
import functools
import importlib
import json
import math
import struct
from collections.abc import Iterator
from typing import Any


@functools.lru_cache(maxsize=None)
def numpy() -> Any:
    """Returns NumPy, or None where it is not installed. It is imported late, since pytest imports this package at each start."""
    try:
        return importlib.import_module("numpy")
    except ImportError:
        return None


def to_numpy(value: Any) -> Any:
    """Returns an array of NumPy with the numbers of an array of NumPy, JAX or PyTorch, or of nested lists."""
    if hasattr(value, "detach"):  # PyTorch; NumPy has no bfloat16 of its own
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    array = numpy().asarray(value)
    if array.dtype == object:
        raise TypeError(f"expected an array of numbers, got {value!r:.60}")
    return array


def write(value: Any, path: str) -> str:
    """Writes an array to a file of its own, and returns the text of the operand."""
    np = numpy()
    if np is not None:
        # A copy in row-major order keeps the rank; np.ascontiguousarray would make a vector of a number.
        np.save(path + ".npy", np.array(to_numpy(value), order="C"), allow_pickle=False)
        return path + ".npy"
    with open(path + ".json", "w", encoding="utf-8") as file:
        json.dump(to_lists(value), file)
    return path + ".json"


def to_lists(value: Any) -> Any:
    """Returns nested lists with the numbers of an array; NaN and infinities are numbers to Python's JSON and to nnlayer."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [to_lists(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def to_text(value: Any) -> str:
    """Returns the text of a setting: 2,1 for a list, and 1,2;0,1 for rows."""
    value = to_lists(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and any(isinstance(row, list) for row in value):
        return ";".join(to_text(row) for row in value)
    return ",".join(map(to_text, value)) if isinstance(value, list) else str(value)


def read_json(text: str) -> dict[str, Any]:
    """Returns the arrays of a JSON object as nested lists of floats."""
    words = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(entry) for entry in value]
        if isinstance(value, dict):  # an array without entries
            return empty_lists(value["shape"])
        return words[value] if isinstance(value, str) else value

    return {name: convert(value) for name, value in json.loads(text).items()}


def empty_lists(shape: list[int]) -> list[Any]:
    """Returns nested lists without numbers, as deep as brackets can be."""
    return [] if shape[0] == 0 else [empty_lists(shape[1:]) for _ in range(shape[0])]


def read_npz(path: str) -> dict[str, Any]:
    """Returns the arrays of a .npz file."""
    with numpy().load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


FORMATS = {"f64": "d", "f32": "f", "f16": "e"}


def decode(array: dict[str, Any]) -> Any:
    """Returns the array of an object of the protocol: of NumPy, in its dtype, or nested lists. bf16 becomes f32."""
    data, dtype, shape = base64.b64decode(array["base64"]), array["dtype"], array["shape"]
    if dtype == "bf16":  # the upper halves of floats
        data, dtype = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2)), "f32"
    np = numpy()
    if np is not None:
        # A copy, so that a function may write to its arguments.
        return np.frombuffer(data, "<f" + str(int(dtype[1:]) // 8)).reshape(shape).copy()
    return nest(iter([number for (number,) in struct.iter_unpack("<" + FORMATS[dtype], data)]), shape)


def nest(numbers: Iterator[float], shape: list[int]) -> Any:
    """Returns nested lists of a shape, filled in row-major order."""
    return [nest(numbers, shape[1:]) for _ in range(shape[0])] if shape else next(numbers)


def encode(value: Any) -> Any:
    """Returns the form of an array in a reply: base64 of its numbers in f64, f32 or f16, or nested lists without NumPy."""
    if numpy() is None:
        return to_lists(value)
    array = to_numpy(value)
    kind = array.dtype.str[1:] if array.dtype.str[1:] in ("f2", "f4") and array.dtype.kind == "f" else "f8"
    data = array.astype("<" + kind).tobytes()
    return {"shape": array.shape, "dtype": f"f{int(kind[1]) * 8}", "base64": base64.b64encode(data).decode()}
