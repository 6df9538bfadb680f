"""Layers that reduce or scan: sums, means, products, norms, sorting and quadratic forms."""

from arrays import each, matmul, sum_all, sum_rows, transpose
from corpus import Case, Layer, Mistake
from layers.softmax import softmax_row
from rounded import dot, exp, log, number, sqrt, total


def rows_of(function):
    return lambda i: [function(row) for row in i["x"]]


def rows_backward(function):
    """function(row, upstream) → gradient of the row."""
    return lambda i, dout: {"dx": [function(row, d) for row, d in zip(i["x"], dout)]}


def logsumexp(row):
    largest = max(row, key=lambda v: v.value)
    return largest + log(total(exp(v - largest) for v in row))


def product(row):
    result = number(1)
    for v in row:
        result = result * v
    return result


def product_backward(row, d):
    """The product of the others, without a division, so that zeros are no exception."""
    return [d * product(row[:k] + row[k + 1 :]) for k in range(len(row))]


def cumulative(row):
    return [total(row[: k + 1]) for k in range(len(row))]


def mean_of_column(i):
    return [v / len(i["x"]) for v in sum_rows(i["x"])]


def mean_of_column_backward(i, dout, divisor=4):
    return {"dx": [[d / divisor for d in dout] for _ in i["x"]]}


def variance(row, correction=0):
    mean = total(row) / len(row)
    return total((v - mean) * (v - mean) for v in row) / (len(row) - correction)


def variance_backward(row, d, correction=0, mean=True):
    center = total(row) / len(row) if mean else number(0)
    return [2 * d * (v - center) / (len(row) - correction) for v in row]


def largest(row):
    return max(row, key=lambda v: v.value)


def largest_backward(row, d, to_all=False):
    values = [v.value for v in row]
    at = values.index(max(values))
    return [d if k == at or (to_all and v == max(values)) else number(0) for k, v in enumerate(values)]


def smallest_backward(row, d):
    values = [v.value for v in row]
    return [d if k == values.index(min(values)) else number(0) for k in range(len(row))]


def order(row):
    return sorted(range(len(row)), key=lambda k: row[k].value)


def sort_backward(row, d):
    gradient = [None] * len(row)
    for place, k in enumerate(order(row)):
        gradient[k] = d[place]
    return gradient


def quadratic(i):
    """y_n = x_nᵀ·W·x_n."""
    return [dot(row, along) for row, along in zip(i["x"], matmul(i["x"], i["w"]))]


def quadratic_backward(i, dout, symmetric=False):
    right, left = matmul(i["x"], i["w"]), matmul(i["x"], transpose(i["w"]))
    return {
        "dx": [[d * (2 * a if symmetric else a + b) for a, b in zip(p, q)] for d, p, q in zip(dout, right, left)],
        "dw": matmul(transpose(i["x"]), [[d * v for v in row] for d, row in zip(dout, i["x"])]),
    }


def outer(i):
    return [[a * b for b in i["z"]] for a in i["x"]]


def outer_backward(i, dout):
    return {"dx": [dot(row, i["z"]) for row in dout], "dz": [dot(column, i["x"]) for column in transpose(dout)]}


def entropy(row):
    p = softmax_row(row)
    return -total(v * log(v) for v in p)


def entropy_backward(row, d):
    p, h = softmax_row(row), entropy(row)
    return [-d * v * (log(v) + h) for v in p]


def lengths(row):
    return sqrt(dot(row, row))


