"""Cross-entropy of probabilities, and of logits through a softmax."""

from arrays import each, rows, scale, sum_all
from corpus import Case, Layer, Mistake
from layers.softmax import columns_softmax, log_softmax_row, softmax, softmax_row
from rounded import dot, log, number, total

EPS = 1e-10
ONE_HOT = "--t 1,0,0;0,0,1;0,1,0;1,0,0"
SOFT = "--t 0.7,0.2,0.1;0,0,1;0.5,0.25,0.25;0.1,0.1,0.8"


def xent(eps=EPS, mean=False):
    def forward(i):
        entries = each(lambda y, t: t * log(y + eps) if t != 0 else number(0), i["y"], i["t"])
        return -(sum_all(entries)) / (len(entries) if mean else 1)

    return forward


def xent_backward(eps=EPS, mean=False, power=1):
    def backward(i, dout):
        d = dout / len(i["y"]) if mean else dout
        gradients = {"dy": each(lambda y, t: -d * t / (y + eps), i["y"], i["t"])}
        # The gradient at the input of the softmax that made y.
        gradients["dx"] = rows(lambda y, t: [d * (p * total(t) - q) for p, q in zip(y, t)], i["y"], i["t"])
        return gradients

    return backward


def only_dy(backward):
    return lambda i, dout: {"dy": backward(i, dout)["dy"]}


PROBABILITIES = {"y": ("4x3", 0.05, 0.95)}


def xent_layers():
    for name, layers, mean in (("xent", ("xent",), False), ("xent-mean", ("xent",), True), ("xent-of-y", ("custom",), False)):
        right = xent_backward(mean=mean)
        mistakes = {
            "eps-1e-1": Mistake("eps", lambda i, d, mean=mean: {"dy": xent_backward(1e-1, mean)(i, d)["dy"]}),
            "without-target": Mistake("term", lambda i, d: {"dy": each(lambda y, t: -d / (y + EPS), i["y"], i["t"])}),
            "targets-ignored": Mistake("term", lambda i, d: {"dy": each(lambda y, t: y - t, i["y"], i["t"])}),
        }
        if name == "xent":
            mistakes["mean"] = Mistake("setting", xent_backward(mean=True))
            mistakes["forward-mean"] = Mistake("forward", xent_backward(mean=True), xent(mean=True))
        if name == "xent-mean":
            mistakes["sum"] = Mistake("setting", xent_backward(mean=False))
        yield Layer(
            name,
            xent(mean=mean),
            right if name != "xent-of-y" else only_dy(right),
            shapes="",
            layers=layers,
            settings="--reduction mean" if mean else "",
            options=SOFT,
            draw=PROBABILITIES,
            output="loss",
            wrong="sign@dy factor=0.333@dy zero@dy rows-reversed@dy entry@dy tail@dy stale@dy",
            mistakes=mistakes,
        )


def loss_of_logits(i, t, smoothing=0.0, weight=None, divisor=1):
    rows_of_losses = []
    for row, targets in zip(i["x"], t):
        terms = zip(targets, log_softmax_row(row))
        rows_of_losses.append(-total(q * v for q, v in terms))
    return total(rows_of_losses) / divisor


def targets_of(i, smoothing):
    """Returns targets as rows, one-hot for class indices, smoothed and weighted."""
    classes = len(i["x"][0])
    t = i["t"]
    if not isinstance(t[0], list):
        t = [[number(1 if c == k.value else 0) for c in range(classes)] for k in t]
    if smoothing:
        t = each(lambda v: v * (1 - smoothing) + smoothing / classes, t)
    if "weight" in i:
        w = i["weight"]
        if not isinstance(w, list):
            w = [w] * classes
        t = [[v * u for v, u in zip(row, w)] for row in t]
    return t


def softmax_xent(mean=False, smoothing=0.0, ignored=None):
    def divisor(i):
        if not mean:
            return 1
        if ignored is None:
            return len(i["x"])
        return sum(k.value != ignored for k in i["t"])

    def targets(i):
        rows_of_targets = targets_of(i, smoothing)
        if ignored is None:
            return rows_of_targets
        return [[v * (k.value != ignored) for v in row] for row, k in zip(rows_of_targets, i["t"])]

    def forward(i):
        return {"y": softmax(i), "loss": loss_of_logits(i, targets(i), divisor=divisor(i))}

    def backward(i, dout):
        d = dout / divisor(i)
        return {
            "dx": [
                [d * (p * total(t) - q) for p, q in zip(softmax_row(row), t)] for row, t in zip(i["x"], targets(i))
            ]
        }

    return forward, backward


def losses_of_rows(i):
    """The loss of each row, for a reduction of none."""
    losses = [-dot(t, log_softmax_row(row)) for row, t in zip(i["x"], i["t"])]
    return {"y": softmax(i), "loss": losses}


def losses_of_rows_backward(i, dout):
    return {"dx": [[d * (p - q) for p, q in zip(softmax_row(row), t)] for row, t, d in zip(i["x"], i["t"], dout)]}


def only_loss(forward):
    return lambda i: {"loss": forward(i)["loss"]}


