"""Recurrent layers: one step of a cell over a batch, and a minimal network over time."""

from arrays import add, each, matmul, multiply, sum_rows, transpose
from corpus import Layer, Mistake
from rounded import number, sigmoid, tanh


def affine(x, w, b):
    return [[v + c for v, c in zip(row, b)] for row in matmul(x, w)]


def rnn(i):
    """h_t = tanh(x_t·w + h_(t−1)·u), all h_t as rows."""
    h, rows = [number(0)] * len(i["u"]), []
    for x in i["x"]:
        h = [tanh(a + b) for a, b in zip(matmul([x], i["w"])[0], matmul([h], i["u"])[0])]
        rows.append(h)
    return rows


def rnn_backward(i, dout, through_time=True):
    h = rnn(i)
    before = [[number(0)] * len(i["u"])] + h[:-1]
    carried, dz = [number(0)] * len(i["u"]), []
    for y, d in zip(h[::-1], dout[::-1]):
        upstream = add(d, carried) if through_time else d
        dz.insert(0, [g * (1 - v * v) for g, v in zip(upstream, y)])
        carried = matmul([dz[0]], transpose(i["u"]))[0]
    return {
        "dx": matmul(dz, transpose(i["w"])),
        "dw": matmul(transpose(i["x"]), dz),
        "du": matmul(transpose(before), dz),
    }


def gates(i):
    """Update gate and candidate of a gated cell: h′ = (1 − z)·h + z·n."""
    z = each(sigmoid, matmul(i["x"], i["wz"]))
    n = each(tanh, add(matmul(i["x"], i["wn"]), i["h"]))
    return z, n


def gated(i):
    z, n = gates(i)
    return each(lambda h, z, n: (1 - z) * h + z * n, i["h"], z, n)


def gated_backward(i, dout, candidate_path=True):
    z, n = gates(i)
    dz = each(lambda d, h, z, n: d * (n - h) * z * (1 - z), dout, i["h"], z, n)
    dn = each(lambda d, z, n: d * z * (1 - n * n), dout, z, n)
    direct = each(lambda d, z: d * (1 - z), dout, z)
    return {
        "dx": add(matmul(dz, transpose(i["wz"])), matmul(dn, transpose(i["wn"]))),
        "dh": add(direct, dn) if candidate_path else direct,
        "dwz": matmul(transpose(i["x"]), dz),
        "dwn": matmul(transpose(i["x"]), dn),
    }


UNITS = 2


def lstm_gates(i):
    """Input, forget and output gate and the candidate, from x·w + b with four blocks of columns."""
    rows = affine(i["x"], i["w"], i["b"])
    blocks = [[row[k * UNITS : (k + 1) * UNITS] for row in rows] for k in range(4)]
    return [each(sigmoid, block) for block in blocks[:3]] + [each(tanh, blocks[3])]


def lstm(i):
    """h = o·tanh(c), with c = f·c_before + i·g."""
    enter, forget, out, candidate = lstm_gates(i)
    cell = add(multiply(forget, i["c"]), multiply(enter, candidate))
    return multiply(out, each(tanh, cell))


def lstm_backward(i, dout, forget_slope=True, cell_slope=True):
    enter, forget, out, candidate = lstm_gates(i)
    squashed = each(tanh, add(multiply(forget, i["c"]), multiply(enter, candidate)))
    dcell = each(lambda d, o, t: d * o * (1 - t * t) if cell_slope else d * o, dout, out, squashed)
    slope = lambda s: s * (1 - s)
    d_enter = each(lambda d, g, s: d * g * slope(s), dcell, candidate, enter)
    d_forget = each(lambda d, c, s: d * c * (slope(s) if forget_slope else s), dcell, i["c"], forget)
    d_out = each(lambda d, t, s: d * t * slope(s), dout, squashed, out)
    d_candidate = each(lambda d, s, g: d * s * (1 - g * g), dcell, enter, candidate)
    rows = [sum(parts, []) for parts in zip(d_enter, d_forget, d_out, d_candidate)]
    return {
        "dx": matmul(rows, transpose(i["w"])),
        "dw": matmul(transpose(i["x"]), rows),
        "db": sum_rows(rows),
        "dc": multiply(dcell, forget),
    }


def residual_block(i):
    """x + tanh(x·w)·v."""
    return add(i["x"], matmul(each(tanh, matmul(i["x"], i["w"])), i["v"]))


def residual_block_backward(i, dout, skip=True):
    hidden = each(tanh, matmul(i["x"], i["w"]))
    dz = each(lambda d, h: d * (1 - h * h), matmul(dout, transpose(i["v"])), hidden)
    inner = matmul(dz, transpose(i["w"]))
    return {
        "dx": add(dout, inner) if skip else inner,
        "dw": matmul(transpose(i["x"]), dz),
        "dv": matmul(transpose(hidden), dout),
    }


def part(backward, name, **how):
    return lambda i, dout: {name: backward(i, dout, **how)[name]}


LAYERS = [
    Layer(
        "rnn",
        rnn,
        rnn_backward,
        shapes="x=4x2 w=2x3 u=3x3",
        wrong="sign@du transposed@du zero@dw stale@du tail@dw",
        hidden_in_bf16="transposed@du",
        mistakes={"without-time": Mistake("term", lambda i, d: rnn_backward(i, d, False), precisions=("f64", "f32", "f16"))},
    ),
    Layer(
        "gated-cell",
        gated,
        gated_backward,
        shapes="x=3x2 h=3x3 wz=2x3 wn=2x3",
        wrong="sign@dh factor=2@dwz stale@dwn transposed@dh precision",
        mistakes={"without-candidate": Mistake("term", part(gated_backward, "dh", candidate_path=False), precisions=("f64", "f32", "f16"))},
    ),
    Layer(
        "lstm-cell",
        lstm,
        lstm_backward,
        shapes="x=3x2 w=2x8 b=8 c=3x2",
        wrong="sign@dc zero@dw columns-shifted@dw accumulated@dw tail@db",
        mistakes={
            "forget-without-slope": Mistake("term", lambda i, d: lstm_backward(i, d, forget_slope=False)),
            "cell-without-slope": Mistake("term", part(lstm_backward, "dc", cell_slope=False)),
        },
    ),
    Layer(
        "residual-block",
        residual_block,
        residual_block_backward,
        shapes="x=3x3 w=3x2 v=2x3",
        wrong="sign@dw transposed@dx stale@dw row@dv",
        mistakes={"without-skip": Mistake("term", part(residual_block_backward, "dx", skip=False))},
    ),
]
