"""Layers that map each entry: y = f(x), dx = dout·f′(x)."""

import math

from arrays import each, multiply
from corpus import Case, Layer, Mistake
from rounded import erf, exp, expm1, log1p, number, power, sigmoid, sign, sqrt, tanh

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
KINKS = "--x 0,0,1,-1;-0.0,0.5,-2,2"


def pointwise(name, value, slope, slopes=(), wrong="sign", **more):
    """Builds a layer from f and f′; `slopes` are wrong forms of f′ with the kind of each."""

    def with_slope(slope):
        return lambda i, dout: {"dx": each(lambda x, d: d * slope(x), i["x"], dout)}

    more.setdefault("cases", {})
    more["cases"] = {"kinks": Case(KINKS), **more["cases"]}
    return Layer(
        name,
        lambda i: each(value, i["x"]),
        with_slope(slope),
        wrong=wrong,
        mistakes={
            key: Mistake(kind, with_slope(wrong_slope), None, *precisions) for key, (kind, wrong_slope, *precisions) in dict(slopes).items()
        }
        | more.pop("mistakes", {}),
        **more,
    )


def choose(condition, a, b):
    return number(a if condition else b)


def softplus(x):
    """log(1 + e^x), through e^(−|x|) so that it does not overflow."""
    return (x if x > 0 else number(0)) + log1p(exp(-abs(x)))


def gelu_tanh_inner(x):
    return SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)


