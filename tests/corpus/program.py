"""A program for `nnlayer gradcheck`: a layer, right or wrong, in a floating-point type.

    nnlayer gradcheck --layer custom --shape x=4x3 -- python3 program.py LAYER VARIANT PRECISION

VARIANT is `right` or the name of a mistake. The program replies to each line with one line, so that it works
with and without --persistent.
"""

import argparse
import json
import sys

import rounded
from arrays import each, round_to_digits
from corpus import all_layers
from mistakes import Wrong


class Program:
    """The outputs and gradients of a variant of a layer."""

    def __init__(self, layer, variant, precision):
        mistake = layer.mistakes.get(variant)
        self.layer = layer
        self.forward = layer.forward
        self.gradients = layer.backward
        if mistake is not None:
            self.forward = mistake.forward or layer.forward
            if mistake.backward:
                self.gradients = lambda inputs, dout: {**layer.backward(inputs, dout), **mistake.backward(inputs, dout)}
        elif variant != "right":
            wrong = Wrong(layer, variant, precision)
            self.forward, self.gradients = wrong.forward, wrong.gradients

    def outputs(self, inputs):
        return self.layer.outputs(self.forward(inputs))


def read(value):
    if isinstance(value, dict):
        return value["data"]  # of an array without entries, such as (0×3)
    return each(lambda number: rounded.number(float(number)), value)  # float("NaN"), float("Infinity")


def reply(program, point, digits):
    inputs = {name: read(value) for name, value in point["inputs"].items()}
    outputs = program.outputs(inputs)
    answer = {"outputs": {name: round_to_digits(value, digits) for name, value in outputs.items()}}
    if "dout" in point:
        gradients = program.gradients(inputs, read(point["dout"]))
        answer["gradients"] = {name: round_to_digits(value, digits) for name, value in gradients.items()}
    return answer


def serve(arguments, requests, replies):
    """Replies to each line of requests with one line, as the arguments of the command line say."""
    arguments = parse(arguments)
    rounded.use(arguments.precision, arguments.accumulate)
    program = Program(all_layers()[arguments.layer], arguments.variant, arguments.precision)
    for line in requests:
        points = json.loads(line)["points"]
        print(json.dumps({"points": [reply(program, point, arguments.digits) for point in points]}), file=replies, flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(description="replies to the requests of nnlayer gradcheck")
    parser.add_argument("layer")
    parser.add_argument("variant")
    parser.add_argument("precision", choices=rounded.TYPES)
    parser.add_argument("--digits", type=int, default=0, help="significant digits to print")
    parser.add_argument("--accumulate", choices=rounded.TYPES, help="the type that sums are carried in")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    serve(sys.argv[1:], sys.stdin, sys.stdout)