LAYERS = [
    Layer(
        "sum",
        lambda i: sum_all(i["x"]),
        lambda i, d: {"dx": each(lambda _: d, i["x"])},
        shapes="x=4x3",
        wrong="sign factor=0.5 zero tail",
        # The upstream gradient of a single number may be 1, which hides that it is ignored.
        cases={"dout-2.5": Case("--dout 2.5", wrong="dout-ignored")},
    ),
    Layer(
        "mean",
        mean_of_column,
        mean_of_column_backward,
        shapes="x=4x3",
        wrong="sign columns-shifted",
        mistakes={
            "not-divided": Mistake("factor", lambda i, d: mean_of_column_backward(i, d, 1)),
            "divided-by-columns": Mistake("factor", lambda i, d: mean_of_column_backward(i, d, 3)),
            "divided-by-entries": Mistake("factor", lambda i, d: mean_of_column_backward(i, d, 12)),
        },
    ),
    Layer(
        "variance",
        rows_of(variance),
        rows_backward(variance_backward),
        shapes="x=3x4",
        wrong="sign row stale",
        mistakes={
            "divided-by-n-1": Mistake("factor", rows_backward(lambda row, d: variance_backward(row, d, 1))),
            "without-mean": Mistake("term", rows_backward(lambda row, d: variance_backward(row, d, mean=False))),
        },
        cases={"near-5000": Case("--x 5000,5001,4999;4998,5003,5002", ("f64", "f32"))},
    ),
    Layer(
        "logsumexp",
        rows_of(logsumexp),
        rows_backward(lambda row, d: [d * p for p in softmax_row(row)]),
        shapes="x=3x4",
        wrong="sign dout-ignored precision",
        mistakes={"powers": Mistake("term", rows_backward(lambda row, d: [d * exp(v) for v in row]))},
        cases={"large": Case("--x 30,0,-30;1,2,300")},
    ),
    Layer(
        "product",
        rows_of(product),
        rows_backward(product_backward),
        shapes="x=3x4",
        wrong="sign entry stale",
        mistakes={"product-itself": Mistake("term", rows_backward(lambda row, d: [d * product(row)] * len(row)))},
        cases={"zeros": Case("--x 0,1,2;0,0,3;1,-0.0,-2")},
    ),
    Layer(
        "cumulative-sum",
        rows_of(cumulative),
        rows_backward(lambda row, d: [total(d[k:]) for k in range(len(d))]),
        shapes="x=3x5",
        wrong="zero tail rows-reversed",
        mistakes={"summed-forwards": Mistake("columns", rows_backward(lambda row, d: cumulative(d))), "not-summed": Mistake("term", rows_backward(lambda row, d: d))},
    ),
    Layer(
        "euclidean-norm",
        rows_of(lengths),
        rows_backward(lambda row, d: [d * v / lengths(row) for v in row]),
        shapes="x=3x4",
        wrong="sign stale-first",
        mistakes={
            "of-the-square": Mistake("term", rows_backward(lambda row, d: [2 * d * v for v in row])),
            "not-divided": Mistake("term", rows_backward(lambda row, d: [d * v for v in row])),
        },
    ),
    Layer(
        "maximum",
        rows_of(largest),
        rows_backward(largest_backward),
        shapes="x=6x3",
        wrong="sign zero stale",
        mistakes={"of-the-minimum": Mistake("branch", rows_backward(smallest_backward)), "spread": Mistake("term", rows_backward(lambda row, d: [d / len(row)] * len(row)))},
        cases={"ties": Case("--x 1,1,0;2,2,2;0,-0.0,-1")},
    ),
    Layer(
        "sort",
        rows_of(lambda row: [row[k] for k in order(row)]),
        rows_backward(sort_backward),
        shapes="x=3x6",
        wrong="sign",
        mistakes={"not-permuted": Mistake("columns", rows_backward(lambda row, d: d)), "permuted-the-other-way": Mistake("columns", rows_backward(lambda row, d: [d[k] for k in order(row)]))},
    ),
    Layer(
        "quadratic-form",
        quadratic,
        quadratic_backward,
        shapes="x=3x3 w=3x3",
        wrong="transposed@dx sign@dw stale accumulated@dw",
        mistakes={"w-symmetric": Mistake("term", lambda i, d: {"dx": quadratic_backward(i, d, True)["dx"]})},
    ),
    Layer("outer-product", outer, outer_backward, shapes="x=3 z=4", wrong="sign@dz factor=0.25@dx zero@dz entry@dz"),
    Layer("entropy", rows_of(entropy), rows_backward(entropy_backward), shapes="x=3x4", wrong="sign precision row",
        mistakes={"without-entropy": Mistake("term", rows_backward(lambda row, d: [-d * v * log(v) for v in softmax_row(row)]))}),
    Layer(
        "transpose",
        lambda i: transpose(i["x"]),
        lambda i, d: {"dx": transpose(d)},
        shapes="x=3x3",
        wrong="transposed sign rows-shifted",
    ),
]
