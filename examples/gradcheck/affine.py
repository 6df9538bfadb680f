"""The affine layer y = x·W + b without NumPy, as a program for

    nnlayer gradcheck --layer affine ... -- python3 affine.py
"""

import json
import sys


def transpose(matrix):
    return [list(column) for column in zip(*matrix)]


def dot(a, b):
    columns = transpose(b)
    return [[sum(p * q for p, q in zip(row, column)) for column in columns] for row in a]


def answer(point, settings):
    inputs = point["inputs"]
    x, w, b = inputs["x"], inputs["w"], inputs.get("b")
    single = not isinstance(x[0], list)  # a vector is one sample, and its results are vectors
    rows = [x] if single else x
    out_in = settings.get("w-layout") == "out-in"
    if out_in:
        w = transpose(w)

    y = dot(rows, w)
    if b is not None:
        bias = b if isinstance(b, list) else [b] * len(w[0])
        y = [[v + c for v, c in zip(row, bias)] for row in y]
    reply = {"outputs": {"y": y[0] if single else y}}

    if "dout" in point:  # without dout, no gradients are needed
        dout = [point["dout"]] if single else point["dout"]
        dx = dot(dout, transpose(w))
        dw = dot(transpose(rows), dout)
        reply["gradients"] = {"dx": dx[0] if single else dx, "dw": transpose(dw) if out_in else dw}
        if b is not None:
            reply["gradients"]["db"] = [sum(column) for column in zip(*dout)]
    return reply


def main():
    for line in sys.stdin:  # one request, or several with --persistent
        request = json.loads(line)
        points = [answer(point, request["settings"]) for point in request["points"]]
        print(json.dumps({"points": points}), flush=True)


if __name__ == "__main__":
    main()
