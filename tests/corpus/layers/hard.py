"""Layers that are hard to differentiate numerically: fast oscillation, stairs, noise, steep and clipped functions."""

import hashlib
import math
import struct

from arrays import each, flat
from corpus import Case, Layer, Mistake
from layers.cross_entropy import SUM_BACKWARD, textbook_loss
from layers.pointwise import clip, pointwise
from rounded import cos, exp, number, sigmoid, sin, tanh

FOUR_PI = 4 * math.pi


def noise(i):
    """Values from −1 to 1 that are random, and the same for the same inputs."""
    data = b"".join(struct.pack("<d", float(v)) for v in flat(i["x"]))
    entries = iter(hashlib.sha256(data).digest())
    return each(lambda _: number(next(entries) / 128 - 1), i["x"])


def noisy_square(i):
    """x² with noise of 1 %."""
    return each(lambda x, n: x * x + 0.01 * n, i["x"], noise(i))


def one_sample(function):
    """A layer of rows, on one row and one target."""
    def apply(i, *dout):
        return function({"x": [i["x"]], "t": [i["t"]]}, *dout)

    return apply


def textbook_row(i):
    result = one_sample(textbook_loss_of_index)(i)
    return {"y": result["y"][0], "loss": result["loss"]}


def textbook_loss_of_index(i):
    classes = len(i["x"][0])
    return textbook_loss({**i, "t": [[number(1 if c == k.value else 0) for c in range(classes)] for k in i["t"]]})


def textbook_row_backward(i, dout):
    return {"dx": one_sample(SUM_BACKWARD)(i, dout)["dx"][0]}


LAYERS = [
    pointwise(
        "sine-4-pi",
        lambda x: sin(FOUR_PI * x),
        lambda x: FOUR_PI * cos(FOUR_PI * x),
        {"without-inner-slope": ("factor", lambda x: cos(FOUR_PI * x)), "sine": ("term", lambda x: FOUR_PI * sin(FOUR_PI * x))},
        "zero sign stale",
        cases={
            "halves": Case("--x 0,0.5,1,-1.5,2", wrong="zero sign"),
            "quarters": Case("--x 0.25,-0.25,0.75,1.25", wrong="zero sign"),
            "sixteenths": Case("--x 0.0625,0.1875,-0.4375", wrong="zero"),
            "irregular": Case("--x 0.3,-0.7,1.1,0.01", wrong="zero sign"),
        },
    ),
    pointwise("cosine", cos, lambda x: -sin(x), {"sine": ("sign", sin)}, "zero tail"),
    pointwise(
        "sine-20",
        lambda x: sin(20 * x) + x,
        lambda x: 20 * cos(20 * x) + 1,
        {"slow-part": ("term", lambda x: number(1))},
        "sign",
        cases={"thousandths": Case("--x 0.001,0.002,-0.003", wrong="slow-part")},
    ),
    pointwise(
        "clipped-ramp",
        lambda x: clip(0, 1)(4 * x),
        lambda x: number(4) if 0 < x.value < 0.25 else number(0),
        {"everywhere": ("branch", lambda x: number(4)), "nowhere": ("zero", lambda x: number(0))},
        "",
        shapes="",
        draw={"x": ("4x3", -0.1, 0.35)},
        cases={"inside": Case("--x 0.1,0.2,0.05", wrong="nowhere"), "kinks": Case("--x 0,0.25,0.1,1")},
    ),
    pointwise(
        "steep-sigmoid",
        lambda x: sigmoid(50 * x),
        lambda x: 50 * sigmoid(50 * x) * (1 - sigmoid(50 * x)),
        {"without-inner-slope": ("factor", lambda x: sigmoid(50 * x) * (1 - sigmoid(50 * x)))},
        "sign zero",
        shapes="",
        draw={"x": ("3x3", -0.05, 0.05)},
    ),
    pointwise("gaussian", lambda x: exp(-x * x), lambda x: -2 * x * exp(-x * x), {"without-inner-slope": ("term", lambda x: exp(-x * x))}, "sign"),
    pointwise(
        "small-outputs",
        lambda x: 1e-6 * tanh(x),
        lambda x: 1e-6 * (1 - tanh(x) * tanh(x)),
        {},
        "sign zero factor=2",
        precisions=("f64", "f32", "bf16"),
    ),
    pointwise(
        "tiny-outputs",
        lambda x: 1e-12 * tanh(x),
        lambda x: 1e-12 * (1 - tanh(x) * tanh(x)),
        {},
        "sign zero factor=1.01",
        precisions=("f64", "f32"),
    ),
    pointwise(
        "large-offset",
        lambda x: 1e6 + x * x,
        lambda x: 2 * x,
        {"x": ("factor", lambda x: x)},
        "sign",
        precisions=("f64",),
    ),
    # The loss moves in steps of one unit in the last place of 1, far larger than the gradient's effect.
    Layer(
        "textbook-loss-near-1",
        textbook_row,
        textbook_row_backward,
        shapes="",
        layers=("softmax-xent",),
        options="--x 0,16.4 --t 1",
        output="loss",
        # In f16 the smaller probability underflows, and the loss is off by 1 %.
        cases={
            "class-0": Case("--x 0,16.4 --t 0", precisions=("f64", "f32", "bf16")),
            "moderate": Case("--x 0,1.5,-1 --t 1", wrong="sign"),
        },
    ),
    # No gradient of noise is right: the check may fail or stay undecided, and must not pass.
    Layer(
        "noise",
        noise,
        lambda i, d: {"dx": each(lambda _: number(0), i["x"])},
        shapes="x=3x2",
        right=False,
        mistakes={
            "zero-gradient": Mistake("noise", lambda i, d: {"dx": each(lambda _: number(0), i["x"])}),
            "some-gradient": Mistake("noise", lambda i, d: {"dx": each(lambda x, g: x * g, i["x"], d)}),
            "one-gradient": Mistake("noise", lambda i, d: {"dx": d}),
        },
    ),
    Layer(
        "noisy-square",
        noisy_square,
        lambda i, d: {"dx": each(lambda x, g: 2 * x * g, i["x"], d)},
        shapes="x=2x3",
        right=False,
        mistakes={"without-2": Mistake("noise", lambda i, d: {"dx": each(lambda x, g: x * g, i["x"], d)})},
    ),
]
