"""Softmax and log-softmax: y = e^(x − max)/Σ, dx = y·(dout − Σ dout·y)."""

from arrays import each, rows, transpose
from corpus import Case, Layer, Mistake
from rounded import dot, exp, log, number, total


def softmax_row(row):
    largest = max(row, key=lambda v: v.value)
    powers = [exp(v - largest) for v in row]
    divisor = total(powers)
    return [p / divisor for p in powers]


def softmax_row_backward(y, d):
    inner = dot(d, y)
    return [p * (g - inner) for p, g in zip(y, d)]


def log_softmax_row(row):
    largest = max(row, key=lambda v: v.value)
    log_sum = log(total(exp(v - largest) for v in row))
    return [v - largest - log_sum for v in row]


def log_softmax_row_backward(row, d):
    upstream = total(d)
    return [g - p * upstream for g, p in zip(d, softmax_row(row))]


def softmax(i):
    return rows(softmax_row, i["x"])


def softmax_backward(i, dout):
    return {"dx": rows(softmax_row_backward, softmax(i), dout)}


def columns_softmax(i):
    return transpose(softmax({"x": transpose(i["x"])}))


def columns_softmax_backward(i, dout):
    return {"dx": transpose(softmax_backward({"x": transpose(i["x"])}, transpose(dout))["dx"])}


def log_softmax(i):
    return rows(log_softmax_row, i["x"])


def log_softmax_backward(i, dout):
    return {"dx": rows(log_softmax_row_backward, i["x"], dout)}


def diagonal(y, d):
    return [p * (1 - p) * g for p, g in zip(y, d)]


def softmax_base_2(i):
    return softmax({"x": each(lambda v: v * 2, i["x"])})


def softmax_base_2_backward(i, dout):
    return {"dx": each(lambda v: v * 2, softmax_backward({"x": each(lambda v: v * 2, i["x"])}, dout)["dx"])}


LARGE = "--x 30,0,-30;1,2,300"

LAYERS = [
    Layer(
        "softmax",
        softmax,
        softmax_backward,
        layers=("softmax", "custom"),
        wrong="sign factor=0.25 zero dout-ignored rows-reversed rows-shifted columns-shifted entry row column tail "
        "accumulated stale stale-first integers precision precision-all",
        hidden_in_bf16="rows-reversed rows-shifted columns-shifted",
        mistakes={
            "diagonal": Mistake("diagonal", lambda i, d: {"dx": rows(diagonal, softmax(i), d)}),
            "without-y": Mistake("term", lambda i, d: {"dx": rows(lambda y, g: [v - dot(g, y) for v in g], softmax(i), d)}),
            "wrong-axis": Mistake("axis", columns_softmax_backward),
            "applied-twice": Mistake("twice", lambda i, d: softmax_backward({"x": softmax(i)}, d)),
            "gradient-of-log": Mistake("setting", log_softmax_backward),
            "inputs-doubled": Mistake("forward", softmax_base_2_backward, softmax_base_2),
        },
        cases={
            "one-row": Case("--x 1,2,3 --dout ones"),
            "large": Case(LARGE),
            "large-in-f64": Case(LARGE, ("f64",), wrong="sign diagonal"),
            "large-dout-ones": Case(LARGE + " --dout ones"),
            "zeros": Case("--x 0,-0.0,0;0,0,0"),
            "ties": Case("--x 2,2,2;-1,2,2", wrong="diagonal"),
            "small-and-huge": Case("--x 1e-300,1,1e300", ("f64",)),
            "two-columns": Case("", shapes="x=5x2"),
            "one-column": Case("", shapes="x=4x1"),
            "one-number": Case("", shapes="x=1x1"),
            "empty": Case("", shapes="x=0x3"),
            "many-columns": Case("", shapes="x=2x17", wrong="tail"),
            "six-digits": Case("", ("f64", "f32"), digits=6),
            "nine-digits": Case("", ("f64", "f32"), digits=9),
        },
    ),
    Layer(
        "softmax-axis-0",
        columns_softmax,
        columns_softmax_backward,
        layers=("softmax", "custom"),
        settings="--axis 0",
        wrong="sign column tail",
        mistakes={
            "wrong-axis": Mistake("axis", softmax_backward),
            "diagonal": Mistake("diagonal", lambda i, d: {"dx": transpose(rows(diagonal, transpose(columns_softmax(i)), transpose(d)))}),
        },
    ),
    Layer(
        "softmax-square",
        softmax,
        softmax_backward,
        shapes="x=3x3",
        layers=("softmax", "custom"),
        wrong="transposed",
        mistakes={"wrong-axis": Mistake("axis", columns_softmax_backward)},
    ),
    Layer(
        "log-softmax",
        log_softmax,
        log_softmax_backward,
        layers=("softmax", "custom"),
        settings="--log",
        wrong="sign factor=2 dout-ignored row tail stale",
        mistakes={
            "gradient-of-softmax": Mistake("setting", softmax_backward),
            "without-sum": Mistake("term", lambda i, d: {"dx": rows(lambda x, g: [v - p for v, p in zip(g, softmax_row(x))], i["x"], d)}),
        },
        cases={
            "large": Case(LARGE),
            "large-dout-ones": Case(LARGE + " --dout ones"),
            "zeros": Case("--x 0,0,0;0,0,0"),
        },
    ),
]

for size in (1, 5, 20, 100):
    # Random logits of a larger scale: the smaller entries of a row are nearly or exactly 0.
    LAYERS.append(
        Layer(
            f"softmax-scale-{size}",
            softmax,
            softmax_backward,
            layers=("softmax", "custom"),
            shapes="",
            draw={"x": ("3x4", -size, size)},
            wrong="sign" if size <= 5 else "",
        )
    )