def gelu_tanh_slope(x):
    t = tanh(gelu_tanh_inner(x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 0.134145 * x * x)


def gelu_slope(x):
    return 0.5 * (1 + erf(x * SQRT_HALF)) + x * DENSITY_AT_0 * exp(-0.5 * x * x)


def sigmoid_slope(x):
    y = sigmoid(x)
    return y * (1 - y)


def tanh_slope(x):
    y = tanh(x)
    return 1 - y * y


def silu_slope(x):
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


def mish_slope(x):
    t = tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


def elu(x):
    return x if x > 0 else expm1(x)


def inside(low, high):
    """The slope of a clipped function: 1 between the bounds."""
    return lambda x: choose(low < x.value < high, 1, 0)


def clip(low, high):
    return lambda x: number(low) if x < low else number(high) if x > high else x


def scaled(kind, factor):
    return lambda i, dout: {"dx": each(lambda d: d * factor, dout)}


def random_scales(name, value, slope):
    """A layer over random inputs of a larger scale, where it saturates."""
    for size in (1, 5, 20, 100):
        yield pointwise(
            f"{name}-scale-{size}",
            value,
            slope,
            layers=(name, "custom"),
            shapes="",
            draw={"x": ("3x4", -size, size)},
            wrong="sign" if size <= 5 else "",
        )


def relu(x):
    return x if x > 0 else number(0)


def relu_slope(x):
    return choose(x > 0, 1, 0)


def leaky(x):
    return x if x > 0 else 0.01 * x


LAYERS = [
    pointwise(
        "relu",
        relu,
        relu_slope,
        {
            "everywhere-1": ("branch", lambda x: number(1)),
            "negative-side": ("branch", lambda x: choose(x < 0, 1, 0)),
            "slope-x": ("term", relu),
        },
        "sign factor=2 zero dout-ignored rows-reversed columns-shifted entry tail accumulated stale stale-first integers",
        layers=("relu", "custom"),
        mistakes={
            "leaky": Mistake(
                "forward",
                lambda i, d: {"dx": each(lambda x, g: g if x > 0 else 0.01 * g, i["x"], d)},
                lambda i: each(leaky, i["x"]),
            ),
            "clipped-at-1": Mistake(
                "forward",
                lambda i, d: {"dx": each(lambda x, g: g if 0 < x.value < 1 else number(0), i["x"], d)},
                lambda i: each(clip(0, 1), i["x"]),
            ),
        },
        cases={
            "empty": Case("", shapes="x=0"),
            "one-number": Case("--x -1.5"),
            "small-and-huge": Case("--x 1e-300,-1e-300,1e300,-0.0", ("f64",)),
            "near-5000": Case("--x 5000,-5001,4999;5002,-4998,5003", ("f64", "f32"), wrong="integers sign"),
            "six-digits": Case("", ("f64", "f32"), digits=6),
        },
    ),
    # 1 is a subgradient of ReLU at 0, as good as 0.
    pointwise("relu-slope-1-at-0", relu, lambda x: choose(x >= 0, 1, 0), layers=("relu", "custom")),
    pointwise("relu-slope-half-at-0", relu, lambda x: (sign(x) + 1) * 0.5, layers=("relu", "custom")),
    pointwise(
        "sigmoid",
        sigmoid,
        sigmoid_slope,
        {
            "x-for-y": ("term", lambda x: x * (1 - x)),
            "y-alone": ("term", sigmoid),
            "applied-twice": ("twice", lambda x: sigmoid_slope(sigmoid(x))),
            "slope-of-tanh": ("term", tanh_slope),
        },
        "sign factor=4 zero dout-ignored row tail stale precision precision-all",
        layers=("sigmoid", "custom"),
        mistakes={
            "as-tanh": Mistake("forward", lambda i, d: {"dx": each(lambda x, g: g * tanh_slope(x), i["x"], d)}, lambda i: each(tanh, i["x"]))
        },
        cases={
            "saturated": Case("--x 40,-40,0,700,-700", ("f64", "f32")),
            "small-and-huge": Case("--x 1e-300,1e300,-1e300", ("f64",)),
            "empty": Case("", shapes="x=0"),
            "nine-digits": Case("", ("f64", "f32"), digits=9),
        },
    ),
    *random_scales("sigmoid", sigmoid, sigmoid_slope),
    pointwise(
        "tanh",
        tanh,
        tanh_slope,
        {
            "without-1": ("term", lambda x: -tanh(x) * tanh(x)),
            "not-squared": ("term", lambda x: 1 - tanh(x)),
            "x-for-y": ("term", lambda x: 1 - x * x),
        },
        "sign zero dout-ignored factor=0.5 column tail accumulated precision precision-all",
        layers=("tanh", "custom"),
        mistakes={
            "as-sigmoid": Mistake(
                "forward", lambda i, d: {"dx": each(lambda x, g: g * sigmoid_slope(x), i["x"], d)}, lambda i: each(sigmoid, i["x"])
            )
        },
        cases={"saturated": Case("--x 1e-9,20,-20,0", ("f64", "f32")), "empty": Case("", shapes="x=0")},
    ),
    *random_scales("tanh", tanh, tanh_slope),
    pointwise(
        "leaky-relu",
        leaky,
        lambda x: choose(x > 0, 1, 0.01),
        {"branches-swapped": ("branch", lambda x: choose(x > 0, 0.01, 1)), "as-relu": ("branch", relu_slope, ("f64", "f32", "f16"))},
        "sign stale rows-shifted",
    ),
    pointwise("elu", elu, lambda x: number(1) if x > 0 else exp(x), {"negative-1": ("branch", lambda x: number(1))}, "sign tail precision"),
    pointwise(
        "selu",
        lambda x: SELU_SCALE * x if x > 0 else SELU_SCALE * SELU_ALPHA * expm1(x),
        lambda x: number(SELU_SCALE) if x > 0 else SELU_SCALE * SELU_ALPHA * exp(x),
        {
            "without-alpha": ("branch", lambda x: number(SELU_SCALE) if x > 0 else SELU_SCALE * exp(x)),
            "without-scale": ("term", lambda x: number(1) if x > 0 else SELU_ALPHA * exp(x), ("f64", "f32", "f16")),
        },
        "zero entry",
    ),
    pointwise(
        "celu",
        lambda x: x if x > 0 else 2 * expm1(x / 2),
        lambda x: number(1) if x > 0 else exp(x / 2),
        {"alpha-1": ("branch", lambda x: number(1) if x > 0 else exp(x))},
        "sign columns-reversed",
    ),
    pointwise(
        "gelu",
        lambda x: 0.5 * x * (1 + erf(x * SQRT_HALF)),
        gelu_slope,
        {
            "distribution-alone": ("term", lambda x: 0.5 * (1 + erf(x * SQRT_HALF))),
            "sigmoid-form": ("term", lambda x: silu_slope(1.702 * x) * 1.5),
        },
        "sign stale-first precision tail",
    ),
    pointwise(
        "gelu-tanh",
        lambda x: 0.5 * x * (1 + tanh(gelu_tanh_inner(x))),
        gelu_tanh_slope,
        {"without-cubic-slope": ("term", lambda x: 0.5 * (1 + tanh(gelu_tanh_inner(x))))},
        "factor=2 row dout-ignored",
    ),
    pointwise(
        "silu",
        lambda x: x * sigmoid(x),
        silu_slope,
        {"sigmoid-alone": ("term", sigmoid), "without-x": ("term", sigmoid_slope)},
        "sign accumulated",
    ),
    pointwise("mish", lambda x: x * tanh(softplus(x)), mish_slope, {"tanh-alone": ("term", lambda x: tanh(softplus(x)))}, "sign column integers"),
    pointwise(
        "softplus",
        softplus,
        sigmoid,
        {"of-minus-x": ("sign", lambda x: sigmoid(-x)), "as-relu": ("term", relu_slope)},
        "zero stale",
        cases={"large": Case("--x 40,-40,0,100,-100", ("f64", "f32", "bf16"))},
    ),
    pointwise(
        "softsign",
        lambda x: x / (1 + abs(x)),
        lambda x: 1 / ((1 + abs(x)) * (1 + abs(x))),
        {"not-squared": ("term", lambda x: 1 / (1 + abs(x))), "without-magnitude": ("branch", lambda x: 1 / (1 + x * x))},
        "sign rows-reversed",
    ),
    pointwise(
        "log-sigmoid",
        lambda x: -softplus(-x),
        lambda x: sigmoid(-x),
        {"sigmoid": ("term", sigmoid), "negative": ("sign", lambda x: -sigmoid(-x))},
        "entry",
    ),
    pointwise(
        "hard-sigmoid",
        lambda x: clip(0, 1)(x * 0.25 + 0.5),
        lambda x: choose(-2 < x.value < 2, 0.25, 0),
        {"everywhere": ("branch", lambda x: number(0.25))},
        "sign factor=4",
        shapes="",
        draw={"x": ("3x4", -4, 4)},
        cases={"bounds": Case("--x 2,-2,0,3,-3", wrong="everywhere")},
    ),
    pointwise(
        "hard-swish",
        lambda x: x * clip(0, 1)((x + 3) / 6),
        lambda x: number(0) if x <= -3 else number(1) if x >= 3 else (2 * x + 3) / 6,
        {"gate-alone": ("term", lambda x: clip(0, 1)((x + 3) / 6))},
        "sign tail",
        shapes="",
        draw={"x": ("3x4", -5, 5)},
        cases={"bounds": Case("--x 3,-3,0,4,-4")},
    ),
    pointwise(
        "hard-tanh",
        clip(-1, 1),
        inside(-1, 1),
        {"everywhere": ("branch", lambda x: number(1)), "positive-only": ("branch", inside(0, 1))},
        "sign stale",
        cases={"ties": Case("--x 1,-1,1,2", wrong="everywhere")},
    ),
    pointwise("square", lambda x: x * x, lambda x: 2 * x, {"x": ("factor", lambda x: x)}, "sign stale precision integers accumulated",
        cases={"at-1e8": Case("--x 1e8,-1e8,3e8", ("f64", "f32"), wrong="sign x")}),
    pointwise("cube", lambda x: x * x * x, lambda x: 3 * x * x, {"without-3": ("factor", lambda x: x * x)}, "sign tail"),
    pointwise("absolute", abs, sign, {"1": ("branch", lambda x: number(1))}, "sign zero"),
    pointwise(
        "power-1.5",
        lambda x: power(x, 1.5),
        lambda x: 1.5 * power(x, 0.5),
        {"without-exponent": ("factor", lambda x: power(x, 0.5)), "exponent-kept": ("term", lambda x: 1.5 * power(x, 1.5))},
        "sign row",
        shapes="",
        draw={"x": ("3x4", 0.5, 4)},
        cases={"kinks": Case("--x 1,2,4;0.25,3,5", shapes="")},
    ),
    pointwise(
        "reciprocal",
        lambda x: 1 / x,
        lambda x: -1 / (x * x),
        {"not-squared": ("term", lambda x: -1 / x)},
        "sign precision",
        shapes="",
        draw={"x": ("3x4", 0.5, 4)},
        cases={"kinks": Case("--x 1,-2,4;0.25,3,-5", shapes="")},
    ),
    pointwise(
        "square-root",
        sqrt,
        lambda x: 0.5 / sqrt(x),
        {"without-half": ("factor", lambda x: 1 / sqrt(x))},
        "zero tail",
        shapes="",
        draw={"x": ("3x4", 0.5, 4)},
        cases={
            "kinks": Case("--x 1,2,4;0.25,3,5", shapes=""),
            "near-0": Case("--x 0.002,0.5,1,2", shapes="", wrong="zero without-half"),
            "very-near-0": Case("--x 1e-9,0.5,1,2", ("f64", "f32"), shapes=""),
        },
    ),
]
