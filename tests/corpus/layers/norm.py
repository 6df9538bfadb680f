"""Normalisation: y = (x − μ)/√(σ² + eps)·g + b over a row, a column or a group, and its relatives."""

from arrays import multiply, sum_rows, transpose
from corpus import Case, Layer, Mistake
from rounded import dot, number, sqrt, total

EPS = 1e-5


def standardise(row, eps=EPS):
    """Returns (x − μ)/√(σ² + eps) and 1/√(σ² + eps), with the biased variance."""
    mean = total(row) / len(row)
    centred = [v - mean for v in row]
    inverse = 1 / sqrt(dot(centred, centred) / len(row) + eps)
    return [v * inverse for v in centred], inverse


def standardise_backward(row, d, eps=EPS, mean_term=True, variance_term=True):
    """dx = (d − mean d − x̂·mean(d·x̂))/√(σ² + eps)."""
    normal, inverse = standardise(row, eps)
    mean = total(d) / len(d) if mean_term else number(0)
    along = dot(d, normal) / len(d) if variance_term else number(0)
    return [inverse * (g - mean - v * along) for g, v in zip(d, normal)]


def rows_norm(i, eps=EPS):
    return [[v * g + b for v, g, b in zip(standardise(row, eps)[0], i["g"], i["b"])] for row in i["x"]]


def rows_norm_backward(i, dout, **how):
    d = [[v * g for v, g in zip(row, i["g"])] for row in dout]
    eps = how.get("eps", EPS)
    normal = [standardise(row, eps)[0] for row in i["x"]]
    return {
        "dx": [standardise_backward(row, g, **how) for row, g in zip(i["x"], d)],
        "dg": sum_rows(multiply(dout, normal)),
        "db": sum_rows(dout),
    }


def column_norm(i):
    """Batch normalisation in training: each column is normalised over the samples."""
    normal = transpose([standardise(column)[0] for column in transpose(i["x"])])
    return [[v * g + b for v, g, b in zip(row, i["g"], i["b"])] for row in normal]


def column_norm_backward(i, dout, **how):
    d = [[v * g for v, g in zip(row, i["g"])] for row in dout]
    columns = transpose(i["x"])
    normal = transpose([standardise(column)[0] for column in columns])
    return {
        "dx": transpose([standardise_backward(column, g, **how) for column, g in zip(columns, transpose(d))]),
        "dg": sum_rows(multiply(dout, normal)),
        "db": sum_rows(dout),
    }


def grouped(row, groups):
    """Splits a row of channels into groups."""
    size = len(row) // groups
    return [row[k * size : (k + 1) * size] for k in range(groups)]


def group_norm(groups):
    def forward(i):
        normal = [[v for part in grouped(row, groups) for v in standardise(part)[0]] for row in i["x"]]
        return [[v * g + b for v, g, b in zip(row, i["g"], i["b"])] for row in normal]

    return forward


def group_norm_backward(groups):
    def backward(i, dout):
        d = [[v * g for v, g in zip(row, i["g"])] for row in dout]
        dx = [
            [v for part, g in zip(grouped(row, groups), grouped(upstream, groups)) for v in standardise_backward(part, g)]
            for row, upstream in zip(i["x"], d)
        ]
        normal = [[v for part in grouped(row, groups) for v in standardise(part)[0]] for row in i["x"]]
        return {"dx": dx, "dg": sum_rows(multiply(dout, normal)), "db": sum_rows(dout)}

    return backward


CHANNELS = 2


def instance_norm(i):
    """Rows are the samples with 2 channels of positions, one after the other; g and b have one entry a channel."""
    return [
        [v * g + b for part, g, b in zip(grouped(row, CHANNELS), i["g"], i["b"]) for v in standardise(part)[0]] for row in i["x"]
    ]


def instance_norm_backward(i, dout):
    dx, dg, db = [], [[] for _ in range(CHANNELS)], [[] for _ in range(CHANNELS)]
    for row, d in zip(i["x"], dout):
        line = []
        for channel, (part, g) in enumerate(zip(grouped(row, CHANNELS), grouped(d, CHANNELS))):
            line += standardise_backward(part, [v * i["g"][channel] for v in g])
            dg[channel].append(dot(g, standardise(part)[0]))
            db[channel].append(total(g))
        dx.append(line)
    return {"dx": dx, "dg": [total(parts) for parts in dg], "db": [total(parts) for parts in db]}


def rms_row(row):
    inverse = 1 / sqrt(dot(row, row) / len(row) + EPS)
    return [v * inverse for v in row], inverse


def rms_norm(i):
    return [[v * g for v, g in zip(rms_row(row)[0], i["g"])] for row in i["x"]]


def rms_norm_backward(i, dout, projection=True):
    dx, products = [], []
    for row, d in zip(i["x"], dout):
        normal, inverse = rms_row(row)
        upstream = [v * g for v, g in zip(d, i["g"])]
        along = dot(upstream, normal) / len(row) if projection else number(0)
        dx.append([inverse * (u - v * along) for u, v in zip(upstream, normal)])
        products.append(multiply(d, normal))
    return {"dx": dx, "dg": sum_rows(products)}


def unit_rows(i):
    return [[v / sqrt(dot(row, row)) for v in row] for row in i["x"]]


def unit_rows_backward(i, dout, projection=True):
    dx = []
    for row, y, d in zip(i["x"], unit_rows(i), dout):
        along = dot(y, d) if projection else number(0)
        dx.append([(g - v * along) / sqrt(dot(row, row)) for g, v in zip(d, y)])
    return {"dx": dx}


