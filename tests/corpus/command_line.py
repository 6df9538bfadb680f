"""The command lines of `nnlayer gradcheck` for a layer of the corpus, and the operands that they give."""

import random
import shlex
from dataclasses import dataclass

from corpus import Case, Layer, all_layers
from mistakes import kind, precisions

NO_CASE = Case("")


@dataclass
class Check:
    """One program with one command line; the seed is chosen at each run."""

    layer: Layer
    known_as: str  # the value of --layer
    variant: str
    precision: str
    case_name: str = ""

    @property
    def case(self):
        return self.layer.cases[self.case_name] if self.case_name else NO_CASE

    @property
    def is_right(self):
        return self.variant == "right"

    @property
    def kind(self):
        if self.is_right:
            return ""
        mistake = self.layer.mistakes.get(self.variant)
        return mistake.kind if mistake else kind(self.variant)

    def options(self, seed, detect_precision=False):
        """Returns the options of `nnlayer gradcheck`, without the program."""
        operands = given_options(self.layer, self.case, seed)
        shapes = [f"--shape={name}={shape}" for name, shape in drawn_shapes(self.layer, self.case).items() if name not in operands]
        values = [f"--{name}={value}" if value is not None else f"--{name}" for name, value in operands.items()]
        settings = shlex.split(self.layer.settings) if self.known_as != "custom" else []
        precision = [] if detect_precision else [f"--precision={self.precision}"]
        return [f"--layer={self.known_as}", f"--seed={seed}", *settings, *precision, *shapes, *values]

    def arguments(self):
        """Returns the arguments of program.py."""
        digits = ["--digits", str(self.case.digits)] if self.case.digits else []
        return [self.layer.name, self.variant, self.precision, *digits]


def checks():
    """Returns every check of the corpus."""
    return [check for layer in all_layers().values() for check in checks_of(layer)]


def evenly_spaced(everything, size):
    """Returns a sample with many layers, mistakes and precisions; everything if there is no size."""
    if not size or size >= len(everything):
        return everything
    return [everything[k * len(everything) // size] for k in range(size)]


def checks_of(layer):
    for known_as in layer.layers:
        for variant in layer.variants() + layer.variants_of_cases():
            for precision in precisions_of(layer, variant):
                # A wrong forward pass can only be told by a nnlayer that knows the layer.
                if known_as == "custom" and variant in layer.mistakes and layer.mistakes[variant].kind == "forward":
                    continue
                if variant in layer.variants():
                    yield Check(layer, known_as, variant, precision)
                for name, case in layer.cases.items():
                    if precision in case.precisions and (variant == "right" or variant in case.wrong.split()):
                        yield Check(layer, known_as, variant, precision, name)


def precisions_of(layer, variant):
    if variant == "right":
        return layer.precisions
    of_mistake = layer.mistakes[variant].precisions if variant in layer.mistakes else precisions(variant)
    if variant in layer.hidden_in_bf16.split():
        of_mistake = [precision for precision in of_mistake if precision != "bf16"]
    return [precision for precision in layer.precisions if precision in of_mistake]


def given_options(layer, case, seed):
    """Returns option → text for the operands with given values; those of the case replace those of the layer."""
    drawn = {name: draw(f"{layer.name} {name} {seed}", *how) for name, how in layer.draw.items()}
    return drawn | parse_options(layer.options) | parse_options(case.options)


def parse_options(text):
    options = {}
    for word in shlex.split(text):
        if word.startswith("--"):
            name = word[2:]
            options[name] = None
        else:
            options[name] = word
    return options


def draw(seed, shape, lowest, highest):
    """Draws an array as text; its values have two decimals more than their range needs."""
    numbers = random.Random(seed)
    sizes = [int(size) for size in shape.split("x") if size]
    entries = iter(lambda: f"{numbers.uniform(lowest, highest):.3f}", None)
    if not sizes:
        return next(entries)
    rows = sizes[0] if len(sizes) == 2 else 1
    return ";".join(",".join(next(entries) for _ in range(sizes[-1])) for _ in range(rows))


def drawn_shapes(layer, case):
    """Returns operand → shape for the operands that nnlayer draws."""
    shapes = layer.shapes if case.shapes is None else case.shapes
    return dict(part.split("=", 1) for part in shapes.split())


def operands(layer, case, seed):
    """Returns the operands as nested lists of Python floats, with random ones much like those of nnlayer."""
    numbers = random.Random(f"{layer.name} {seed}")

    def random_array(sizes):
        if not sizes:
            return numbers.uniform(-2, 2)
        return [random_array(sizes[1:]) for _ in range(sizes[0])]

    given = given_options(layer, case, seed)
    inputs = {
        name: random_array([int(size) for size in shape.split("x") if size])
        for name, shape in drawn_shapes(layer, case).items()
        if name not in given
    }
    return inputs | {name: read_array(text) for name, text in given.items() if name != "dout"}


def read_array(text):
    """Reads `1,2;3,4`, `1,2` or `1`."""
    if ";" in text:
        return [read_array(row) for row in text.split(";")]
    if "," in text:
        return [float(entry) for entry in text.split(",")]
    return float(text) if text else []


