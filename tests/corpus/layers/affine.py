"""Affine layers: y = x·W + b and its relatives."""

from arrays import add, constant, each, matmul, multiply, scale, sum_all, sum_rows, transpose
from corpus import Case, Layer, Mistake
from rounded import number, power, sqrt, total


def affine(i):
    return [[v + b for v, b in zip(row, i["b"])] for row in matmul(i["x"], i["w"])]


def affine_backward(i, dout):
    return {
        "dx": matmul(dout, transpose(i["w"])),
        "dw": matmul(transpose(i["x"]), dout),
        "db": sum_rows(dout),
    }


AFFINE_WRONG = (
    "sign@dx factor=0.25@dw factor=0.2@db zero@dw dout-ignored@dx rows-reversed@dx rows-shifted@dx entry@dx row@dw "
    "column@dw tail@dw tail@dx accumulated@dw accumulated@db stale@dw stale-first@dx integers@dw precision@dw precision-all"
)


def affine_out_in(i):
    return affine({**i, "w": transpose(i["w"])})


def affine_out_in_backward(i, dout):
    right = affine_backward({**i, "w": transpose(i["w"])}, dout)
    return {**right, "dw": transpose(right["dw"])}


def linear(i):
    return matmul(i["x"], i["w"])


def linear_backward(i, dout):
    return {"dx": matmul(dout, transpose(i["w"])), "dw": matmul(transpose(i["x"]), dout)}


def low_rank(i):
    return add(matmul(matmul(i["x"], i["a"]), i["b"]), matmul(i["x"], i["w"]))


def low_rank_backward(i, dout):
    inner = matmul(i["x"], i["a"])
    d_inner = matmul(dout, transpose(i["b"]))
    return {
        "dx": add(matmul(d_inner, transpose(i["a"])), matmul(dout, transpose(i["w"]))),
        "da": matmul(transpose(i["x"]), d_inner),
        "db": matmul(transpose(inner), dout),
        "dw": matmul(transpose(i["x"]), dout),
    }


MASK = [[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]]


def sparse(i):
    return linear({**i, "w": masked(i["w"])})


def masked(w):
    return multiply(w, each(number, MASK))


def sparse_backward(i, dout):
    right = linear_backward({**i, "w": masked(i["w"])}, dout)
    return {**right, "dw": masked(right["dw"])}


def scale_shift(i):
    return [[v * g + b for v, g, b in zip(row, i["g"], i["b"])] for row in i["x"]]


def scale_shift_backward(i, dout):
    return {
        "dx": [[d * g for d, g in zip(row, i["g"])] for row in dout],
        "dg": sum_rows(multiply(dout, i["x"])),
        "db": sum_rows(dout),
    }


def normalised_weight(i):
    """Returns W with columns of length g: w = g·v/|v|."""
    lengths = [sqrt(total(v * v for v in column)) for column in transpose(i["v"])]
    return [[g * v / length for v, g, length in zip(row, i["g"], lengths)] for row in i["v"]], lengths


def weight_norm(i):
    return matmul(i["x"], normalised_weight(i)[0])


def weight_norm_backward(i, dout, projection=True):
    w, lengths = normalised_weight(i)
    dw = matmul(transpose(i["x"]), dout)
    dg, columns = [], []
    for v, d, g, length in zip(transpose(i["v"]), transpose(dw), i["g"], lengths):
        along = total(a * b for a, b in zip(v, d)) / length
        dg.append(along)
        columns.append([g / length * (b - (along * a / length if projection else 0)) for a, b in zip(v, d)])
    return {"dx": matmul(dout, transpose(w)), "dv": transpose(columns), "dg": dg}


def bilinear(i):
    """y_n = x_n·W·z_n for each row."""
    return [total(a * b for a, b in zip(row, z)) for row, z in zip(matmul(i["x"], i["w"]), i["z"])]


def bilinear_backward(i, dout):
    return {
        "dx": [[d * v for v in row] for d, row in zip(dout, matmul(i["z"], transpose(i["w"])))],
        "dw": matmul(transpose(i["x"]), [[d * v for v in row] for d, row in zip(dout, i["z"])]),
        "dz": [[d * v for v in row] for d, row in zip(dout, matmul(i["x"], i["w"]))],
    }


