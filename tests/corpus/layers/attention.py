"""Attention, rotary positions, and dropout with a given mask."""

import math

from arrays import add, each, matmul, multiply, scale, sum_rows, transpose
from corpus import Layer, Mistake
from layers.softmax import softmax_row, softmax_row_backward
from rounded import cos, dot, number, sin


def weights(i, causal=False):
    scores = scale(matmul(i["q"], transpose(i["k"])), 1 / math.sqrt(len(i["q"][0])))
    if not causal:
        return [softmax_row(row) for row in scores]
    return [softmax_row(row[: n + 1]) + [number(0)] * (len(row) - n - 1) for n, row in enumerate(scores)]


def attention(causal=False):
    return lambda i: matmul(weights(i, causal), i["v"])


def attention_backward(causal=False, scaled=True, through_softmax=True):
    def backward(i, dout):
        p = weights(i, causal)
        dp = matmul(dout, transpose(i["v"]))
        if through_softmax:
            ds = [softmax_row_backward(row, d) for row, d in zip(p, dp)]
        else:
            ds = multiply(p, dp)
        if scaled:
            ds = scale(ds, 1 / math.sqrt(len(i["q"][0])))
        return {"dq": matmul(ds, i["k"]), "dk": matmul(transpose(ds), i["q"]), "dv": matmul(transpose(p), dout)}

    return backward


def attention_pooling(i):
    """One learnt query u pools the rows of x: y = Σ_n softmax(x·u)_n·x_n."""
    return matmul([pooling_weights(i)], i["x"])[0]


def pooling_weights(i):
    return softmax_row([dot(row, i["u"]) for row in i["x"]])


def attention_pooling_backward(i, dout, through_weights=True):
    p = pooling_weights(i)
    ds = softmax_row_backward(p, [dot(row, dout) for row in i["x"]])
    through_values = [[w * d for d in dout] for w in p]
    if not through_weights:
        return {"dx": through_values}
    return {
        "dx": add(through_values, [[s * u for u in i["u"]] for s in ds]),
        "du": sum_rows([[s * v for v in row] for s, row in zip(ds, i["x"])]),
    }


def angles(position, width):
    return [number(position * 100 ** (-2 * k / width)) for k in range(width // 2)]


def rotate(row, position, direction=1):
    """Rotates the pairs (x_k, x_(k + width/2))."""
    half = len(row) // 2
    first, second = [], []
    for a, b, angle in zip(row[:half], row[half:], angles(position, len(row))):
        c, s = cos(angle), direction * sin(angle)
        first.append(a * c - b * s)
        second.append(a * s + b * c)
    return first + second


def rope(i):
    return [rotate(row, n) for n, row in enumerate(i["x"])]


def rope_backward(i, dout, direction=-1):
    return {"dx": [rotate(row, n, direction) for n, row in enumerate(dout)]}


KEEP = [[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]]


def dropout(i):
    return each(lambda v, keep: v * keep / 0.75, i["x"], KEEP)


def dropout_backward(i, dout):
    return {"dx": each(lambda d, keep: d * keep / 0.75, dout, KEEP)}


LAYERS = [
    Layer(
        "attention",
        attention(),
        attention_backward(),
        shapes="q=3x2 k=4x2 v=4x3",
        wrong="sign@dq sign@dk factor=2@dv zero@dk rows-shifted@dv accumulated@dv stale@dq precision@dk tail@dk",
        hidden_in_bf16="tail@dk sign@dq sign@dk zero@dk stale@dq",
        mistakes={
            "not-scaled": Mistake("factor", lambda i, d: {k: v for k, v in attention_backward(scaled=False)(i, d).items() if k != "dv"}, precisions=("f64", "f32", "f16")),
            "softmax-diagonal": Mistake("term", lambda i, d: {"dq": attention_backward(through_softmax=False)(i, d)["dq"]}),
            "dk-of-one-row": Mistake("term", lambda i, d: {"dk": [attention_backward()(i, d)["dk"][0]] * len(i["k"])}),
        },
    ),
    Layer(
        "attention-causal",
        attention(causal=True),
        attention_backward(causal=True),
        shapes="q=4x2 k=4x2 v=4x2",
        wrong="sign@dv entry@dq columns-reversed@dk",
        hidden_in_bf16="columns-reversed@dk",
        mistakes={"without-mask": Mistake("term", attention_backward(causal=False))},
    ),
    Layer(
        "attention-pooling",
        attention_pooling,
        attention_pooling_backward,
        shapes="x=4x3 u=3",
        wrong="sign@du stale@dx factor=2@du",
        hidden_in_bf16="sign@du stale@dx factor=2@du",
        mistakes={"without-weights": Mistake("term", lambda i, d: attention_pooling_backward(i, d, False), precisions=("f64", "f32"))},
    ),
    Layer(
        "rope",
        rope,
        rope_backward,
        shapes="x=4x4",
        wrong="dout-ignored rows-shifted sign",
        mistakes={
            "rotated-forward": Mistake("term", lambda i, d: rope_backward(i, d, 1)),
            "position-off-by-one": Mistake("term", lambda i, d: {"dx": [rotate(row, n + 1, -1) for n, row in enumerate(d)]}),
        },
    ),
    Layer(
        "dropout",
        dropout,
        dropout_backward,
        shapes="x=4x3",
        wrong="rows-reversed dout-ignored",
        mistakes={
            "not-scaled": Mistake("factor", lambda i, d: {"dx": each(lambda g, keep: g * keep, d, KEEP)}),
            "without-mask": Mistake("term", lambda i, d: {"dx": scale(d, 4 / 3)}),
        },
    ),
]
