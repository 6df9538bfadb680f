"""Layers, their command lines, and their wrong variants; the files in layers/ list them."""

import functools
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

PRECISIONS = ("f64", "f32", "f16", "bf16")


@dataclass
class Case:
    """More options of `nnlayer gradcheck` to run a layer with; a right program must pass with them."""

    options: str
    precisions: tuple = PRECISIONS
    digits: int = 0  # the number of significant digits that the program prints; 0 for all
    shapes: Optional[str] = None
    wrong: str = ""  # wrong variants that must fail with these options too


@dataclass
class Mistake:
    """A wrong variant of a layer.

    Its gradients replace the right ones by name. With `forward`, the outputs are wrong and the gradients are
    those of the wrong outputs.
    """

    kind: str
    backward: Optional[Callable] = None
    forward: Optional[Callable] = None
    precisions: tuple = PRECISIONS


@dataclass
class Layer:
    name: str
    forward: Callable  # inputs by name → the output
    backward: Callable  # inputs by name, dout → the gradients by name
    shapes: str = "x=4x3"
    layers: tuple = ("custom",)  # names for --layer
    settings: str = ""  # options of a layer that nnlayer knows, with their values
    options: str = ""
    draw: dict = field(default_factory=dict)  # operand → (shape, lowest, highest): drawn by run.py
    output: str = "y"
    wrong: str = ""  # mistakes of mistakes.py that any layer can have
    hidden_in_bf16: str = ""  # those of them that the rounding of bf16 can hide
    mistakes: dict = field(default_factory=dict)
    cases: dict = field(default_factory=dict)
    precisions: tuple = PRECISIONS
    right: bool = True  # false for a layer that has no right gradient
    family: str = ""  # the name of its file, set by all_layers

    def outputs(self, result):
        return result if isinstance(result, dict) else {self.output: result}

    def variants(self):
        """Returns the variants that run with the options of the layer alone."""
        return (["right"] if self.right else []) + self.wrong.split() + list(self.mistakes)

    def variants_of_cases(self):
        """Returns the wrong variants that run only with the options of a case."""
        words = [word for case in self.cases.values() for word in case.wrong.split()]
        return [word for word in dict.fromkeys(words) if word not in self.variants()]


@functools.cache
def all_layers():
    """Returns the layers of every file in layers/, by name."""
    layers = {}
    for path in sorted((Path(__file__).parent / "layers").glob("*.py")):
        for layer in importlib.import_module(f"layers.{path.stem}").LAYERS:
            if layer.name in layers:
                raise ValueError(f"two layers have the name {layer.name}")
            layer.family = path.stem
            layers[layer.name] = layer
    return layers
