"""Convolution and pooling in one dimension: rows are samples, or channels one after the other."""

from arrays import constant
from corpus import Case, Layer, Mistake
from rounded import dot, number, total

KERNEL, STRIDE = 2, 2


def conv(i, stride=1, padding=1):
    """y_nj = Σ_k x_n(j·stride + k − padding)·w_k + b: one channel, with zeros as padding."""
    y = []
    for row in i["x"]:
        padded = [number(0)] * padding + row + [number(0)] * padding
        starts = range(0, len(padded) - len(i["w"]) + 1, stride)
        y.append([dot(padded[s : s + len(i["w"])], i["w"]) + i["b"] for s in starts])
    return y


def conv_backward(i, dout, stride=1, padding=1, flipped=False):
    w = i["w"][::-1] if flipped else i["w"]
    dx = constant([[number(0)] * (len(row) + 2 * padding) for row in i["x"]], 0)
    dw = [[] for _ in w]
    for n, (row, upstream) in enumerate(zip(i["x"], dout)):
        padded = [number(0)] * padding + row + [number(0)] * padding
        for j, d in enumerate(upstream):
            for k, v in enumerate(w):
                dx[n][j * stride + k] = dx[n][j * stride + k] + d * v
                dw[k].append(d * padded[j * stride + k])
    return {
        "dx": [row[padding : len(row) - padding] for row in dx],
        "dw": [total(terms) for terms in dw],
        "db": total(d for row in dout for d in row),
    }


def channels_conv(i):
    """x (C, L), w (O, C·3): y_oj = Σ_c Σ_k x_c(j + k)·w_o(3c + k)."""
    positions = len(i["x"][0]) - 2
    return [[dot(patch(i["x"], j), row) for j in range(positions)] for row in i["w"]]


def patch(x, j):
    return [row[j + k] for row in x for k in range(3)]


def channels_conv_backward(i, dout, tap_order=(0, 1, 2)):
    x, w = i["x"], i["w"]
    dx = [[number(0)] * len(row) for row in x]
    for row, upstream in zip(w, dout):
        for j, d in enumerate(upstream):
            for c in range(len(x)):
                for k in range(3):
                    dx[c][j + k] = dx[c][j + k] + d * row[3 * c + tap_order[k]]
    patches = [patch(x, j) for j in range(len(x[0]) - 2)]
    dw = [[dot(upstream, [p[k] for p in patches]) for k in range(len(w[0]))] for upstream in dout]
    return {"dx": dx, "dw": dw}


def windows(row, kernel=KERNEL, stride=STRIDE):
    return [(s, row[s : s + kernel]) for s in range(0, len(row) - kernel + 1, stride)]


def maxpool(i):
    return [[max(window, key=lambda v: v.value) for _, window in windows(row)] for row in i["x"]]


def maxpool_backward(i, dout, to_all=False, to_last=False):
    dx = constant(i["x"], 0)
    for n, (row, upstream) in enumerate(zip(i["x"], dout)):
        for (s, window), d in zip(windows(row), upstream):
            largest = max(v.value for v in window)
            first = [v.value for v in window].index(largest)
            places = range(len(window)) if to_all else [len(window) - 1 if to_last else first]
            for k in places:
                dx[n][s + k] = dx[n][s + k] + d
    return {"dx": dx}


def avgpool(i):
    return [[total(window) / len(window) for _, window in windows(row, 3, 2)] for row in i["x"]]


def avgpool_backward(i, dout, divisor=3, assign=False):
    dx = constant(i["x"], 0)
    for n, (row, upstream) in enumerate(zip(i["x"], dout)):
        for (s, window), d in zip(windows(row, 3, 2), upstream):
            for k in range(len(window)):
                dx[n][s + k] = d / divisor if assign else dx[n][s + k] + d / divisor
    return {"dx": dx}


def upsample(i):
    return [[v for v in row for _ in range(2)] for row in i["x"]]


def upsample_backward(i, dout):
    return {"dx": [[row[2 * k] + row[2 * k + 1] for k in range(len(row) // 2)] for row in dout]}


def dx(backward, **how):
    return lambda i, dout: {"dx": backward(i, dout, **how)["dx"]}


LAYERS = [
    Layer(
        "conv1d",
        conv,
        conv_backward,
        shapes="x=3x6 w=3 b=",
        wrong="sign@dw factor=2@dw rows-shifted@dx tail@dx accumulated@dw stale@dw precision@dw zero@db",
        mistakes={"dx-correlates": Mistake("term", dx(conv_backward, flipped=True))},
        cases={"zeros": Case("--x 0,0,1,-0.0;0,2,0,0")},
    ),
    Layer(
        "conv1d-stride-2",
        lambda i: conv(i, 2, 1),
        lambda i, d: conv_backward(i, d, 2, 1),
        shapes="x=2x7 w=3 b=",
        wrong="sign@dx entry@dw column@dx",
        mistakes={
            "shifted-by-one": Mistake("columns", lambda i, d: {"dx": [row[1:] + row[:1] for row in conv_backward(i, d, 2, 1)["dx"]]}),
        },
    ),
    Layer(
        "conv1d-channels",
        channels_conv,
        channels_conv_backward,
        shapes="x=2x5 w=3x6",
        wrong="sign@dx row@dw columns-shifted@dw",
        mistakes={"taps-reversed": Mistake("term", dx(channels_conv_backward, tap_order=(2, 1, 0)))},
    ),
    Layer(
        "maxpool1d",
        maxpool,
        maxpool_backward,
        shapes="x=4x8",
        wrong="sign stale zero",
        mistakes={
            "to-every-entry": Mistake("term", dx(maxpool_backward, to_all=True)),
            "to-the-last": Mistake("term", dx(maxpool_backward, to_last=True)),
        },
        cases={"ties": Case("--x 1,1,2,2;0,-0.0,3,-3")},
    ),
    Layer(
        "avgpool1d",
        avgpool,
        avgpool_backward,
        shapes="x=2x7",
        wrong="sign columns-reversed tail",
        mistakes={
            "not-divided": Mistake("factor", dx(avgpool_backward, divisor=1)),
            "overlap-overwritten": Mistake("term", dx(avgpool_backward, assign=True)),
        },
    ),
    Layer(
        "upsample",
        upsample,
        upsample_backward,
        shapes="x=2x4",
        wrong="factor=0.5 rows-reversed",
        mistakes={"first-copy-only": Mistake("term", lambda i, d: {"dx": [row[::2] for row in d]})},
    ),
]
