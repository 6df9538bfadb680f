"""Generates random commands of nnlayer for same_results.py: operands in every form, layers, chains, networks, records, errors."""

import array
import dataclasses
import io
import itertools
import json
import math
import pathlib
import random
import re
import shlex
import struct
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = ("affine", "softmax", "xent", "softmax-xent", "relu", "sigmoid", "tanh")
ELEMENTWISE = ("relu", "sigmoid", "tanh")
LOSSES = ("xent", "softmax-xent")
GRAPH_EXTENSIONS = (".svg", ".html", ".dot", ".mmd")


# ---------------------------------------------------------------- arrays and the formats of their files


class Array:
    """Numbers in row-major order with a shape of rank 0, 1 or 2."""

    def __init__(self, shape, values):
        self.shape, self.values = tuple(shape), values

    @property
    def rank(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)

    def rows(self):
        """Returns the rows of a matrix; a vector or a scalar is one row."""
        width = self.shape[-1] if self.shape else 1
        return [self.values[k : k + width] for k in range(0, len(self.values), width)] if width else []

    def nested(self):
        if self.rank == 0:
            return self.values[0]
        return self.rows() if self.rank == 2 else list(self.values)

    def map(self, function):
        return Array(self.shape, [function(value) for value in self.values])


def scalar(value):
    return Array((), [value])


def number_text(value):
    """Returns the shortest digits of a number; a small integer has no decimal point."""
    if value == value and abs(value) < 1e6 and value == int(value) and math.copysign(1, value) > 0:
        return str(int(value))
    return repr(value)


def unusual_text(value, rng, in_json):
    """Formats a number in an unusual way: with many digits, an exponent, or in a literal a plus sign or no leading zero."""
    if not math.isfinite(value):
        return number_text(value)
    forms = [f"{value:.25e}", f"{value:.17E}", f"{value!r}"] + ([f"{value:.30f}"] if 1e-5 < abs(value) < 1e15 else [])
    if not in_json:
        if math.copysign(1, value) > 0:
            forms.append("+" + number_text(value))
        if 0.1 < value < 1:
            forms.append(repr(value).removeprefix("0"))
    return rng.choice(forms)


def literal(value, column=",", row=";", rng=None):
    unusual = rng is not None and rng.random() < 0.06
    format_number = (lambda number: unusual_text(number, rng, False)) if unusual else number_text
    text = row.join(column.join(map(format_number, numbers)) for numbers in value.rows())
    # A matrix of one row ends in a semicolon.
    return text + ";" if value.rank == 2 and value.shape[0] == 1 else text


def json_text(value, rng=None):
    """Returns a JSON array; non-finite numbers are strings, or the bare words that Python writes."""
    writes_python_words = rng is not None and rng.random() < 0.3
    unusual = rng is not None and rng.random() < 0.06

    def format_one(number):
        if math.isfinite(number):
            return unusual_text(number, rng, True) if unusual else number_text(number)
        word = "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
        return word if writes_python_words else f'"{word}"'

    def row(numbers):
        return "[" + ",".join(map(format_one, numbers)) + "]"

    if value.rank == 0:
        return format_one(value.values[0])
    if value.rank == 1:
        return row(value.values)
    return "[" + ",".join(map(row, value.rows())) + "]"


# The format character of `struct` for each type.
TYPES = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b"}
TYPES |= {"u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?"}


def cast(value, kind):
    """Converts a number to a type; if it is out of range, to infinity or the nearest integer of the type."""
    if kind.startswith("f"):
        try:
            struct.pack("<" + TYPES[kind], value)
            return value
        except OverflowError:
            return math.copysign(math.inf, value)
    if kind == "b1":
        return value > 0
    bits = 8 * int(kind[1:])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)
    return min(max(round(value), low), high) if value == value and abs(value) != math.inf else 0


def pack(values, kind, order="<"):
    if kind == "f8":
        data = array.array("d", values)
        if (order == ">") == (sys.byteorder == "little"):
            data.byteswap()
        return data.tobytes()
    return struct.pack(f"{order}{len(values)}{TYPES[kind]}", *(cast(value, kind) for value in values))


def npy(value, kind="f8", order="<", fortran=False, version=1):
    """Returns a .npy file of this type, byte order, memory order and format version."""
    shape = "(" + ", ".join(map(str, value.shape)) + ("," if value.rank == 1 else "") + ")"
    sign = "|" if kind.endswith("1") else order
    dictionary = f"{{'descr': '{sign}{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    prefix_bytes = 10 if version == 1 else 12
    header = (dictionary + " " * (-(prefix_bytes + len(dictionary) + 1) % 64) + "\n").encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    values = value.values
    if fortran and value.rank == 2:
        rows, columns = value.shape
        values = [values[row * columns + column] for column in range(columns) for row in range(rows)]
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + pack(values, kind, order)