def textbook_loss(i):
    """The loss as −Σ t·log(y): it moves in steps of one unit in the last place of y where y is near 1."""
    return {"y": softmax(i), "loss": -sum_all(each(lambda y, t: t * log(y) if t != 0 else number(0), softmax(i), i["t"]))}


def indices(i):
    """Returns the inputs with one row of targets for each sample."""
    return {**i, "t": targets_of(i, 0.0)}


SUM, SUM_BACKWARD = softmax_xent()
MEAN, MEAN_BACKWARD = softmax_xent(mean=True)
SMOOTH, SMOOTH_BACKWARD = softmax_xent(smoothing=0.1)
IGNORE, IGNORE_BACKWARD = softmax_xent(mean=True, ignored=1)

COMMON = {
    "t-minus-y": Mistake("sign", lambda i, d: {"dx": each(lambda p, t: d * (t - p), softmax(i), indices(i)["t"])}),
    "x-minus-t": Mistake("twice", lambda i, d: {"dx": each(lambda p, t: d * (p - t), i["x"], indices(i)["t"])}),
    "softmax-down-columns": Mistake("axis", lambda i, d: {"dx": each(lambda p, t: d * (p - t), columns_softmax(i), indices(i)["t"])}),
    "softmax-twice": Mistake("twice", lambda i, d: {"dx": each(lambda p, t: d * (p - t), softmax({"x": softmax(i)}), indices(i)["t"])}),
    "without-target": Mistake("term", lambda i, d: {"dx": each(lambda p: d * p, softmax(i))}),
}


def softmax_xent_layers():
    both = ("softmax-xent", "custom")
    table = (
        ("softmax-xent", both, SUM, SUM_BACKWARD, "", ONE_HOT, "sign factor=0.25 zero rows-shifted columns-shifted tail accumulated stale precision", COMMON),
        ("softmax-xent-soft", both, SUM, SUM_BACKWARD, "", SOFT, "sign entry row column stale-first", {}),
        (
            "softmax-xent-mean",
            ("softmax-xent", "custom"),
            MEAN,
            MEAN_BACKWARD,
            "--reduction mean",
            SOFT,
            "sign factor=0.25 factor=1.3333333333333333",
            {"sum": Mistake("setting", SUM_BACKWARD), "forward-sum": Mistake("forward", SUM_BACKWARD, SUM)},
        ),
        (
            "softmax-xent-none",
            both,
            losses_of_rows,
            losses_of_rows_backward,
            "--reduction none",
            SOFT,
            "sign dout-ignored tail",
            {"divided-by-rows": Mistake("factor", lambda i, d: {"dx": scale(losses_of_rows_backward(i, d)["dx"], 0.25)})},
        ),
        ("softmax-xent-index", ("softmax-xent",), SUM, SUM_BACKWARD, "", "--t 0,2,1,0", "sign row", COMMON),
        (
            "softmax-xent-smoothing",
            ("softmax-xent",),
            SMOOTH,
            SMOOTH_BACKWARD,
            "--label-smoothing 0.1",
            "--t 0,2,1,0",
            "sign tail",
            {"without-smoothing": Mistake("setting", SUM_BACKWARD, precisions=("f64", "f32", "f16"))},
        ),
        (
            "softmax-xent-weight",
            ("softmax-xent",),
            SUM,
            SUM_BACKWARD,
            "",
            "--t 0,2,1,0 --weight 0.5,1,2",
            "sign entry",
            {"without-weight": Mistake("setting", lambda i, d: SUM_BACKWARD({"x": i["x"], "t": i["t"]}, d))},
        ),
        (
            "softmax-xent-ignore",
            ("softmax-xent",),
            IGNORE,
            IGNORE_BACKWARD,
            "--reduction mean --ignore-index 1 --t-kind index",
            "--t 0,2,1,0",
            "sign factor=0.75",
            {"nothing-ignored": Mistake("setting", lambda i, d: MEAN_BACKWARD(i, d))},
        ),
    )
    for name, layers, forward, backward, settings, options, wrong, mistakes in table:
        for layer in layers:
            yield Layer(
                name if layer != "custom" else f"{name}-custom",
                forward if layer != "custom" else only_loss(forward),
                backward,
                shapes="x=4x3",
                layers=(layer,),
                settings=settings,
                options=options,
                output="loss",
                wrong=wrong,
                mistakes=mistakes,
                cases={
                    "large": Case("--x 30,0,-30;1,2,300;-3,40,2;0,0,0", shapes=""),
                    "zeros": Case("--x 0,0,0;0,0,0;0,0,0;0,-0.0,0", shapes=""),
                },
            )


LAYERS = [
    *xent_layers(),
    *softmax_xent_layers(),
    Layer(
        "softmax-xent-textbook",
        textbook_loss,
        SUM_BACKWARD,
        shapes="",
        layers=("softmax-xent",),
        options="--x 0,16.4;16.4,0 --t 0,1;1,0",
        output="loss",
        cases={"in-f64": Case("", ("f64",), wrong="sign"), "not-near-1": Case("--x 0,1.5;2,0 --t 0,1;1,0", wrong="sign")},
    ),
]