LAYERS = [
    Layer(
        "affine",
        affine,
        affine_backward,
        shapes="x=4x3 w=3x5 b=5",
        layers=("affine", "custom"),
        wrong=AFFINE_WRONG,
        mistakes={
            "db-not-summed": Mistake("unsummed", lambda i, d: {"db": d}),
            "db-one-number": Mistake("unsummed", lambda i, d: {"db": [sum_all(d)]}),
            "no-bias": Mistake("forward", lambda i, d: {"db": constant(i["b"], 0)}, linear),
            "half-product": Mistake(
                "forward",
                forward=lambda i: affine({**i, "w": scale(i["w"], 0.5)}),
                backward=lambda i, d: {"dx": scale(affine_backward(i, d)["dx"], 0.5), "dw": scale(affine_backward(i, d)["dw"], 0.5)},
            ),
        },
        cases={
            "one-sample": Case("", shapes="x=1x3 w=3x2 b=2"),
            "one-number": Case("", shapes="x=1x1 w=1x1 b=1"),
            "zeros": Case("--x 0,-0.0,0;1,0,-1", shapes="w=3x2 b=2"),
            "near-5000": Case("--x 5001,4999,5003;-5000,5002,4998", ("f64", "f32"), shapes="w=3x2 b=2", wrong="integers@dw sign@dx"),
            "small-and-large": Case("--x 1e-300,1,2;1,1e300,3", ("f64",), shapes="w=3x2 b=2"),
            "six-digits": Case("", ("f64", "f32"), digits=6),
            "nine-digits": Case("", ("f64", "f32"), digits=9),
            "dout-ones": Case("--dout ones"),
        },
    ),
    Layer(
        "affine-square",
        affine,
        affine_backward,
        shapes="x=3x3 w=3x3 b=3",
        layers=("affine", "custom"),
        wrong="transposed@dw transposed@dx columns-reversed@dw factor=2",
        mistakes={
            "dx-without-transpose": Mistake("transposed-weight", lambda i, d: {"dx": matmul(d, i["w"])}),
            "dw-without-transpose": Mistake("transposed-weight", lambda i, d: {"dw": matmul(i["x"], d)}),
        },
    ),
    Layer(
        "affine-out-in",
        affine_out_in,
        affine_out_in_backward,
        shapes="x=4x3 w=2x3 b=2",
        layers=("affine", "custom"),
        settings="--w-layout out-in",
        wrong="sign@db tail@dw",
        mistakes={"dw-in-out": Mistake("transposed", lambda i, d: {"dw": transpose(affine_out_in_backward(i, d)["dw"])})},
    ),
    Layer("matmul", linear, linear_backward, shapes="x=3x4 w=4x2", wrong="sign@dw columns-reversed@dx row@dx stale@dx zero@dw"),
    Layer(
        "low-rank-affine",
        low_rank,
        low_rank_backward,
        shapes="x=3x4 a=4x2 b=2x3 w=4x3",
        wrong="sign@da factor=2@db precision@da accumulated@dw tail@dx",
        mistakes={"dx-without-low-rank": Mistake("term", lambda i, d: {"dx": matmul(d, transpose(i["w"]))})},
    ),
    Layer(
        "sparse-affine",
        sparse,
        sparse_backward,
        shapes="x=4x3 w=3x4",
        wrong="sign@dw column@dx",
        mistakes={"dense-dw": Mistake("term", lambda i, d: {"dw": matmul(transpose(i["x"]), d)})},
    ),
    Layer(
        "scale-shift",
        scale_shift,
        scale_shift_backward,
        shapes="x=5x3 g=3 b=3",
        wrong="sign@dg factor=0.2@db entry@dx stale@dg accumulated@db",
        mistakes={
            "dg-not-summed": Mistake("unsummed", lambda i, d: {"dg": multiply(d, i["x"])}),
            "dg-without-x": Mistake("term", lambda i, d: {"dg": sum_rows(d)}),
        },
    ),
    Layer(
        "weight-norm",
        weight_norm,
        weight_norm_backward,
        shapes="x=3x4 v=4x2 g=2",
        wrong="sign@dg factor=2@dv precision@dv",
        mistakes={"without-projection": Mistake("term", lambda i, d: {"dv": weight_norm_backward(i, d, False)["dv"]})},
    ),
    Layer(
        "bilinear",
        bilinear,
        bilinear_backward,
        shapes="x=3x3 w=3x3 z=3x3",
        wrong="transposed@dw sign@dz zero@dx stale@dw rows-reversed@dx",
    ),
]