def npz(files, deflated=False):
    """Returns an archive of .npy files, with the same bytes on every run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name + ".npy", (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
            archive.writestr(entry, data)
    return out.getvalue()


def safetensors(arrays, kind="f8"):
    names = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "u1": "U8"}
    header, data = {}, b""
    for name, value in arrays.items():
        begin = len(data)
        data += pack(value.values, kind)
        header[name] = {"dtype": names[kind], "shape": list(value.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def table(value, separator, rng):
    """Returns a CSV or TSV table; a vector is a column."""
    rows = [[number] for number in value.values] if value.rank < 2 else value.rows()
    end = rng.choice(["\n", "\n", "\r\n"])
    cells = [[f'"{number_text(v)}"' if rng.random() < 0.02 else number_text(v) for v in row] for row in rows]
    text = end.join(separator.join(row) for row in cells) + (end if rng.random() < 0.8 else "")
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + text.encode()


# ---------------------------------------------------------------- random numbers

SPECIAL = (
    [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.5e-310, 1e300, -1e300]
    + [1.7976931348623157e308, 1e-300, 709.0, -745.5, 1e16, -1e16, 9007199254740993.0, 0.1, 1.0, -1.0, 1000.0, -1000.0]
)


def draw_numbers(rng, count, kind=None):
    kind = kind or rng.choices(["whole", "short", "full", "wide"], [30, 30, 30, 10])[0]
    match kind:
        case "whole":
            return [float(rng.randint(-5, 5)) for _ in range(count)]
        case "short":
            digits = rng.randint(1, 4)
            return [round(rng.uniform(-4, 4), digits) for _ in range(count)]
        case "full":
            scale = rng.choice([0.1, 1, 1, 3])
            return [rng.gauss(0, scale) for _ in range(count)]
        case "wide":
            return [rng.choice([-1, 1]) * 10 ** rng.uniform(-9, 3) for _ in range(count)]
        case "gentle":
            return [round(rng.uniform(-2, 2), 3) for _ in range(count)]
        case "special":
            rate = rng.choice([0.1, 0.3, 0.6])
            return [rng.choice(SPECIAL) if rng.random() < rate else rng.gauss(0, 2) for _ in range(count)]
        case "masked":
            # Valid input of softmax: no +inf, and no row of only -inf.
            special_values = [-math.inf, -math.inf, -0.0, 1e300, -1e300, 5e-324, 1e-300, 700.0, -745.5, math.nan]
            return [rng.choice(special_values) if k % 3 and rng.random() < 0.4 else rng.gauss(0, 3) for k in range(count)]
        case "tiled":
            # A prime number of values, repeated: fast to create, and different in each row.
            values = [rng.gauss(0, 2) for _ in range(1009)]
            values = (values * (count // len(values) + 1))[:count]
            if rng.random() < 0.2:
                special_values = [math.nan, -math.inf, -0.0, 5e-324, 1e-300, -1e300, 700.0, -745.2]
                for _ in range(rng.randint(1, 5)):
                    values[rng.randrange(count)] = rng.choice(special_values)
            return values
    raise ValueError(kind)


def draw_array(rng, shape, kind=None):
    return Array(shape, draw_numbers(rng, math.prod(shape), kind))


def draw_probabilities(rng, shape, kind=None):
    """Draws rows that sum to 1, with some entries of 0."""
    columns, values = shape[-1], []
    for _ in range(math.prod(shape[:-1])):
        row = [0.0 if rng.random() < 0.05 else rng.expovariate(1) + 1e-6 for _ in range(columns)]
        row[rng.randrange(columns)] += 0.01
        total = math.fsum(row)
        values += [value / total for value in row]
    if kind == "special":
        special_values = [0.0, 1.0, 5e-324, 1e-300, math.nan, 1.5, -0.1]
        values = [rng.choice(special_values) if rng.random() < 0.2 else value for value in values]
    return Array(shape, values)


def draw_targets(rng, shape, dense=None):
    """Draws class indices, or one-hot or soft rows of this shape; also returns whether they are dense."""
    if dense is None:
        dense = rng.random() < 0.45
    if not dense:
        return Array(shape[:-1], [float(rng.randrange(shape[-1])) for _ in range(math.prod(shape[:-1]))]), False
    if rng.random() < 0.5:
        rows = [[0.0] * shape[-1] for _ in range(math.prod(shape[:-1]))]
        for row in rows:
            row[rng.randrange(len(row))] = 1.0
        return Array(shape, list(itertools.chain(*rows))), True
    return draw_probabilities(rng, shape), True


# ---------------------------------------------------------------- commands


@dataclasses.dataclass
class Run:
    """A pipeline of commands; the first reads `stdin`, each other one the output of the previous one."""

    stages: list
    stdin: bytes = None
    environment: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Shell:
    """A shell command, with nnlayer on the path."""

    line: str


@dataclasses.dataclass
class Edit:
    """Creates a file from the bytes of another one."""

    source: str
    target: str
    transform: object


@dataclasses.dataclass
class Case:
    """Steps that run in one folder, and the files in it at the start."""

    number: str
    group: str
    steps: list
    files: dict = dataclasses.field(default_factory=dict)
    # Links to folders of the project and to large files, by name.
    links: dict = dataclasses.field(default_factory=dict)
    timeout: int = 60

    def words(self):
        """Yields all words of the commands."""
        for step in self.steps:
            if isinstance(step, Run):
                yield from itertools.chain(*step.stages)
            elif isinstance(step, Shell):
                yield from step.line.split()

    def layers(self):
        """Returns the layers that the commands compute, including those of networks and tapes."""
        found = {word for word in self.words() if word in LAYERS}
        for data in self.files.values():
            if b'"layers"' in data[:4096]:
                found |= {name for name in LAYERS if f'"kind":"{name}"'.encode() in data}
        return found

    def precision(self):
        text = " ".join(self.words()).replace("=", " ")
        for data in self.files.values():
            if b'"precision"' in data[:200]:
                text += " " + data[:200].decode("utf-8", "replace")
        return "exact" if "exact" in text else "f32" if re.search(r"\bf32\b", text) else "f64"

    def lines(self):
        """Yields the commands as typed in a shell."""
        for step in self.steps:
            match step:
                case Run():
                    line = " | ".join(shlex.join(["nnlayer", *stage]) for stage in step.stages)
                    prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in step.environment.items())
                    if step.stdin is not None:
                        small = len(step.stdin) < 200 and step.stdin.isascii() and step.stdin.decode().isprintable()
                        line = f"printf %s {shlex.quote(step.stdin.decode())} | {line}" if small else f"{line} < STDIN"
                    yield prefix + line
                case Shell():
                    yield step.line
                case Edit():
                    yield f"# {step.target} is created from {step.source}"


class Builder:
    """Builds a command line: its options, the files that it reads and its standard input."""

    def __init__(self, rng, *words, files=None, prefix="", stdin=True):
        self.rng, self.words, self.options = rng, list(words), []
        self.files = {} if files is None else files
        self.prefix = prefix
        # Whether standard input is still free, its bytes, and the operands that are keys of an object on it.
        self.stdin_is_free, self.stdin, self.object = stdin, None, {}

    def option(self, name, *values):
        if len(values) == 1 and self.rng.random() < 0.04:
            self.options.append([f"{name}={values[0]}"])
        else:
            self.options.append([name, *map(str, values)])
        return self

    def maybe(self, chance, name, *values):
        return self.option(name, *values) if self.rng.random() < chance else self

    def file(self, name, data):
        name = self.prefix + name
        self.files[name] = data
        return name

    def operand(self, name, value, floats=False, option=None):
        """Adds an operand in one of the forms of the grammar."""
        self.option(option or "--" + name, self.draw_form(name, value, floats))

    def draw_form(self, name, value, floats=False, stdin=None):
        rng = self.rng
        stdin_is_free = self.stdin_is_free if stdin is None else stdin
        small = value.size <= 200
        forms = {"npy": 16, "npz": 8, "safetensors": 5, "dat": 2, "json file": 4}
        if small:
            forms |= {"@file": 3, "names": 4, "key": 4, "pointer": 4}
            # A literal of a single number is a scalar, not a vector.
            if value.shape != (1,):
                forms |= {"literal": 32, "blanks": 4, "lines": 3}
            if value.rank:
                forms["JSON"] = 15
        if value.rank and value.size and (value.rank == 1 or value.shape[1] > 1):
            forms |= {"csv": 5, "tsv": 3}
        if stdin_is_free and self.stdin is None:
            if not self.object:
                forms |= {"-": 4, "- npy": 3, "- npz": 2, "- safetensors": 1, "@-": 1}
            if small:
                forms |= {"-#": 4, "-#/": 3}
        if value.size == 0:
            forms = {"npy": 1, "json file": 1} if value.shape != (0,) else {"JSON": 1}
        kind = rng.choices(list(forms), list(forms.values()))[0]
        if kind in ("-#", "-#/"):
            self.object[name] = value
            return f"-#{name}" if kind == "-#" else f"-#/{name}"
        text, data = self.format_operand(kind, name, value, floats)
        if kind.startswith(("-", "@-")):
            self.stdin, self.stdin_is_free = data, False
        return text

    def format_operand(self, kind, name, value, floats):
        """Returns the text of an operand in a form, and the bytes of standard input that belong to it."""
        rng = self.rng

        def draw_dtype():
            weights = {"f8": 50, "f4": 20, "f2": 8}
            if not floats:
                weights |= {"i8": 6, "i4": 3, "i2": 2, "i1": 2, "u8": 1, "u4": 1, "u2": 1, "u1": 2, "b1": 1}
            return rng.choices(list(weights), list(weights.values()))[0]

        def array_file():
            version = rng.choices([1, 2, 3], [8, 1, 1])[0]
            return npy(value, draw_dtype(), rng.choices("<>", [3, 1])[0], rng.random() < 0.3, version)

        def archive():
            files = {name: array_file()}
            if rng.random() < 0.4:
                files["other"] = npy(Array((2,), [1.0, 2.0]))
            return npz(files, rng.random() < 0.4)

        def tensors():
            other = {"other": Array((2,), [1.0, 2.0])} if rng.random() < 0.4 else {}
            kinds = ["f8", "f4", "f2"] + ([] if floats else ["i8", "i4", "u1"])
            return safetensors({name: value} | other, rng.choice(kinds))

        text = json_text(value, rng)
        nested = f'{{"deep":[{{"{name}":{text}}}],"{name}":{text},"note":"two words"}}'.encode()
        match kind:
            case "literal":
                return literal(value, rng=rng), None
            case "blanks":
                return literal(value, column=rng.choice([" ", ", ", "  "])), None
            case "lines":
                return literal(value, row="\n") if value.rank == 2 and value.shape[0] > 1 else literal(value), None
            case "JSON":
                return text, None
            case "json file":
                return self.file(name + ".json", text.encode()), None
            case "@file":
                file = rng.choice(["2", "ones", name]) if value.rank else name + ".json"
                return "@" + self.file(file, text.encode()), None
            case "names":
                return self.file(name + ".json", nested), None
            case "key":
                return self.file(name + ".json", nested) + "#" + name, None
            case "pointer":
                return self.file(name + ".json", nested) + "#/deep/0/" + name, None
            case "npy":
                return self.file(name + ".npy", array_file()), None
            case "dat":
                return self.file(name + ".dat", array_file()), None
            case "npz":
                return self.file(name + ".npz", archive()) + f"#{name}", None
            case "safetensors":
                return self.file(name + ".safetensors", tensors()) + f"#{name}", None
            case "csv":
                return self.file(name + ".csv", table(value, ",", rng)), None
            case "tsv":
                return self.file(name + ".tsv", table(value, "\t", rng)), None
            case "-":
                is_literal = rng.random() < 0.4 and value.size <= 200 and value.shape != (1,)
                return "-", (literal(value) if is_literal else text).encode()
            case "@-":
                return "@-", text.encode()
            case "- npy":
                return rng.choice(["-", "-", "/dev/stdin"]), array_file()
            case "- npz":
                return "-", npz({name: array_file()})
            case "- safetensors":
                return "-", safetensors({name: value}, "f8")
        raise ValueError(kind)

    def arguments(self):
        """Returns the words of the command line, with the options in random order."""
        options = list(self.options)
        self.rng.shuffle(options)
        return self.words + list(itertools.chain(*options))

    def run(self, **more):
        if self.object:
            pairs = ",".join(f'"{name}":{json_text(value, self.rng)}' for name, value in self.object.items())
            self.stdin = f"{{{pairs}}}".encode()
        return Run([self.arguments()], self.stdin, **more)


@dataclasses.dataclass
class Layer:
    """A layer with operands and settings, and the names of its results."""

    name: str
    operands: dict
    settings: list
    results: list
    shape: tuple

    @property
    def loss(self):
        return self.name in LOSSES

    def forward(self):
        return [name for name in self.results if name in ("y", "loss", "divisor")]

    def setting(self, name):
        return dict(self.settings).get(name)


def draw_layer(rng, name=None, rows=None, columns=None, kind=None):
    """Draws a layer; `kind` is the kind of its numbers."""
    name = name or rng.choice(LAYERS)
    rows = rows or rng.choice([1, 1, 2, 2, 3, 4, 5])
    columns = columns or rng.choice([1, 2, 2, 3, 3, 4, 6])
    shape = (columns,) if rng.random() < 0.25 else (rows, columns)
    if name == "affine":
        return draw_affine(rng, shape, kind)
    if name in LOSSES:
        return draw_loss(rng, name, shape, kind)
    if rng.random() < 0.04:
        shape = ()
    settings = []
    if name == "softmax":
        kind = "masked" if kind == "special" and rng.random() < 0.9 else kind
        axes = [0, -1] if len(shape) == 1 else [0, 0, 1, -1, -2]
        if shape and rng.random() < 0.4:
            settings.append(("axis", str(rng.choice(axes))))
        if rng.random() < 0.3:
            settings.append(("log", None))
    return Layer(name, {"x": draw_array(rng, shape, kind)}, settings, ["y", "dx"], shape)


def draw_affine(rng, shape, kind, outputs=None):
    inputs, outputs = shape[-1], outputs or rng.choice([1, 2, 3, 3, 4, 5])
    is_out_in = rng.random() < 0.2
    operands = {"x": draw_array(rng, shape, kind)}
    operands["w"] = draw_array(rng, (outputs, inputs) if is_out_in else (inputs, outputs), kind)
    match rng.choices(["none", "scalar", "row"], [3, 2, 5])[0]:
        case "scalar":
            operands["b"] = draw_array(rng, (), kind)
        case "row":
            operands["b"] = draw_array(rng, (outputs,), kind)
    settings = [("w-layout", "out-in")] if is_out_in else [("w-layout", "in-out")] if rng.random() < 0.05 else []
    results = ["y", "dx", "dw"] + (["db"] if "b" in operands else [])
    return Layer("affine", operands, settings, results, (*shape[:-1], outputs))


def draw_loss(rng, name, shape, kind):
    settings, results = [], ["loss", "dx"] if name == "xent" else ["y", "loss", "dx"]
    if name == "xent":
        operands = {"y": draw_probabilities(rng, shape, kind)}
    else:
        operands = {"x": draw_array(rng, shape, "masked" if kind == "special" else kind)}
    operands["t"], dense = draw_targets(rng, shape)
    reduction = rng.choices([None, "sum", "mean", "none"], [4, 1, 3, 2])[0]
    if reduction:
        settings.append(("reduction", reduction))
    if reduction == "mean":
        results.insert(results.index("loss") + 1, "divisor")
    if rng.random() < 0.1:
        settings.append(("t-kind", "dense" if dense else "index"))
        if not dense and len(shape) == 2 and rng.random() < 0.5:
            operands["t"] = Array((*shape[:-1], 1), operands["t"].values)
    if rng.random() < 0.15:
        settings.append(("empty", rng.choice(["error", "nan", "zero"])))
    if name == "xent":
        results.append("dy")
        if rng.random() < 0.4:
            settings.append(("eps", rng.choice(["0", "1e-10", "1e-7", "1e-3", "0.5"])))
    else:
        if rng.random() < 0.25:
            operands["weight"] = Array(shape[-1:], [abs(v) for v in draw_numbers(rng, shape[-1], "full")])
        if rng.random() < 0.25:
            settings.append(("label-smoothing", rng.choice(["0", "0.1", "0.25", "1"])))
        if not dense and rng.random() < 0.25:
            settings.append(("ignore-index", str(rng.randrange(shape[-1]))))
            if not any(option == "empty" for option, _ in settings):
                settings.append(("empty", rng.choice(["nan", "zero"])))
    return Layer(name, operands, settings, results, shape[:-1] if reduction == "none" else ())


def add_layer_options(builder, layer, without=()):
    """Adds the operands and settings of a layer."""
    for name, value in layer.operands.items():
        if name not in without:
            builder.operand(name, value, floats=name in ("y", "weight") or (name == "t" and value.rank == 2))
    for name, value in layer.settings:
        builder.option("--" + name, *([] if value is None else [value]))


def add_dout(builder, layer, scaling=True):
    """Adds an upstream gradient, or none; `scaling` allows a literal number, which scales the local factors of affine."""
    rng = builder.rng
    match rng.choices(["none", "ones", "number", "array"], [45, 10, 15, 30])[0]:
        case "ones":
            builder.option("--dout", "ones")
        case "number":
            value = draw_array(rng, (), "short")
            if layer.name == "affine" and not scaling:
                builder.option("--dout", builder.file("dout.json", json_text(value).encode()))
            else:
                builder.option("--dout", literal(value))
        case "array":
            builder.operand("dout", draw_array(rng, layer.shape, rng.choice(["whole", "short", "full"])))


def add_run_options(builder, precision=True, exact=True):
    rng = builder.rng
    if precision and rng.random() < 0.3:
        builder.option("--precision", rng.choice(["f32", "f32", "f64"] + (["exact"] * 3 if exact else [])))
    builder.maybe(0.2, "--threads", rng.choice([1, 2])).maybe(0.03, "--progress", "never")
    builder.maybe(0.03, "--error-format", rng.choice(["json", "text"])).maybe(0.02, "--color", "never")


def add_output_options(builder, results):
    """Adds options for the form of the output and for the selected results."""
    rng = builder.rng
    count = 1 if rng.random() < 0.6 else rng.randint(1, len(results))
    only = rng.sample(results, count) if rng.random() < 0.35 else []
    match rng.choices(["text", "json", "pretty", "out"], [25, 40, 8, 27])[0]:
        case "json":
            builder.option("--json")
        case "pretty":
            builder.option("--pretty")
        case "out":
            extension = rng.choice(["json", "npz", "npz", "npy", "npy", "csv", "csv"])
            if extension in ("npy", "csv"):
                only = [rng.choice(results)] if len(results) > 1 else only
            builder.option("--out", "out." + extension)
    if only:
        builder.option("--only", ",".join(only))


# ---------------------------------------------------------------- groups of random commands: each returns steps and files


def layer_command(rng, kind=None, **sizes):
    layer = draw_layer(rng, kind=kind, **sizes)
    builder = Builder(rng, layer.name)
    add_layer_options(builder, layer)
    if rng.random() < 0.15:
        builder.option("--forward")
        add_output_options(builder, layer.forward())
    else:
        add_dout(builder, layer)
        add_output_options(builder, layer.results)
    add_run_options(builder)
    if builder.stdin_is_free and not builder.object:
        builder.maybe(0.04, "--strict").maybe(0.03, "--no-stdin")
    return [builder.run()], builder.files


def special_command(rng):
    """Non-finite, tiny and huge numbers, and integers that a double cannot represent."""
    if rng.random() < 0.06:
        kind = rng.choice(["i8", "u8"])
        wide = [2**53 + rng.randint(0, 9), 2**62 + rng.randint(0, 999), rng.randint(0, 9), 2**63 - 1]
        files = {"x.npy": npy(Array((4,), wide), kind), "x.json": ("[" + ",".join(map(str, wide)) + "]").encode()}
        return [Run([["relu", "--x", name, "--json"] + rng.choice([[], [], ["--strict"]])]) for name in files], files
    return layer_command(rng, kind="special")


def draw_side(rng):
    """Draws a side of a matrix: small, near a multiple of the block size, or large."""
    return rng.choice([rng.randint(1, 70), 8 * rng.randint(1, 20) + rng.choice([-1, 0, 1]), rng.randint(64, 400)])


def draw_sized_layer(rng):
    name = rng.choice(["affine", "affine", "softmax", *LAYERS])
    if rng.random() < 0.12:
        # More than one chunk.
        columns = rng.choice([150, 200])
        if name == "affine":
            return draw_affine(rng, (3100, columns), "tiled", 7)
        return draw_layer(rng, name, 3100, columns, "tiled")
    if name == "affine":
        shape = (draw_side(rng),) if rng.random() < 0.15 else (draw_side(rng), draw_side(rng))
        return draw_affine(rng, shape, "tiled", draw_side(rng))
    if name in ELEMENTWISE:
        return draw_layer(rng, name, draw_side(rng), draw_side(rng), "tiled")
    return draw_layer(rng, name, rng.choice([1, 2, 10, 60]), rng.randint(1, 3000), "tiled")


def sized_command(rng):
    """Larger operands: products of matrices, long rows, tall batches."""
    layer = draw_sized_layer(rng)
    builder = Builder(rng, layer.name)
    large = max(value.size for value in layer.operands.values()) > 300_000
    for operand, value in layer.operands.items():
        if value.size <= 2000 and not large:
            builder.operand(operand, value, floats=True)
            continue
        kind = rng.choices(["npy", "json", "csv"], [8, 1, 1])[0] if 50_000 > value.size and value.rank == 2 else "npy"
        if kind == "npy":
            fortran = not large and rng.random() < 0.25
            data = npy(value, rng.choices(["f8", "f4"], [4, 1])[0], rng.choices("<>", [5, 1])[0], fortran)
        elif kind == "json":
            data = json_text(value).encode()
        else:
            data = table(value, ",", rng)
        if builder.stdin_is_free and builder.stdin is None and kind != "csv" and rng.random() < 0.1:
            builder.stdin, builder.stdin_is_free = data, False
            builder.option("--" + operand, "-")
        else:
            builder.option("--" + operand, builder.file(f"{operand}.{kind}", data))
    add_layer_options(builder, layer, without=layer.operands)
    if not layer.loss and rng.random() < 0.5:
        builder.option("--dout", builder.file("dout.npy", npy(draw_array(rng, layer.shape, "tiled"))))
    count = sum(value.size for value in layer.operands.values())
    results = layer.results
    match rng.choices(["text", "json", "npz", "one"], [20, 15, 40, 25])[0]:
        case "json":
            builder.option("--json")
            if count > 100_000:
                builder.option("--only", rng.choice(results))
        case "npz":
            selected = rng.sample(results, rng.randint(1, len(results)))
            builder.option("--out", "out.npz").maybe(0.3, "--only", ",".join(selected))
        case "one":
            builder.option("--out", rng.choice(["out.npy", "out.npy", "out.csv", "out.json"]))
            builder.option("--only", rng.choice(results))
    add_run_options(builder, exact=layer.name != "affine" and count < 20_000 or count < 3000)
    return [builder.run()], builder.files


def stdin_command(rng):
    """Standard input: an object of operands and settings, a bare array, or the output of another layer."""
    match rng.choice(["object", "object", "bare", "pipe", "pipe", "dx", "format"]):
        case "object":
            layer = draw_layer(rng)
            builder = Builder(rng, layer.name, stdin=False)
            on_stdin = [name for name in layer.operands if rng.random() < 0.8] or list(layer.operands)[:1]
            add_layer_options(builder, Layer(layer.name, layer.operands, [], [], ()), without=on_stdin)
            pairs = [f'"{name}":{json_text(layer.operands[name], rng)}' for name in on_stdin]
            for name, value in layer.settings:
                if rng.random() < 0.6:
                    number = value is not None and re.fullmatch(r"[-0-9.e]+", value)
                    pairs.append(f'"{name}":' + ("true" if value is None else value if number else f'"{value}"'))
                else:
                    builder.option("--" + name, *([] if value is None else [value]))
            if rng.random() < 0.3:
                pairs.append('"comment":"not used by anybody","deep":{"a":[1,{"b":null}]}')
            if rng.random() < 0.3 and not layer.loss:
                value = draw_array(rng, layer.shape, "short")
                pairs.append(f'"dout":{json_text(value)}')
                builder.option("--dout", "-#/dout")
            rng.shuffle(pairs)
            blank = rng.choice(["", " ", "\n"])
            builder.stdin = ("{" + blank + f",{blank}".join(pairs) + blank + "}\n").encode()
            add_output_options(builder, layer.results)
            add_run_options(builder)
            return [builder.run()], builder.files
        case "bare":
            layer = draw_layer(rng)
            builder = Builder(rng, layer.name, stdin=False)
            first = next(iter(layer.operands))
            add_layer_options(builder, layer, without=[first])
            kind = rng.choice(["-", "- npy", "- npz", "- safetensors"])
            _, builder.stdin = builder.format_operand(kind, first, layer.operands[first], floats=first == "y")
            add_output_options(builder, layer.results)
            add_run_options(builder)
            return [builder.run()], builder.files
        case "pipe":
            chain = draw_chain(rng, loss=rng.random() < 0.6)
            files, stages = {}, []
            for k, layer in enumerate(chain.layers):
                builder = Builder(rng, layer.name, files=files, prefix=f"p{k}-", stdin=False)
                add_layer_options(builder, layer, without=["x", "y"] if k else [])
                if k + 1 < len(chain.layers):
                    builder.option("--json").maybe(0.5, "--forward")
                else:
                    add_output_options(builder, layer.results)
                stages.append(builder.arguments())
            return [Run(stages)], files
        case "dx":
            affine, files = draw_affine(rng, (rng.randint(1, 3), rng.randint(1, 3)), "short"), {}
            first = Builder(rng, "affine", files=files, stdin=False)
            add_layer_options(first, affine)
            affine_backward = Builder(rng, "affine", files=files, stdin=False)
            affine_backward.option("--dout", rng.choice(["-#dx", "-#/dx"]))
            add_layer_options(affine_backward, affine)
            add_output_options(affine_backward, affine.results)
            last = draw_layer_after(rng, affine.shape)
            second = Builder(rng, last.name, files=files, prefix="s-", stdin=False).option("--json")
            add_layer_options(second, last, without=["x", "y"])
            return [Run([first.option("--json").arguments(), second.arguments(), affine_backward.arguments()])], files
        case "format":
            value = draw_array(rng, (rng.randint(2, 4), rng.randint(2, 4)), "short")
            kind = rng.choice(["json", "npy", "csv", "tsv"])
            data = {"json": json_text(value).encode(), "npy": npy(value)}
            data |= {"csv": table(value, ",", rng), "tsv": table(value, "\t", rng)}
            name = rng.choice(["softmax", *ELEMENTWISE])
            builder = Builder(rng, name, stdin=False).option("--in-format", kind)
            builder.stdin = data[kind]
            builder.maybe(0.5, "--x", rng.choice(["-", "@-", "/dev/stdin"]))
            add_output_options(builder, ["y", "dx"])
            return [builder.run()], builder.files


def draw_layer_after(rng, shape):
    """Draws a layer other than affine for an x of this shape."""
    name = rng.choice(["softmax", "softmax-xent", *ELEMENTWISE])
    if name == "softmax-xent":
        layer = draw_loss(rng, name, shape, "short")
        # The upstream gradient is one number, so the loss must be a sum or mean.
        layer.settings = [(option, value) for option, value in layer.settings if value != "none"]
        return layer
    settings = [("log", None)] if name == "softmax" and rng.random() < 0.3 else []
    return Layer(name, {"x": Array(shape, [])}, settings, ["y", "dx"], shape)


def draw_small_layer(rng, kinds):
    return draw_layer(rng, rows=rng.randint(1, 3), columns=rng.randint(1, 4), kind=rng.choice(kinds))


def jacobian_command(rng):
    layer = draw_small_layer(rng, ["short", "full", "gentle"])
    builder = Builder(rng, layer.name).option("--jacobian")
    add_layer_options(builder, layer)
    output = "loss" if layer.loss else "y"
    by = {"affine": ["x", "w"] + ["b"] * ("b" in layer.operands), "xent": ["x", "y"]}.get(layer.name, ["x"])
    add_output_options(builder, [f"d{output}_d{name}" for name in by])
    add_run_options(builder)
    return [builder.run()], builder.files


def check_command(rng):
    layer = draw_small_layer(rng, ["short", "full", "gentle", "whole"])
    builder = Builder(rng, layer.name).option("--check")
    add_layer_options(builder, layer)
    add_dout(builder, layer, scaling=False)
    add_report_format(builder)
    builder.maybe(0.15, "--precision", rng.choice(["f32", "exact", "f64"]))
    return [builder.run()], builder.files


def add_report_format(builder):
    match builder.rng.choice(["text", "text", "json", "pretty", "format"]):
        case "json":
            builder.option("--json")
        case "pretty":
            builder.option("--pretty")
        case "format":
            builder.option("--format", builder.rng.choice(["text", "json", "junit", "tap"]))


def make_answers(seed, mistakes, blanks, rounded, drop):
    """Returns a function that turns results into answers: rounded, with blanks, mistakes and missing results."""

    def edit(data):
        rng = random.Random(seed)
        document = json.loads(data)
        digits = rng.randint(2, 6)

        def perturb(value):
            if rng.random() < blanks:
                return None
            if not isinstance(value, float):
                return value
            if rng.random() < mistakes:
                return rng.choice([value + 0.5, -value, value * 1.01, value + 1e-9, 0.25])
            return float(f"{value:.{digits}g}") if rounded else value

        def walk(value):
            return [walk(v) for v in value] if isinstance(value, list) else perturb(value)

        answers = {key: walk(value) for key, value in document.items() if rng.random() >= drop}
        return json.dumps(answers or {key: walk(value) for key, value in document.items()}).encode()

    return edit


def expect_command(rng):
    """Right, wrong and partial answers, also to --steps."""
    layer = draw_layer(rng, kind=rng.choice(["short", "whole", "full"]))
    builder = Builder(rng, layer.name, stdin=False)
    add_layer_options(builder, layer)
    add_dout(builder, layer, scaling=False)
    if rng.random() < 0.15:
        builder.option("--precision", rng.choice(["f32", "exact"]))
    arguments = builder.arguments()
    kind = rng.choice(["right", "rounded", "rounded", "partial", "wrong", "npz", "npy", "steps", "stdin"])
    report_options = ["--format", rng.choice(["json", "junit", "tap"])]
    more = rng.choice([[], [], [], ["--json"], ["--json"], ["--pretty"], ["--strict"], report_options])
    if kind in ("npz", "npy"):
        if kind == "npy":
            arguments += ["--only", rng.choice(layer.results)]
        file = "mine." + kind
        return [Run([arguments + ["--out", file]]), Run([arguments + ["--expect", file, *more]])], builder.files
    # The rates of mistakes and blanks, whether numbers are rounded, and the rate of missing results.
    rates = {"right": (0, 0, False, 0), "rounded": (0, 0, True, 0)}
    rates |= {"partial": (0, 0.3, True, 0.3), "wrong": (0.2, 0.1, True, 0)}
    edit = Edit("right.json", "mine.json", make_answers(rng.random(), *rates.get(kind, (0.05, 0.1, True, 0.2))))
    first = Run([arguments + ["--out", "right.json"]])
    if kind == "stdin":
        line = shlex.join(["nnlayer", *arguments, "--expect", "-", *more])
        return [first, edit, Shell(line + " < mine.json")], builder.files
    steps = ["--steps"] + rng.choice([[], ["text"], ["markdown"]]) if kind == "steps" else []
    return [first, edit, Run([arguments + steps + ["--expect", "mine.json", *more]])], builder.files


def steps_command(rng):
    if rng.random() < 0.25:
        chain = draw_chain(rng, small=True)
        more = rng.choice([[], ["markdown"], ["--json"], ["--pretty"]])
        return chain_command(rng, chain, ["backward", "--steps", *more])
    layer = draw_small_layer(rng, ["short", "whole", "full", "special"])
    builder = Builder(rng, layer.name)
    add_layer_options(builder, layer)
    builder.option("--steps", *rng.choice([[], [], ["text"], ["markdown"]]))
    add_dout(builder, layer)
    builder.maybe(0.2, "--json").maybe(0.2, "--only", rng.choice(layer.results))
    builder.maybe(0.1, "--precision", rng.choice(["f32", "exact"]))
    return [builder.run()], builder.files


def graph_command(rng):
    options = ["--graph"] if rng.random() < 0.4 else ["--graph", "graph" + rng.choice(GRAPH_EXTENSIONS)]
    level = rng.choice([[], ["--level", "tensor"], ["--level", "scalar"]])
    locale = {"LC_ALL": "C.UTF-8"} if len(options) == 1 and rng.random() < 0.4 else {}
    if rng.random() < 0.3:
        steps, files = chain_command(rng, draw_chain(rng, small=True), ["backward", *level, *options])
        for step in steps:
            step.environment = locale
        return steps, files
    layer = draw_small_layer(rng, ["short", "whole", "full", "special"])
    builder = Builder(rng, layer.name)
    add_layer_options(builder, layer)
    add_dout(builder, layer, scaling=False)
    builder.option(*options)
    if level:
        builder.option(*level)
    if len(options) == 1:
        builder.maybe(0.2, "--color", "always")
    return [builder.run(environment=locale)], builder.files


@dataclasses.dataclass
class Chain:
    """A sequence of layers, each of which reads the output of the previous one."""

    layers: list

    @property
    def loss(self):
        return self.layers[-1].loss

    @property
    def x(self):
        return self.layers[0].operands["x"]

    @property
    def t(self):
        return self.layers[-1].operands.get("t")

    def names(self):
        """Returns the default names of the layers."""
        seen, names = {}, []
        for layer in self.layers:
            seen[layer.name] = seen.get(layer.name, 0) + 1
            names.append(f"{layer.name}{seen[layer.name]}")
        return names

    def results(self, is_wanted=lambda result: True):
        """Returns the selected results of all layers, as --only names them."""
        named_layers = zip(self.names(), self.layers)
        return [f"{name}.{result}" for name, layer in named_layers for result in layer.results if is_wanted(result)]

    def gradients(self):
        return self.results(lambda result: result.startswith("d") and result != "divisor")

    def classes(self):
        """Returns the number of columns at the loss."""
        previous = self.layers[-2] if self.loss and len(self.layers) > 1 else self.layers[-1]
        return previous.shape[-1] if previous.shape else self.x.shape[-1]

    def document(self, rng, files, precision=None, external=False):
        """Returns the chain as a network document; if `external`, some parameters are in separate files."""
        layers = []
        for k, layer in enumerate(self.layers):
            parts = [f'"kind":"{layer.name}"']
            if rng.random() < 0.3:
                parts.append(f'"name":"{self.names()[k]}"')
            params = []
            for name in ("w", "b", "weight"):
                value = layer.operands.get(name)
                if value is None:
                    continue
                if external and rng.random() < 0.7:
                    kind = rng.choice(["npy", "npz", "json", "safetensors", "csv"])
                    if kind == "csv" and (value.rank < 2 or value.shape[1] < 2):
                        kind = "npy"
                    data = {
                        "npy": lambda: npy(value, rng.choice(["f8", "f4"]), fortran=rng.random() < 0.3),
                        "npz": lambda: npz({name: npy(value)}),
                        "json": lambda: f'{{"{name}":{json_text(value)}}}'.encode(),
                        "safetensors": lambda: safetensors({name: value}),
                        "csv": lambda: table(value, ",", rng),
                    }[kind]()
                    files[f"{name}{k}.{kind}"] = data
                    params.append(f'"{name}":"{name}{k}.{kind}' + ("" if kind in ("npy", "csv") else f"#{name}") + '"')
                else:
                    params.append(f'"{name}":{json_text(value)}')
            if params:
                parts.append('"params":{' + ",".join(params) + "}")
            if layer.settings:
                parts.append('"settings":' + settings_json(layer.settings))
            layers.append("{" + ",".join(parts) + "}")
        exact = f'"precision":"{precision}",' if precision else ""
        return ('{"nnlayer-tape":1,' + exact + '"layers":[' + ",".join(layers) + "]}\n").encode()


def settings_json(settings):
    def convert(name, value):
        if value is None:
            return True
        return json.loads(value) if name in ("eps", "label-smoothing", "axis", "ignore-index") else value

    return json.dumps({name: convert(name, value) for name, value in settings})


def draw_chain(rng, loss=None, small=False, classes=None, rows=None, columns=None):
    """Draws a few layers, usually starting with affine, with or without a loss at the end."""
    kind = rng.choice(["gentle", "short", "whole"])
    rows = rows or (rng.randint(1, 2) if small else rng.randint(1, 4))
    columns = columns or rng.randint(1, 3)
    shape = (columns,) if rng.random() < 0.25 and rows < 3 else (rows, columns)
    layers = []
    for k in range(rng.randint(1, 2) if small else rng.randint(1, 4)):
        if k % 2 == 0 and rng.random() < 0.9:
            layer = draw_affine(rng, shape, kind, classes or rng.randint(1, 3))
        else:
            name = rng.choice(["relu", "sigmoid", "tanh", "relu", "softmax"])
            settings = [("log", None)] if name == "softmax" and rng.random() < 0.3 else []
            layer = Layer(name, {"x": draw_array(rng, shape, kind)}, settings, ["y", "dx"], shape)
        layers.append(layer)
        shape = layer.shape
    if loss is None:
        loss = rng.random() < 0.7
    if loss:
        layer = draw_loss(rng, "softmax-xent", shape, kind)
        if rng.random() < 0.2:
            layers.append(Layer("softmax", {}, [], ["y", "dx"], shape))
            layer = draw_loss(rng, "xent", shape, None)
        layer.results = [name for name in layer.results if name not in ("dy",)]
        layers.append(layer)
    return Chain(layers)


def chain_stages(rng, chain, files, precision=None, names=False):
    """Returns the commands that record the chain on a tape."""
    stages = []
    for k, layer in enumerate(chain.layers):
        builder = Builder(rng, layer.name, files=files, prefix=f"l{k}-", stdin=False)
        add_layer_options(builder, layer, without=["x", "y"] if k else [])
        if k == 0:
            builder.option("--tape")
            if precision:
                builder.option("--precision", precision)
        if names and rng.random() < 0.5:
            builder.option("--name", f"part{k}")
        stages.append(builder.arguments())
    return stages


def chain_command(rng, chain, end, precision=None):
    files = {}
    return [Run(chain_stages(rng, chain, files, precision) + [end])], files


def dout_of_chain(rng, chain):
    """Returns the options of an upstream gradient, if the chain does not end in a loss."""
    if chain.loss or rng.random() < 0.5:
        return []
    value = draw_array(rng, chain.layers[-1].shape, "short")
    return ["--dout", rng.choice(["ones", json_text(value)]) if value.rank else "ones"]


def tape_command(rng):
    chain, files = draw_chain(rng), {}
    precision = rng.choices([None, "f32", "exact"], [7, 2, 1])[0]
    ends = ["tape", "text", "json", "json", "only", "out", "tape again", "step", "check", "file", "edited", "wrong"]
    end = rng.choice(ends)
    stages = chain_stages(rng, chain, files, precision, names=end not in ("only", "wrong", "edited"))
    dout = dout_of_chain(rng, chain)
    gradients = chain.gradients()
    lr = rng.choice(["0.1", "0.5", "1e-3", "1"])
    threads = rng.choice([[], [], ["--threads", "1"], ["--threads", "2"]])
    match end:
        case "tape":
            return [Run(stages)], files
        case "text":
            return [Run(stages + [["backward", *dout, *threads]])], files
        case "json":
            return [Run(stages + [["backward", rng.choice(["--json", "--pretty"]), *dout, *threads]])], files
        case "only":
            only = ["--only", ",".join(rng.sample(gradients, min(2, len(gradients))))]
            return [Run(stages + [["backward", *only, *dout] + rng.choice([[], ["--json"]])])], files
        case "out":
            return [Run(stages + [["backward", "--out", rng.choice(["g.npz", "g.json"]), *dout]])], files
        case "tape again":
            return [Run(stages + [["backward", "--tape", *dout]])], files
        case "step":
            last = ["step", "--lr", lr] + rng.choice([[], ["--out", "net.json"]])
            return [Run(stages + [["backward", "--tape", *dout], last])], files
        case "check":
            report_options = rng.choice([[], [], ["--json"], ["--format", "junit"], ["--format", "tap"]])
            return [Run(stages + [["backward", "--check", *dout, *report_options]])], files
        case "file":
            stages[-1] = stages[-1] + ["--out", "tape.json"]
            backward = [Run([["backward", "tape.json", option, *dout]]) for option in ("--json", "--check")]
            return [Run(stages), *backward], files
        case "edited" | "wrong":
            # Changes a saved value or a gradient.
            seed = rng.random()

            def edit(data):
                rng = random.Random(seed)
                places = [m for m in re.finditer(rb"-?\d+\.\d+(?:e[-+]?\d+)?", data)]
                # Targets are left alone, because they must be class indices.
                places = [m for m in places if not re.search(rb'"t":[^"]*$', data[: m.start()])]
                if not places:
                    return data
                place = rng.choice(places[len(places) // 2 :] if end == "wrong" else places)
                return data[: place.start()] + b"0.4375" + data[place.end() :]

            first = stages + ([["backward", "--tape", *dout]] if end == "wrong" else [])
            first[-1] = first[-1] + ["--out", "tape.json"]
            checks, plain = [["--check"], ["--check", "--json"]], [["--json"], ["--json"], ["--json", "--strict"]]
            more = rng.choice(checks if end == "wrong" else plain)
            last = Run([["backward", "edited.json", *dout, *more]])
            return [Run(first), Edit("tape.json", "edited.json", edit), last], files


def net_command(rng):
    if rng.random() < 0.15:
        sizes = ",".join(str(rng.randint(1, 12)) for _ in range(rng.randint(2, 4)))
        arguments = ["net", "--init", sizes, "--seed", str(rng.randint(0, 9))]
        arguments += rng.choice([[], ["--activation", rng.choice(ELEMENTWISE)]]) + rng.choice([[], ["--out", "net.json"]])
        return [Run([arguments])], {}
    chain, files = draw_chain(rng), {}
    precision = rng.choices([None, "f32", "exact"], [7, 2, 1])[0]
    in_document = rng.random() < 0.5
    files["net.json"] = chain.document(rng, files, precision if in_document else None, external=rng.random() < 0.4)
    # A network on standard input cannot refer to files.
    piped = len(files) == 1 and rng.random() < 0.15
    builder = Builder(rng, "net", "-" if piped else "net.json", files=files, stdin=not piped)
    if piped:
        builder.stdin = files["net.json"]
    if precision and not in_document:
        builder.option("--precision", precision)
    results = chain.results()
    if not piped and rng.random() < 0.1:
        targets = f',"t":{json_text(chain.t)}' if chain.loss else ""
        builder.stdin, builder.stdin_is_free = f'{{"x":{json_text(chain.x)}{targets}}}'.encode(), False
    else:
        builder.operand("x", chain.x)
        if chain.loss:
            builder.operand("t", chain.t, floats=chain.t.rank == 2)
    ends = ["text", "json", "json", "only", "out", "tape", "check", "graph", "steps", "forward", "step", "backward"]
    end = rng.choice(ends)
    dout = [] if end == "forward" else dout_of_chain(rng, chain)
    if dout:
        builder.option(*dout)
    builder.maybe(0.2, "--threads", rng.choice([1, 2]))
    match end:
        case "json":
            builder.option(rng.choice(["--json", "--pretty"]))
        case "only":
            builder.option("--only", ",".join(rng.sample(results, min(2, len(results))))).maybe(0.5, "--json")
        case "out":
            builder.option("--out", rng.choice(["out.npz", "out.json"]))
        case "tape":
            builder.option("--tape").maybe(0.3, "--out", "tape.json")
        case "check":
            builder.option("--check")
            add_report_format(builder)
        case "graph":
            builder.option("--graph", *rng.choice([[], ["graph" + rng.choice(GRAPH_EXTENSIONS)]]))
            builder.maybe(0.5, "--level", rng.choice(["tensor", "scalar"]))
        case "steps":
            builder.option("--steps", *rng.choice([[], ["markdown"]])).maybe(0.3, "--json")
        case "forward":
            builder.option("--forward").maybe(0.6, "--json")
        case "step":
            run = builder.option("--tape").run()
            run.stages.append(["step", "--lr", rng.choice(["0.1", "0.01"])] + rng.choice([[], ["--out", "next.json"]]))
            return [run], files
        case "backward":
            if piped:
                builder.option("--json")
            else:
                run = builder.option("--json").run()
                run.stages.append(["step", "net.json", "--gradients", "-", "--lr", "0.25"])
                return [run], files
    return [builder.run()], files


def records(rng, layer, count, bad=0.0):
    """Draws records of a layer, with other keys; a share `bad` of them is invalid. Also returns the number of columns."""
    columns = rng.randint(1, 5)
    lines, dense, same_schema = [], rng.random() < 0.3, rng.random() < 0.6
    id_key = rng.choice(["id", "name", "n"])
    batch = rng.random() < 0.1
    for n in range(count):
        shape = (rng.randint(1, 3), columns) if batch else (columns,)
        pairs = [f'"{id_key}":{n}']
        if not same_schema and rng.random() < 0.3:
            pairs.append(rng.choice(['"note" : "a \\u00e9 b"', '"deep":{"a": [ 1 ,null]}', '"n2":1.50e1', '"flag":true']))
        if layer == "xent":
            pairs.append(f'"y":{json_text(draw_probabilities(rng, shape))}')
        else:
            key = "x" if same_schema else rng.choice("xxxy")
            pairs.append(f'"{key}":{json_text(draw_array(rng, shape, rng.choice(["short", "full", "whole"])), rng)}')
        if layer in LOSSES:
            pairs.append(f'"t":{json_text(draw_targets(rng, shape, dense)[0])}')
            if not same_schema and rng.random() < 0.1:
                pairs.append('"reduction":"mean"')
        if not same_schema:
            rng.shuffle(pairs)
        line = "{" + ",".join(pairs) + "}"
        if rng.random() < bad:
            invalid = ["{broken", '{"x":[1,null],"y":[1,null]}', '{"x":"a"}', "[1,[2]]", '{"t":0}']
            line = rng.choice([*invalid, line[:-2], line.replace("[", "[[[", 1)])
        lines.append(line)
    end = rng.choice(["\n", "\n", "\r\n"])
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(lines) + 1), "")
    return columns, (end.join(lines) + (end if rng.random() < 0.9 else "")).encode()


def ndjson_command(rng):
    layer = rng.choice(LAYERS)
    bad = rng.random() < 0.3
    count = rng.choices([rng.randint(1, 20), rng.randint(100, 400), 3000], [80, 14, 6])[0]
    columns, text = records(rng, layer, count, 0.1 if bad else 0.0)
    files = {}
    builder = Builder(rng, layer, files=files, stdin=False)
    results = {"xent": ["loss", "dx", "dy"], "softmax-xent": ["y", "loss", "dx"]}.get(layer, ["y", "dx"])
    if layer == "affine":
        affine = draw_affine(rng, (columns,), "short")
        add_layer_options(builder, affine, without=["x"])
        results = affine.results
    if layer == "softmax":
        builder.maybe(0.2, "--log").maybe(0.1, "--axis", "-1")
    if layer == "softmax-xent":
        if rng.random() < 0.2:
            weight = draw_array(rng, (columns,), "short").map(lambda value: 1 + abs(value))
            builder.option("--weight", json_text(weight))
        builder.maybe(0.2, "--label-smoothing", "0.1").maybe(0.1, "--ignore-index", "0").maybe(0.1, "--empty", "zero")
    if layer in LOSSES:
        builder.maybe(0.2, "--reduction", rng.choice(["sum", "mean", "none"]))
    if rng.random() < 0.1 and layer not in (*LOSSES, "affine"):
        builder.option("--dout", "2")
    forward = rng.random() < 0.25
    if forward:
        builder.option("--forward")
        results = [name for name in results if name in ("y", "loss")]
    builder.maybe(0.4, "--only", ",".join(rng.sample(results, rng.randint(1, len(results)))))
    builder.maybe(0.75 if bad else 0.1, "--keep-going").maybe(0.1, "--unbuffered")
    builder.maybe(0.3, "--threads", rng.choice([1, 2]))
    builder.maybe(0.15, "--precision", rng.choice(["f32", "exact"])).maybe(0.03, "--strict")
    if rng.random() < 0.3:
        builder.option("--ndjson", builder.file("records.ndjson", text))
    else:
        builder.option("--ndjson")
        builder.stdin = text
    run = builder.run()
    if layer == "affine" and not bad and rng.random() < 0.5:
        run.stages[0] = [word for word in run.stages[0] if word not in ("--strict",)]
        if not any(word.startswith("--only") for word in run.stages[0]):
            run.stages.append([rng.choice(["softmax", "relu", "tanh"]), "--ndjson", "--forward"])
    return [run], files


def net_ndjson_command(rng):
    columns = rng.randint(1, 4)
    chain = draw_chain(rng, columns=columns, rows=3)
    while chain.x.rank < 2 or any(name == "weight" for layer in chain.layers for name in layer.operands):
        chain = draw_chain(rng, columns=columns, rows=3)
    for layer in chain.layers:
        # The mean of a single ignored record is undefined.
        layer.settings = [(n, v) for n, v in layer.settings if n not in ("ignore-index", "t-kind", "empty")]
    files = {"net.json": chain.document(rng, {}, rng.choices([None, "f32", "exact"], [7, 2, 1])[0])}
    classes = chain.classes()
    bad, lines = rng.random() < 0.25, []
    for n in range(rng.choice([3, 10, 50, 300])):
        pairs = [f'"id":{n}', f'"x":{json_text(draw_array(rng, (columns,), rng.choice(["short", "full"])))}']
        if chain.loss:
            pairs.append(f'"t":{rng.randrange(classes)}')
        line = "{" + ",".join(pairs) + "}"
        lines.append(rng.choice(["{broken", '{"x":[null]}', line[:-2]]) if bad and rng.random() < 0.15 else line)
    text = "".join(line + "\n" for line in lines).encode()
    builder = Builder(rng, "net", "net.json", files=files, stdin=False)
    inner = chain.results(lambda result: result != "divisor")
    match rng.choice(["all", "forward", "y", "inner", "name"]):
        case "forward":
            builder.option("--forward")
        case "y":
            builder.option("--only", "y")
        case "inner":
            builder.option("--only", ",".join(rng.sample(inner, min(2, len(inner)))))
        case "name":
            builder.option("--only", rng.choice(["dx", "y", chain.names()[0]]))
    builder.maybe(0.7 if bad else 0.1, "--keep-going").maybe(0.1, "--unbuffered")
    builder.maybe(0.3, "--threads", rng.choice([1, 2]))
    if rng.random() < 0.5:
        builder.option("--ndjson", builder.file("records", text))
    else:
        builder.option("--ndjson")
        builder.stdin = text
    return [builder.run()], files


def train_command(rng):
    inputs, classes = rng.randint(1, 6), rng.randint(2, 4)
    hidden = [str(rng.randint(2, 8))] if rng.random() < 0.7 else []
    rows, held = rng.randint(5, 40), rng.random() < 0.4
    files = {}
    sizes = ",".join([str(inputs), *hidden, str(classes)])
    init = ["net", "--init", sizes, "--seed", str(rng.randint(0, 99)), "--out", "net.json"]
    init += ["--activation", rng.choice(ELEMENTWISE)]
    builder = Builder(rng, "train", "net.json", files=files, stdin=rng.random() < 0.2)

    def rows_of(count):
        labels = [float(rng.randrange(classes)) for _ in range(count)]
        return Array((count, inputs), draw_numbers(rng, count * inputs, "full")), Array((count,), labels)

    x, t = rows_of(rows)
    builder.option("--x", builder.draw_form("x", x, floats=True))
    builder.option("--t", builder.draw_form("t", t))
    if held:
        x, t = rows_of(rng.randint(2, 10))
        for name, value in (("held-x", x), ("held-t", t)):
            builder.option("--" + name, builder.draw_form(name, value, floats=True, stdin=False))
    builder.maybe(0.8, "--batch", rng.choice([1, 3, 8, 32])).maybe(0.8, "--lr", rng.choice(["0.1", "0.01", "0.5"]))
    builder.maybe(0.5, "--seed", rng.randint(0, 9)).maybe(0.5, "--shuffle").maybe(0.5, "--json")
    builder.maybe(0.3, "--threads", rng.choice([1, 2]))
    builder.maybe(0.25, "--precision", rng.choice(["f32", "f32", "exact"])).option("--out", "trained.json")
    epochs = rng.randint(1, 3)
    first = builder.run()
    steps = [Run([init])]
    if rng.random() < 0.3:
        stages = [first.stages[0] + ["--epochs", str(epochs)]]
        resumed = [first.stages[0] + ["--epochs", str(epochs + 1), "--resume"]]
        steps += [Run(stages, first.stdin), Run(resumed, first.stdin)]
    else:
        steps.append(Run([first.stages[0] + (["--epochs", str(epochs)] if rng.random() < 0.8 else [])], first.stdin))
    return steps, files


def sum_command(rng):
    rows, columns, mean = rng.randint(1, 3), rng.randint(1, 3), rng.random() < 0.4
    kind = rng.choice(["full", "short", "wide", "special"] if rng.random() < 0.4 else ["full", "wide"])
    by_layer = rng.random() < 0.25
    shards = []
    per_row = not mean and rng.random() < 0.15
    extra = rng.random() < 0.3
    count = rng.randint(1, 6)
    for _ in range(count):
        shard = {"loss": draw_array(rng, (rng.randint(1, 3),) if per_row else (), kind)}
        if mean:
            shard["divisor"] = scalar(float(rng.randint(0 if rng.random() < 0.1 else 1, 9)))
        shard |= {"dw": draw_array(rng, (rows, columns), kind), "db": draw_array(rng, (columns,), kind)}
        if extra:
            shard |= {"y": draw_array(rng, (2, columns), kind), "dx": draw_array(rng, (2, rows), kind)}
        shards.append(shard)

    def document(shard, blank=""):
        members = "{" + f",{blank}".join(f'"{name}":{json_text(value, rng)}' for name, value in shard.items()) + "}"
        return (f'{{"affine1":{members},"fc2":{members}}}' if by_layer else members).encode()

    end = rng.choice([[], ["--json"], ["--json"], ["--pretty"], ["--out", "total.json"], ["--out", "total.npz"]])
    names = [name for name in shards[0] if name not in ("divisor", "y", "dx")]
    only = ["--only", ",".join(rng.sample(names, rng.randint(1, len(names))))] if rng.random() < 0.25 else []
    order = list(range(count))
    rng.shuffle(order)
    if rng.random() < 0.5:
        lines = [document(shard) + b"\n" for shard in shards]
        reordered = b"".join(lines[k] for k in order)
        return [Run([["sum", *end, *only]], b"".join(lines)), Run([["sum", "--json", *only]], reordered)], {}
    files = {}
    for k, shard in enumerate(shards):
        if not by_layer and rng.random() < 0.4:
            files[f"s{k}.npz"] = npz({name: npy(value) for name, value in shard.items()}, rng.random() < 0.5)
        else:
            files[f"s{k}.json"] = document(shard, rng.choice(["", "\n "]))
    paths = list(files)
    return [Run([["sum", *paths, *end, *only]]), Run([["sum", *(paths[k] for k in order), "--json", *only]])], files


def compare_command(rng):
    shape = rng.choice([(), (3,), (7,), (2, 3), (4, 4), (1, 5), (40, 30)])
    kind = rng.choice(["full", "short", "special", "wide"])
    a = draw_array(rng, shape, kind)
    relation = rng.choice(["same", "near", "ulp", "far", "shape", "transposed"])
    b = a
    if relation == "near":
        b = a.map(lambda v: v * (1 + rng.uniform(-1, 1) * 10 ** rng.uniform(-14, -4)))
    elif relation == "ulp":
        b = a.map(lambda v: math.nextafter(v, math.inf) if rng.random() < 0.5 else v)
    elif relation == "far":
        b = a.map(lambda v: v + 1 if rng.random() < 0.2 else v)
    elif relation == "shape":
        b = draw_array(rng, (2, 2), kind)
    elif relation == "transposed" and len(shape) == 2:
        b = Array(shape[::-1], [value for column in zip(*a.rows()) for value in column])
    options = []
    if rng.random() < 0.4:
        options += ["--rtol", rng.choice(["0", "1e-3", "1e-10", "1e-12"])]
    if rng.random() < 0.4:
        options += ["--atol", rng.choice(["0", "1e-3", "1e-12"])]
    if rng.random() < 0.3:
        options += ["--ulp", rng.choice(["0", "1", "4", "1000000"])]
    options += rng.choice([[], [], ["--json"], ["--pretty"]])
    if rng.random() < 0.25:
        files = {}
        for name, value in (("a", a), ("b", b)):
            arrays = {"y": value, "dx": draw_array(random.Random(5), (2, 2), "short")}
            if name == "a" and rng.random() < 0.3:
                arrays["db"] = scalar(1.0)
            if rng.random() < 0.5:
                files[name + ".npz"] = npz({key: npy(v) for key, v in arrays.items()})
            else:
                pairs = ",".join(f'"{key}":{json_text(v)}' for key, v in arrays.items())
                files[name + ".json"] = f"{{{pairs}}}".encode()
        return [Run([["compare", *files, *options]])], files
    builder = Builder(rng, "compare")
    texts = [builder.draw_form("a", a, floats=rng.random() < 0.7), builder.draw_form("b", b, floats=rng.random() < 0.7)]
    # Positional arguments that begin with a dash are numbers or standard input.
    run = builder.run()
    run.stages = [["compare", *texts, *options]]
    return [run], builder.files


# A program for gradcheck: the layers without parameters, with an optional planted mistake.
PROGRAM = '''\
import json, math, sys

layer, mistake = sys.argv[1], sys.argv[2]


def rows(value):
    return value if value and isinstance(value[0], list) else [value]


def softmax(row):
    powers = [math.exp(v - max(row)) for v in row]
    return [p / sum(powers) for p in powers]


def answer(point, settings):
    x = point["inputs"]["x"]
    single = not isinstance(x[0], list)
    dout = rows(point["dout"]) if "dout" in point else None
    if layer == "softmax":
        y = [softmax(row) for row in rows(x)]
        dx = dout and [[p * (d - sum(a * b for a, b in zip(row, ds))) for p, d in zip(row, ds)] for row, ds in zip(y, dout)]
    else:
        function = {"relu": lambda v: max(v, 0.0), "sigmoid": lambda v: 1 / (1 + math.exp(-v)), "tanh": math.tanh}[layer]
        slopes = {"relu": lambda v, y: float(v > 0), "sigmoid": lambda v, y: y * (1 - y), "tanh": lambda v, y: 1 - y * y}
        slope = slopes[layer]
        y = [[function(v) for v in row] for row in rows(x)]
        dx = dout and [[d * slope(v, w) for d, v, w in zip(*three)] for three in zip(dout, rows(x), y)]
    reply = {"outputs": {"y": y[0] if single else y}}
    if dout:
        reply["gradients"] = {"dx": dx[0] if single else dx}
    return reply


def map_nested(value, change):
    return [map_nested(v, change) for v in value] if isinstance(value, list) else change(value)


def apply_mistake(reply, point):
    gradients, outputs = reply.get("gradients", {}), reply["outputs"]
    for name, value in gradients.items():
        if mistake == "sign":
            gradients[name] = map_nested(value, lambda v: -v)
        elif mistake == "factor":
            gradients[name] = map_nested(value, lambda v: v * 0.25)
        elif mistake == "zero":
            gradients[name] = map_nested(value, lambda v: 0.0)
        elif mistake == "digits":
            gradients[name] = map_nested(value, lambda v: float("%.5g" % v))
        elif mistake == "transposed" and isinstance(value[0], list):
            gradients[name] = [list(column) for column in zip(*value)]
        elif mistake == "reversed":
            gradients[name] = value[::-1]
        elif mistake == "entry":
            (value[-1] if isinstance(value[-1], list) else value)[0] += 0.125
        elif mistake == "missing":
            gradients[name] = None
    if mistake == "forward":
        outputs["y"] = map_nested(outputs["y"], lambda v: v * 1.001)
    elif mistake == "quantised":
        outputs["y"] = map_nested(outputs["y"], lambda v: round(v, 4))
    return reply


def main(answer):
    for line in sys.stdin:
        request = json.loads(line)
        if mistake == "crash":
            sys.exit(3)
        if mistake == "words":
            print("no reply")
            return
        points = [apply_mistake(answer(point, request["settings"]), point) for point in request["points"]]
        print(json.dumps({"points": points}), flush=True)


if layer == "affine":
    import affine
    main(affine.answer)
else:
    main(answer)
'''
MISTAKES = ["none", "none", "sign", "factor", "zero", "digits", "transposed", "reversed", "entry", "missing"]
MISTAKES += ["forward", "quantised", "crash", "words"]


def example_files():
    folder = ROOT / "examples" / "gradcheck"
    return {path.name: path.read_bytes() for path in folder.glob("*.py")} | {"program.py": PROGRAM.encode()}


def program_words(rng, layer):
    """Returns the command of a program for a layer; Python starts faster without site packages."""
    python = ["--", "python3", "-S", "-E", "-B"]
    if layer == "softmax-xent":
        return python + ["softmax_xent.py"]
    if layer == "affine" and rng.random() < 0.5:
        return python + [rng.choice(["affine.py", "affine_wrong.py"])]
    return python + ["program.py", layer, rng.choice(MISTAKES)]


def gradcheck_command(rng, program=None):
    program = rng.random() < 0.25 if program is None else program
    layer = rng.choice([name for name in LAYERS if not program or name != "xent"])
    files = example_files() if program else {}
    builder = Builder(rng, "gradcheck", "--layer", layer, files=files, stdin=False)
    builder.maybe(0.6, "--seed", rng.randint(1, 1000))
    builder.maybe(0.25, "--precision", rng.choice(["f32", "f64"]))
    inputs, outputs, rows = rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 5)
    if rng.random() < 0.5:
        shapes = {"affine": [f"x={rows}x{inputs}", f"w={inputs}x{outputs}"], "xent": [f"y={rows}x{inputs + 1}"]}
        builder.option("--shape", *shapes.get(layer, [f"x={rows}x{inputs}" if rng.random() < 0.8 else f"x={inputs}"]))
        # The list of shapes ends at the next option.
        builder.option("--threads", rng.choice([1, 2]))
        builder.options.sort(key=lambda words: words[0] == "--threads")
    elif rng.random() < 0.3:
        small = draw_layer(rng, layer, rng.randint(1, 3), rng.randint(1, 3), "gentle")
        if layer != "softmax-xent" or not program:
            add_layer_options(builder, small)
    given = {words[0].split("=")[0] for words in builder.options}
    if layer in LOSSES and "--reduction" not in given:
        builder.maybe(0.4, "--reduction", rng.choice(["sum", "mean", "none"]))
    if layer == "softmax" and "--log" not in given and not program:
        builder.maybe(0.2, "--log")
    words = program_words(rng, layer) if program else []
    if program:
        # A wrong program receives many requests, so it should not be started for each.
        builder.maybe(0.7 if words[-1] in ("none", "affine.py", "softmax_xent.py") else 1, "--persistent")
        builder.option("--timeout", "50")
    add_report_format(builder)
    return [Run([builder.words + list(itertools.chain(*builder.options)) + words])], files


def program_command(rng):
    return gradcheck_command(rng, program=True)


# Invalid operands and missing files, including the empty string.
BAD_OPERANDS = """\
1,2,
1/3
0x10
1,000
1e400
1;2,3

