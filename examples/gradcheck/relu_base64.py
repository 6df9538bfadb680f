"""relu for nnlayer gradcheck, in version 2 of the protocol: a hello, and arrays in base64.

    nnlayer gradcheck --layer relu --precision f32 --persistent -- python3 relu_base64.py

docs/gradcheck-protocol.md describes the requests and the replies.
"""

import base64
import json
import struct
import sys

HELLO = {"nnlayer": 2, "layers": ["relu"], "arrays": "base64"}

FORMATS = {"f64": "d", "f32": "f", "f16": "e"}  # Python's struct has no bf16


def decode(array):
    """Returns the numbers of an array in row-major order."""
    data = base64.b64decode(array["base64"])
    return [number for (number,) in struct.iter_unpack("<" + FORMATS[array["dtype"]], data)]


def encode(numbers, like):
    """Returns an array of these numbers with the shape and the type of another."""
    data = struct.pack(f"<{len(numbers)}{FORMATS[like['dtype']]}", *numbers)
    return {"shape": like["shape"], "dtype": like["dtype"], "base64": base64.b64encode(data).decode()}


def answer(point):
    array = point["inputs"]["x"]
    x = decode(array)
    reply = {"outputs": {"y": encode([max(v, 0.0) for v in x], array)}}
    if "dout" in point:  # without dout, no gradients are needed
        dout = decode(point["dout"])
        reply["gradients"] = {"dx": encode([d if v > 0 else 0.0 for v, d in zip(x, dout)], array)}
    return reply


def main():
    for line in sys.stdin:
        points = json.loads(line)["points"]
        # The first request has no points: its reply is the hello.
        reply = {"points": [answer(point) for point in points]} if points else HELLO
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
