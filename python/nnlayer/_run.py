"""Computes a layer in the nnlayer program."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Iterable
from typing import Any

from ._arrays import numpy, read_json, read_npz, to_text, write
from ._program import Error, execute, option


@functools.lru_cache(maxsize=None)
def layers() -> dict[str, dict[str, Any]]:
    """Returns the registry of layers by name: operands, settings, results and formulas, as ``nnlayer layers`` prints it."""
    return {layer["name"]: layer for layer in json.loads(execute(["layers"]))["layers"]}


def find_layer(name: str) -> dict[str, Any]:
    """Returns the registry row of a layer."""
    if name not in layers():
        execute([name, "--help"])  # raises the error, which names a similar layer
        raise Error("usage", f"{name} is not a layer: {', '.join(layers())}")
    return layers()[name]


def setting_arguments(layer: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Returns the options of a layer's settings: numbers, words, lists, and True for a flag. None leaves one out."""
    kinds = {setting["name"]: setting["kind"] for setting in layer["settings"]}
    arguments = []
    for keyword, value in settings.items():
        name = keyword.replace("_", "-")
        if kinds.get(name) == "flag":
            arguments += [option(name)] if value else []
        elif value is not None:
            arguments.append(f"{option(name)}={to_text(value)}")
    return arguments


def operand_arguments(names: Iterable[str], values: dict[str, Any], folder: str) -> list[str]:
    """Takes the operands out of the values, and returns their options. Arrays are written to files in the folder."""
    arguments = []
    for name in names:
        value = values.pop(name.replace("-", "_"), None)
        if value is not None:
            text = value if isinstance(value, str) else write(value, os.path.join(folder, name))
            arguments.append(f"{option(name)}={text}")
    return arguments


def run(
    layer: str,
    *,
    forward: bool = False,
    only: Iterable[str] | None = None,
    precision: str | None = None,
    strict: bool = False,
    **operands_and_settings: Any,
) -> dict[str, Any]:
    """Computes the results and gradients of a layer, and returns them by name.

    Operands and settings are keywords named as the options of the command, with ``_`` for ``-``: see ``nnlayer help LAYER``.
    An operand is an array of NumPy, PyTorch or JAX, nested lists, a number, or a text as on the command line (``"w.npz#fc1"``).
    ``dout`` is the upstream gradient, ones by default. A setting is a number, a word, a list, or True for a flag.
    The results are NumPy arrays if NumPy is installed, and nested lists otherwise.

    ``forward`` computes no gradients, ``only`` names the results to compute, ``precision`` is ``"f64"``, ``"f32"``,
    ``"f16"``, ``"bf16"`` or ``"exact"``, and ``strict`` makes errors of warnings.

    >>> run("softmax-xent", x=[[2.0, 1.0, 0.1]], t=[0], reduction="mean")["loss"]
    array(0.41702997)

    Raises :class:`nnlayer.Error` where the command ends with an error, and issues :class:`nnlayer.NnlayerWarning`.
    """
    row, values = find_layer(layer), dict(operands_and_settings)
    with tempfile.TemporaryDirectory(prefix="nnlayer-") as folder:
        names = [operand["name"] for operand in row["operands"]] + ["dout"]
        arguments = [layer, "--no-stdin", *operand_arguments(names, values, folder), *setting_arguments(row, values)]
        arguments += ["--forward"] if forward else []
        arguments += ["--strict"] if strict else []
        arguments += [f"--only={','.join(only)}"] if only is not None else []
        arguments += [f"--precision={precision}"] if precision is not None else []
        if numpy() is None:
            return read_json(execute([*arguments, "--json"]))
        results = os.path.join(folder, "results.npz")
        execute([*arguments, f"--out={results}"])
        return read_npz(results)