1..2
[1,[2]]
[1,null]
[1,"a"]
[1,2
[[1,2],[3]]
{}
absent.json
absent.npy#k
@absent
x.jsn
1 2;3
[[[1]]]
[true]
1_000
;;
[1e999]
""".splitlines()
# Unknown options, invalid values, and options that conflict.
BAD_OPTIONS = """\
--axis 7
--axis x
--dim 1
--precision f16
--reduction avg
--frobnicate
--only z
--only
--eps -1
--threads 0
--threads x
--out y.txt
--out nowhere/y.npy
--format json
--level scalar
--keep-going
--unbuffered
--name r
--in-format xml
--w-layout in-in
--label-smoothing 2
--ignore-index x
--t-kind soft
--empty maybe
--tape --json
--json --pretty --out y.json
--check --out y.json
--ndjson --check
--expect absent.json
--graph picture.png
--steps html
--dout 1,2,3,4,5,6,7
--x 1
--jacobian --dout 2
--forward --dout ones
""".splitlines()
# Commands that are refused, with empty standard input.
BAD_COMMANDS = """\
affine --x 1,2,3;4,5,6 --w 1,2;3,4
affine --x 1,2,3;4,5,6 --w 1,2,3;4,5,6
affine --x 5 --w 1,2;
affine --x 1,2 --w 1,2
affine --x 1,2 --w 1;2 --b 1,2,3
affine --x 1,2,3;4,5,6 --w 1,2;3,4 --w-layout out-in
affine --x 1,2 --w 1;2 --dout 1,2,3
affine --x 1,2 --w 1;2 --dout 1 --check
affine --x 1,2 --w 1;2 --dout 1 --tape
affine --x 1,2 --w 1;2 --dout 1 --graph
affine --x 1,2 --w 1;2 --dout 1 --jacobian
affine --x 1,2 --w 1;2 --dout 1 --expect [5]
softmax --x inf,1
softmax --x -inf,-inf
softmax --x 1,2;-inf,-inf
softmax --x 1,2;-inf,-inf --axis 0
softmax --x 1,2 --axis 1
softmax --x 1,2;3,4 --axis -3
softmax 1,2
linear --x 1
sofmax --x 1
cross-entropy
--frob
net absent.json --x 1
backward absent.json
step
train
compare 1,2
gradcheck
gradcheck --layer conv
gradcheck --layer relu -- absent-program
sum absent.json
sum 1,2
net --init 64
net --init 1,0
relu --x 1 --x 2
relu --x - --dout -
compare 1,2 absent.npy
compare 1,2 1;2 --rtol x
compare 1,2 1,2 --ulp -1
compare - -
affine
softmax
xent
relu
""".splitlines()
# Commands, and the texts on standard input for which they fail.
BAD_STREAMS = [
    (["softmax --json", "relu", "xent", "affine --w 1;2"],
     [b"", b"{", b"[1,2", b"{broken", b'{"x":[1,null]}', b'{"z":[1,2]}', b'{"x":"w.npy"}', b"hello world\n",
      b'{"x":[1],"axis":9}', b'{"x":[1,2],"reduction":"men"}', b"\xff\xfe\x00", b'{"nnlayer-tape":1,"layers":[]}']),
    (["backward", "backward --json", "step --lr 0.1", "net - --x 1,2,3", "net -", "relu"],
     [b'{"nnlayer-tape":2,"layers":[]}', b'{"nnlayer-tape":1,"layers":[{"kind":"rule"}]}', b'{"y":[1]}',
      b'{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":[[1,2]]}}]}',
      b'{"nnlayer-tape":1,"layers":[{"kind":"relu","inputs":{"x":[1]},"outputs":{"y":[1,2]}}]}']),
    (["softmax --ndjson", "relu --ndjson", "softmax-xent --ndjson", "relu --ndjson --strict", "relu --ndjson --dout 1,2"],
     [b"{broken\n", b'{"x":[1,2]}\n{"x":[1,null]}\n', b'{"x":[]}\n', b'{"x":[1,2],"t":5}\n']),
    (["sum", "sum --json"],
     [b'{"dw":[[1,2]]}\n{"dw":[[1],[2]]}\n', b'{"dw":[1],"db":[1]}\n{"dw":[1]}\n', b'{"loss":1,"divisor":2}\n{"loss":1}\n',
      b'{"y":[1]}\n', b"[1]\n", b'{"loss":0,"divisor":0}\n', b"\n"]),
]


def bad_file(rng):
    """Returns the name and bytes of an invalid file."""
    truncated = npy(Array((2, 3), [1.0] * 6))[: rng.randint(3, 150)]
    return rng.choice([
        ("x.npy", truncated), ("x.npz", npz({"x": truncated})), ("x.npz", npz({"x": npy(scalar(1.0))})[:60]),
        ("x.npy", npy(Array((1,), [1.0])).replace(b"<f8", b"|O8")), ("x.safetensors", safetensors({"x": scalar(1.0)})[:20]),
        ("x.json", b'{"x":[1],"x":[2]}'), ("x.json", b"[[1,2],[3"), ("x.json", b""), ("x.dat", b"\x7fELF"),
        ("x.csv", b"height,width\n1,2\n"), ("x.csv", b"1;2\n3;4\n"), ("x.csv", b"1,2\n3\n"),
    ])


def invalid_command(rng):
    """Commands of which nearly all are refused."""
    name = rng.choice(["softmax", *ELEMENTWISE])
    match rng.choices(["operand", "options", "command", "stream", "file", "targets", "strict"], [4, 4, 4, 4, 2, 1, 1])[0]:
        case "operand":
            return [Run([[name, "--x", rng.choice(BAD_OPERANDS), *rng.choice([[], ["--json"]])]])], {"x.json": b"[1,2]"}
        case "options":
            layer = draw_layer(rng)
            builder = Builder(rng, layer.name, stdin=False)
            add_layer_options(builder, layer)
            return [Run([builder.arguments() + rng.choice(BAD_OPTIONS).split()])], builder.files
        case "command":
            return [Run([rng.choice(BAD_COMMANDS).split()], b"")], {}
        case "stream":
            commands, streams = rng.choice(BAD_STREAMS)
            return [Run([rng.choice(commands).split()], rng.choice(streams))], {}
        case "file":
            file, data = bad_file(rng)
            return [Run([[name, "--x", file, "--json"]])], {file: data}
        case "targets":
            targets = rng.choice(["0,3", "0,-1", "0,1,2", "0.5,1", "[[1,0],[0,1]]", "7", "1,1;"])
            reduction = ["--reduction", rng.choice(["sum", "mean"])]
            return [Run([["softmax-xent", "--x", "1,2,3;4,5,6", "--t", targets, *reduction]])], {}
        case "strict":
            y, t = rng.choice(["0.5,0.6", "1.5,-0.5", "nan,1", "0.5,0.5"]), rng.choice(["2", "0", "0.5,0.4", "-1"])
            return [Run([["xent", "--y", y, "--t", t, "--strict", *rng.choice([[], ["--eps", "-1"]])]])], {}


# Percentage of the commands in each group.
GROUPS = {
    "layer": (22, layer_command),
    "special": (5, special_command),
    "sized": (8, sized_command),
    "stdin": (7, stdin_command),
    "jacobian": (3, jacobian_command),
    "check": (4, check_command),
    "expect": (4, expect_command),
    "steps": (4, steps_command),
    "graph": (6, graph_command),
    "tape": (6, tape_command),
    "net": (6, net_command),
    "ndjson": (5, ndjson_command),
    "net --ndjson": (2, net_ndjson_command),
    "train": (2, train_command),
    "sum": (3, sum_command),
    "compare": (3, compare_command),
    "gradcheck": (2, lambda rng: gradcheck_command(rng, program=False)),
    "gradcheck program": (2, program_command),
    "invalid": (6, invalid_command),
}


def group_of(n):
    """Returns the group of a command number; every hundred numbers contain each group as often as its percentage."""
    names = [name for name, (rate, _) in GROUPS.items() for _ in range(rate)]
    random.Random(len(names)).shuffle(names)
    return names[n % len(names)]


def random_case(seed, n):
    """Returns the command of a number, which depends only on the seed and the number."""
    group = group_of(n)
    steps, files = GROUPS[group][1](random.Random(f"{seed}:{n}"))
    return Case(str(n), group, steps, files)
