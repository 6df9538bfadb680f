"""Losses of predictions x or probabilities y and targets t, and of pairs of rows."""

from arrays import constant, each, flat, sum_all
from corpus import Case, Layer, Mistake
from layers.pointwise import softplus
from rounded import dot, exp, log, number, sigmoid, sign, sqrt, total


def pointwise_loss(name, value, slope, slopes=(), mean=True, operand="x", **more):
    """Builds a loss Σ f(x, t), or its mean, from f and ∂f/∂x."""

    def forward(i):
        terms = each(value, i[operand], i["t"])
        return sum_all(terms) / len(flat(terms)) if mean else sum_all(terms)

    def with_slope(slope, divisor=None):
        def backward(i, dout):
            count = divisor or (len(flat(i["t"])) if mean else 1)
            return {f"d{operand}": each(lambda x, t: dout * slope(x, t) / count, i[operand], i["t"])}

        return backward

    mistakes = {key: Mistake(kind, with_slope(wrong)) for key, (kind, wrong) in dict(slopes).items()}
    if mean:
        mistakes["not-divided"] = Mistake("factor", with_slope(slope, 1))
        mistakes["divided-by-rows"] = Mistake("factor", with_slope(slope, 4))
    return Layer(
        name,
        forward,
        with_slope(slope),
        shapes=more.pop("shapes", f"{operand}=4x3 t=4x3"),
        output="loss",
        mistakes=mistakes,
        cases=more.pop("cases", {"equal": Case("--x 0,1,-1;0.5,2,-2 --t 0,1,1;-0.5,2,-3")}),
        **more,
    )


def huber(x, t):
    e = x - t
    return 0.5 * e * e if abs(e) <= 1 else abs(e) - 0.5


def huber_slope(x, t):
    e = x - t
    return e if abs(e) <= 1 else sign(e)


BETA = 0.5


def smooth_l1(x, t):
    e = abs(x - t)
    return 0.5 * e * e / BETA if e < BETA else e - 0.5 * BETA


def smooth_l1_slope(x, t):
    e = x - t
    return e / BETA if abs(e) < BETA else sign(e)


def nll(i):
    """−Σ x_n,t for log-probabilities x and fixed classes."""
    return -total(row[k] for row, k in zip(i["x"], CLASSES))


def nll_backward(i, dout, classes=None):
    dx = constant(i["x"], 0)
    for row, k in zip(dx, classes or CLASSES):
        row[k] = -dout
    return {"dx": dx}


CLASSES = (0, 2, 1, 0)


def kl_div(i):
    """Σ t·(log t − x) over log-probabilities x."""
    return sum_all(each(lambda x, t: t * (log(t) - x), i["x"], i["t"]))


def kl_div_backward(i, dout):
    return {"dx": each(lambda t: -dout * t, i["t"]), "dt": each(lambda x, t: dout * (log(t) + 1 - x), i["x"], i["t"])}


def cosine(i):
    """1 − cos of each pair of rows, summed."""
    return total(1 - cosine_of(a, b) for a, b in zip(i["x"], i["z"]))


def cosine_of(a, b):
    return dot(a, b) / (sqrt(dot(a, a)) * sqrt(dot(b, b)))


def cosine_backward(i, dout, projection=True):
    def of_rows(rows, others):
        gradient = []
        for a, b in zip(rows, others):
            lengths, c = sqrt(dot(a, a)) * sqrt(dot(b, b)), cosine_of(a, b)
            squared = dot(a, a)
            gradient.append([-dout * (v / lengths - (c * u / squared if projection else 0)) for u, v in zip(a, b)])
        return gradient

    return {"dx": of_rows(i["x"], i["z"]), "dz": of_rows(i["z"], i["x"])}


def triplet(i):
    """Σ max(0, |a − p|² − |a − n|² + 1) over the rows."""
    return total(margin if margin > 0 else number(0) for margin in margins(i))


def margins(i):
    return [squared_distance(a, p) - squared_distance(a, n) + 1 for a, p, n in zip(i["a"], i["p"], i["n"])]


def squared_distance(a, b):
    return total((u - v) * (u - v) for u, v in zip(a, b))


def triplet_backward(i, dout, margin=True):
    gradients = {"da": [], "dp": [], "dn": []}
    for a, p, n, m in zip(i["a"], i["p"], i["n"], margins(i)):
        active = 1 if m > 0 or not margin else 0
        gradients["da"].append([dout * active * 2 * (w - v) for u, v, w in zip(a, p, n)])
        gradients["dp"].append([dout * active * 2 * (v - u) for u, v in zip(a, p)])
        gradients["dn"].append([dout * active * 2 * (u - w) for u, w in zip(a, n)])
    return gradients


def hinge(x, t):
    m = 1 - x * t
    return m if m > 0 else number(0)


def bce_logits(x, t):
    return (x if x > 0 else number(0)) - x * t + softplus(-abs(x))


BINARY = "--t 1,0,0;0,1,1;1,1,0;0,0,1"
SIGNS = "--t 1,-1,-1;-1,1,1;1,1,-1;-1,-1,1"

