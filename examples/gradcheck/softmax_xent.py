"""Softmax with cross-entropy, loss = -Σ t·log softmax(x), without NumPy, as a program for

    nnlayer gradcheck --layer softmax-xent ... -- python3 softmax_xent.py
"""

import json
import math
import sys


def softmax(row):
    largest = max(row)
    powers = [math.exp(v - largest) for v in row]
    return [p / sum(powers) for p in powers], largest + math.log(sum(powers))


def one_hot(k, classes):
    return [1.0 if c == k else 0.0 for c in range(classes)]


def answer(point, reduction):
    x, t = point["inputs"]["x"], point["inputs"]["t"]
    single = not isinstance(x[0], list)  # a vector is one sample
    rows, targets = ([x], [t]) if single else (x, t)
    # Targets with one axis less are class indices.
    targets = [t if isinstance(t, list) else one_hot(t, len(row)) for t, row in zip(targets, rows)]

    ys, losses = [], []
    for row, t in zip(rows, targets):
        y, log_sum = softmax(row)
        ys.append(y)
        losses.append(sum(p * (log_sum - v) for p, v in zip(t, row) if p != 0))
    divisor = len(rows) if reduction == "mean" else 1
    loss = losses if reduction == "none" and not single else sum(losses) / divisor
    reply = {"outputs": {"y": ys[0] if single else ys, "loss": loss}}

    if "dout" in point:
        dout = point["dout"]
        scale = dout if isinstance(dout, list) else [dout] * len(rows)
        dx = [[s * (p * sum(t) - q) / divisor for p, q in zip(y, t)] for s, y, t in zip(scale, ys, targets)]
        reply["gradients"] = {"dx": dx[0] if single else dx}
    return reply


for line in sys.stdin:
    request = json.loads(line)
    unknown = set(request["settings"]) - {"reduction", "t-kind"}
    if unknown:
        sys.exit(f"this program does not know {', '.join(sorted(unknown))}")
    reduction = request["settings"].get("reduction", "sum")
    print(json.dumps({"points": [answer(point, reduction) for point in request["points"]]}), flush=True)