def max_norm(i):
    """Rows divided by their largest magnitude."""
    return [[v / max(map(abs, row)) for v in row] for row in i["x"]]


def max_norm_backward(i, dout, through_maximum=True):
    dx = []
    for row, d in zip(i["x"], dout):
        largest = max(map(abs, row))
        at = [abs(v) >= largest for v in row].index(True)
        line = [g / largest for g in d]
        if through_maximum:
            along = dot(d, row) / (largest * largest)
            line[at] = line[at] - (along if row[at] > 0 else -along)
        dx.append(line)
    return {"dx": dx}


def dx(backward, **how):
    return lambda i, dout: {"dx": backward(i, dout, **how)["dx"]}


UNSUMMED = Mistake("unsummed", lambda i, d: {"dg": multiply(d, [standardise(row)[0] for row in i["x"]])})

LAYERS = [
    Layer(
        "layernorm",
        rows_norm,
        rows_norm_backward,
        shapes="x=3x5 g=5 b=5",
        wrong="sign factor=0.2 zero@dg row column@dx tail accumulated@dg stale precision dout-ignored@dx",
        mistakes={
            "without-mean-term": Mistake("term", dx(rows_norm_backward, mean_term=False), precisions=("f64", "f32", "f16")),
            "without-variance-term": Mistake("term", dx(rows_norm_backward, variance_term=False)),
            "variance-constant": Mistake("term", dx(rows_norm_backward, mean_term=False, variance_term=False)),
            "eps-1e-1": Mistake("eps", dx(rows_norm_backward, eps=1e-1), precisions=("f64", "f32", "f16")),
            "eps-1e-3": Mistake("eps", dx(rows_norm_backward, eps=1e-3), precisions=("f64", "f32")),
            "over-columns": Mistake("axis", dx(column_norm_backward)),
            "dg-not-summed": UNSUMMED,
        },
        cases={
            # The mean takes all digits of an f32 here, and nothing is left to check.
            "at-1e8": Case("--x 100000000,100000008,100000032;-100000000,99999992,0", ("f64", "f32"), shapes="g=3 b=3"),
            "near-5000": Case("--x 5000,5001,4999;4998,5003,5002", ("f64", "f32"), shapes="g=3 b=3"),
            "constant-row": Case("--x 1,1,1;2,0,-2", ("f64", "f32"), shapes="g=3 b=3"),
            "nine-digits": Case("", ("f64", "f32"), digits=9),
        },
    ),
    Layer(
        "rmsnorm",
        rms_norm,
        rms_norm_backward,
        shapes="x=3x4 g=4",
        wrong="sign factor=2@dg entry stale-first precision",
        mistakes={"without-projection": Mistake("term", dx(rms_norm_backward, projection=False))},
        cases={"at-1e8": Case("--x 1e8,-3e8,2e8;1e7,1e8,-1e8", ("f64", "f32"), shapes="g=3")},
    ),
    Layer(
        "groupnorm",
        group_norm(2),
        group_norm_backward(2),
        shapes="x=3x8 g=8 b=8",
        wrong="sign zero@db rows-reversed tail",
        mistakes={
            "one-group": Mistake("term", lambda i, d: {"dx": group_norm_backward(1)(i, d)["dx"]}),
            "four-groups": Mistake("term", lambda i, d: {"dx": group_norm_backward(4)(i, d)["dx"]}),
        },
    ),
    Layer(
        "instancenorm",
        instance_norm,
        instance_norm_backward,
        shapes="x=2x8 g=2 b=2",
        wrong="sign@dg factor=0.5@db row stale",
        hidden_in_bf16="factor=0.5@db",
        mistakes={"without-gamma": Mistake("term", lambda i, d: {"dx": instance_norm_backward({**i, "g": [number(1)] * 2}, d)["dx"]})},
    ),
    Layer(
        "batchnorm",
        column_norm,
        column_norm_backward,
        shapes="x=5x3 g=3 b=3",
        wrong="sign columns-shifted accumulated@dg tail precision",
        mistakes={
            "without-mean-term": Mistake("term", dx(column_norm_backward, mean_term=False), precisions=("f64", "f32", "f16")),
            "as-in-evaluation": Mistake("term", dx(column_norm_backward, mean_term=False, variance_term=False)),
            "over-rows": Mistake("axis", dx(rows_norm_backward)),
            "dg-not-summed": Mistake(
                "unsummed", lambda i, d: {"dg": multiply(d, transpose([standardise(c)[0] for c in transpose(i["x"])]))}
            ),
        },
        cases={"at-1e8": Case("--x 100000000,1;100000008,2;99999992,-3", ("f64", "f32"), shapes="g=2 b=2")},
    ),
    Layer(
        "unit-rows",
        unit_rows,
        unit_rows_backward,
        shapes="x=3x4",
        wrong="sign columns-reversed stale precision",
        mistakes={"without-projection": Mistake("term", dx(unit_rows_backward, projection=False))},
        cases={"at-1e8": Case("--x 1e8,-2e8,1e7;3e8,4e8,0", ("f64", "f32", "bf16"))},
    ),
    Layer(
        "maximum-norm",
        max_norm,
        max_norm_backward,
        shapes="x=3x4",
        wrong="sign entry",
        mistakes={"without-maximum": Mistake("term", dx(max_norm_backward, through_maximum=False))},
    ),
]