LAYERS = [
    pointwise_loss(
        "mse",
        lambda x, t: (x - t) * (x - t),
        lambda x, t: 2 * (x - t),
        {"without-2": ("factor", lambda x, t: x - t), "t-minus-x": ("sign", lambda x, t: 2 * (t - x)), "without-target": ("term", lambda x, t: 2 * x)},
        wrong="zero entry tail stale precision accumulated",
        cases={"large": Case("--x 1e8,-1e8,3e8 --t 0,0,0", ("f64", "f32"), wrong="zero"), "near-5000": Case("--x 5000,5001 --t 4990,5020", ("f64", "f32"))},
    ),
    pointwise_loss(
        "l1",
        lambda x, t: abs(x - t),
        lambda x, t: sign(x - t),
        {"difference": ("term", lambda x, t: x - t), "always-1": ("branch", lambda x, t: number(1))},
        wrong="sign row",
    ),
    pointwise_loss(
        "huber",
        huber,
        huber_slope,
        {"not-clipped": ("branch", lambda x, t: x - t), "clipped-without-sign": ("branch", lambda x, t: x - t if abs(x - t) <= 1 else number(1))},
        wrong="sign column",
    ),
    pointwise_loss(
        "smooth-l1",
        smooth_l1,
        smooth_l1_slope,
        {"without-beta": ("branch", lambda x, t: x - t if abs(x - t) < BETA else sign(x - t))},
        shapes="",
        draw={"x": ("4x3", -1, 1), "t": ("4x3", -0.1, 0.1)},
        wrong="sign rows-shifted",
    ),
    pointwise_loss(
        "bce",
        lambda y, t: -(t * log(y) + (1 - t) * log(1 - y)),
        lambda y, t: (y - t) / (y * (1 - y)),
        {"of-the-logit": ("term", lambda y, t: y - t), "positive-term-only": ("term", lambda y, t: -t / y)},
        operand="y",
        shapes="",
        draw={"y": ("4x3", 0.1, 0.9)},
        options=BINARY,
        wrong="sign entry precision",
        cases={},
    ),
    pointwise_loss(
        "bce-logits",
        bce_logits,
        lambda x, t: sigmoid(x) - t,
        {"without-target": ("term", lambda x, t: sigmoid(x)), "x-minus-t": ("term", lambda x, t: x - t)},
        shapes="x=4x3",
        options=BINARY,
        wrong="sign tail stale",
        cases={"large": Case("--x 30,-30,0;-40,40,3;-3,100,1;0,-100,1")},
    ),
    pointwise_loss(
        "hinge",
        hinge,
        lambda x, t: -t if x * t < 1 else number(0),
        {"everywhere": ("branch", lambda x, t: -t), "without-target": ("term", lambda x, t: number(-1) if x * t < 1 else number(0))},
        shapes="x=4x3",
        options=SIGNS,
        wrong="sign zero",
        cases={"kinks": Case("--x 1,-1,-1;0,2,0.5;1,1,0;-2,0,0", wrong="")},
    ),
    pointwise_loss(
        "log-cosh",
        lambda x, t: abs(x - t) + log(0.5 * (1 + exp(-2 * abs(x - t)))),
        lambda x, t: sign(x - t) * (1 - exp(-2 * abs(x - t))) / (1 + exp(-2 * abs(x - t))),
        {"difference": ("term", lambda x, t: x - t)},
        mean=False,
        wrong="sign factor=2",
    ),
    Layer(
        "nll",
        nll,
        nll_backward,
        output="loss",
        wrong="sign factor=0.25",
        mistakes={
            "exp-minus-target": Mistake("term", lambda i, d: {"dx": [[exp(v) * d + g for v, g in zip(row, line)] for row, line in zip(i["x"], nll_backward(i, d)["dx"])]}),
            "classes-from-1": Mistake("columns", lambda i, d: nll_backward(i, d, (1, 0, 2, 1))),
        },
    ),
    Layer(
        "kl-div",
        kl_div,
        kl_div_backward,
        draw={"t": ("4x3", 0.1, 0.9)},
        output="loss",
        wrong="sign factor=0.25 zero@dt",
        mistakes={"dt-without-1": Mistake("term", lambda i, d: {"dt": each(lambda x, t: d * (log(t) - x), i["x"], i["t"])})},
    ),
    Layer(
        "cosine-distance",
        cosine,
        cosine_backward,
        shapes="x=3x4 z=3x4",
        output="loss",
        wrong="sign entry@dz stale precision",
        mistakes={"without-projection": Mistake("term", lambda i, d: {"dx": cosine_backward(i, d, False)["dx"]})},
    ),
    Layer(
        "triplet",
        triplet,
        triplet_backward,
        shapes="a=4x3 p=4x3 n=4x3",
        output="loss",
        wrong="sign@dn factor=0.5@da row@dp",
        mistakes={"anchor-alone": Mistake("term", lambda i, d: {"dp": constant(i["p"], 0)})},
    ),
]
