"""Layers of two inputs: broadcasting sums and products, gates, and embedding rows chosen by fixed indices."""

from arrays import add, constant, each, multiply, sum_all, sum_rows
from corpus import Case, Layer, Mistake
from layers.pointwise import silu_slope
from rounded import number, sigmoid, total


def row_sum(i):
    """A matrix plus a row, plus a number."""
    return [[v + r + i["s"] for v, r in zip(row, i["r"])] for row in i["x"]]


def row_sum_backward(i, dout):
    return {"dx": dout, "dr": sum_rows(dout), "ds": sum_all(dout)}


def row_product(i):
    """A matrix times a row, times a column."""
    return [[v * r * c for v, r in zip(row, i["r"])] for row, c in zip(i["x"], i["c"])]


def row_product_backward(i, dout):
    dx = [[d * r * c for d, r in zip(row, i["r"])] for row, c in zip(dout, i["c"])]
    products = multiply(dout, i["x"])
    return {
        "dx": dx,
        "dr": sum_rows([[p * c for p in row] for row, c in zip(products, i["c"])]),
        "dc": [total(p * r for p, r in zip(row, i["r"])) for row in products],
    }


def halves(row):
    return row[: len(row) // 2], row[len(row) // 2 :]


def glu(i):
    return [[a * sigmoid(g) for a, g in zip(*halves(row))] for row in i["x"]]


def glu_backward(i, dout, swapped=False, gate_slope=True):
    dx = []
    for row, d in zip(i["x"], dout):
        a, g = halves(row)
        s = [sigmoid(v) for v in g]
        first = [u * v for u, v in zip(d, s)]
        second = [u * v * w * (1 - w) if gate_slope else u * v for u, v, w in zip(d, a, s)]
        dx.append(second + first if swapped else first + second)
    return {"dx": dx}


def swiglu(i):
    return each(lambda a, g: a * g * sigmoid(g), i["x"], i["gate"])


def swiglu_backward(i, dout):
    return {
        "dx": each(lambda g, d: d * g * sigmoid(g), i["gate"], dout),
        "dgate": each(lambda a, g, d: d * a * silu_slope(g), i["x"], i["gate"], dout),
    }


def prelu(i):
    return [[v if v > 0 else a * v for v, a in zip(row, i["a"])] for row in i["x"]]


def prelu_backward(i, dout):
    return {
        "dx": [[d if v > 0 else a * d for v, a, d in zip(row, i["a"], upstream)] for row, upstream in zip(i["x"], dout)],
        "da": sum_rows(each(lambda v, d: number(0) if v > 0 else v * d, i["x"], dout)),
    }


IDS = (2, 0, 2, 1, 2)


def embedding(i):
    return [list(i["w"][k]) for k in IDS]


def embedding_backward(i, dout, overwrite=False):
    dw = constant(i["w"], 0)
    for k, row in zip(IDS, dout):
        dw[k] = list(row) if overwrite else add(dw[k], row)
    return {"dw": dw}


def larger(i):
    return each(lambda a, b: a if a >= b else b, i["x"], i["z"])


def larger_backward(i, dout):
    first = each(lambda a, b, d: d if a >= b else number(0), i["x"], i["z"], dout)
    second = each(lambda a, b, d: d if b > a else number(0), i["x"], i["z"], dout)
    return {"dx": first, "dz": second}


def quotient(i):
    return each(lambda a, b: a / (b * b + 1), i["x"], i["z"])


def quotient_backward(i, dout):
    return {
        "dx": each(lambda b, d: d / (b * b + 1), i["z"], dout),
        "dz": each(lambda a, b, d: -2 * d * a * b / ((b * b + 1) * (b * b + 1)), i["x"], i["z"], dout),
    }


LAYERS = [
    Layer(
        "add-broadcast",
        row_sum,
        row_sum_backward,
        shapes="x=4x3 r=3 s=",
        wrong="sign@dr factor=0.25@dr tail@dx accumulated@dr zero@ds dout-ignored@dr",
        mistakes={
            "dr-not-summed": Mistake("unsummed", lambda i, d: {"dr": d}),
            "dr-of-one-row": Mistake("unsummed", lambda i, d: {"dr": d[0]}),
            "ds-mean": Mistake("factor", lambda i, d: {"ds": sum_all(d) / 12}),
        },
    ),
    Layer(
        "multiply-broadcast",
        row_product,
        row_product_backward,
        shapes="x=3x4 r=4 c=3",
        wrong="sign@dc entry@dr stale@dr rows-reversed@dx precision@dr",
        mistakes={"dr-without-column": Mistake("term", lambda i, d: {"dr": sum_rows(multiply(d, i["x"]))})},
    ),
    Layer(
        "glu",
        glu,
        glu_backward,
        shapes="x=3x4",
        wrong="sign stale tail",
        mistakes={
            "halves-swapped": Mistake("columns", lambda i, d: glu_backward(i, d, swapped=True)),
            "without-gate-slope": Mistake("term", lambda i, d: glu_backward(i, d, gate_slope=False)),
        },
    ),
    Layer(
        "swiglu",
        swiglu,
        swiglu_backward,
        shapes="x=3x3 gate=3x3",
        wrong="sign@dgate transposed@dx zero@dgate precision",
        mistakes={"gate-sigmoid": Mistake("term", lambda i, d: {"dgate": each(lambda a, g, u: u * a * sigmoid(g), i["x"], i["gate"], d)})},
    ),
    Layer(
        "prelu",
        prelu,
        prelu_backward,
        shapes="x=5x3 a=3",
        wrong="sign@da entry stale accumulated@da",
        mistakes={
            "da-everywhere": Mistake("branch", lambda i, d: {"da": sum_rows(multiply(i["x"], d))}),
            "da-not-summed": Mistake("unsummed", lambda i, d: {"da": each(lambda v, g: number(0) if v > 0 else v * g, i["x"], d)}),
        },
        cases={"kinks": Case("--x 0,1,-1;-0.0,0.5,-2")},
    ),
    Layer(
        "embedding",
        embedding,
        embedding_backward,
        shapes="w=4x3",
        wrong="sign rows-shifted dout-ignored accumulated",
        mistakes={"repeated-ids-overwrite": Mistake("term", lambda i, d: embedding_backward(i, d, True))},
    ),
    Layer(
        "larger-of-two",
        larger,
        larger_backward,
        shapes="x=4x3 z=4x3",
        wrong="sign@dz stale",
        mistakes={"to-both": Mistake("branch", lambda i, d: {"dx": d})},
    ),
    Layer("quotient", quotient, quotient_backward, shapes="x=3x3 z=3x3", wrong="sign@dz transposed@dz factor=2@dz integers"),
]
