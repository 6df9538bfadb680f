"""Verifies the corpus without nnlayer, with 60 decimal digits: `python3 tests/corpus/verify.py [LAYER …]`.

The gradients of a right program must lie between the one-sided derivatives of its own forward pass, which are
difference quotients with a step of 1e-20. In each type, a wrong program must be off by far more than the right
one. The exit status is 1 if something does not hold.
"""

import argparse
import decimal
import math
import random
import sys
from decimal import Decimal

import rounded
from arrays import each, fill, flat, largest
from command_line import NO_CASE, checks_of, evenly_spaced, operands
from corpus import all_layers
from program import Program
from rounded import TYPES, Exact, number

STEP = Decimal("1e-20")
TOLERANCE = 1e-12


def exact_gradients(layer, inputs, dout):
    rounded.use("exact")
    return layer.backward(to_type(inputs), each(lambda v: number(v.value), dout))


def to_type(inputs):
    return {name: each(lambda v: number(getattr(v, "value", v)), array) for name, array in inputs.items()}


def output(program, inputs):
    outputs = program.outputs(inputs)
    return outputs["loss"] if "loss" in outputs else outputs["y"]


def random_dout(layer, inputs, seed):
    rounded.use("exact")
    numbers = random.Random(f"{layer.name} dout {seed}")
    return each(lambda _: numbers.uniform(-2, 2), output(Program(layer, "right", "exact"), to_type(inputs)))


def unequal_derivatives(program, inputs, dout):
    """Returns the entries of gradients that are not between the one-sided derivatives."""
    rounded.use("exact")
    exact = to_type(inputs)
    weights = [Exact(d) for d in flat(dout)]
    center = flat(output(program, exact))
    gradients = program.gradients(exact, each(number, dout))
    wrong = []
    for name, gradient in gradients.items():
        if name[1:] not in exact:
            continue  # the gradient at the input of the layer before, as xent gives
        tolerance = TOLERANCE * largest(gradient)
        entries = flat(exact[name[1:]])
        if [len(flat(gradient))] != [len(entries)]:
            wrong.append(f"{name} has another shape")
            continue
        for k, (entry, analytic) in enumerate(zip(entries, flat(gradient))):
            slopes = []
            for direction in (-1, 1):
                step = STEP * max(1, abs(entry.value)) * direction
                moved = entries[:k] + [Exact(entry.value + step)] + entries[k + 1 :]
                shifted = flat(output(program, {**exact, name[1:]: fill(exact[name[1:]], moved)}))
                slopes.append(float(sum(w.value * (a.value - b.value) for w, a, b in zip(weights, shifted, center)) / step))
            if not min(slopes) - tolerance <= float(analytic) <= max(slopes) + tolerance:
                wrong.append(f"{name}[{k}] is {float(analytic)}, the one-sided derivatives are {slopes[0]} and {slopes[1]}")
    return wrong


def deviations(gradients, exact):
    """Returns name → the largest difference of a gradient in proportion to its largest entry."""
    result = {}
    for name, gradient in gradients.items():
        a, b = flat(gradient), flat(exact[name])
        difference = max((abs(float(x) - float(y)) for x, y in zip(a, b)), default=0.0)
        size = largest(exact[name])
        result[name] = math.inf if len(a) != len(b) else difference / size if size else difference and math.inf
    return result


def check_layer(layer, seeds):
    failures = []
    for seed in range(1, seeds + 1):
        for name, case in {"": NO_CASE, **layer.cases}.items():
            # Sums of 1 and 1e300 need more digits.
            decimal.getcontext().prec = 700 if "1e300" in case.options else 60
            if seed > 1 and "--x" in case.options:
                continue
            inputs = operands(layer, case, seed)
            dout = random_dout(layer, inputs, seed)
            place = f"{layer.name} [{name}]" if name else layer.name
            if layer.right:
                program = Program(layer, "right", "exact")
                failures += [f"{place}: {words}" for words in unequal_derivatives(program, inputs, dout)]
            for variant in sorted({check.variant for check in checks_of(layer) if check.case_name == name}):
                mistake = layer.mistakes.get(variant)
                if mistake and mistake.forward:
                    program = Program(layer, variant, "exact")
                    failures += [f"{place} {variant}: {words}" for words in unequal_derivatives(program, inputs, dout)]
                elif layer.right:
                    failures += visible(layer, case, variant, inputs, dout, place, seed)
    return failures


def visible(layer, case, variant, inputs, dout, place, seed):
    """Checks that a wrong program is off by far more than the right one, at its second point."""
    if variant == "right":
        return []
    failures = []
    for check in checks_of(layer):
        precision = check.precision
        if check.variant != variant or check.case is not case or check.known_as != layer.layers[0]:
            continue
        rounded.use(precision)
        upstream = each(number, dout)
        numbers = random.Random(f"{layer.name} first point {seed}")
        other = to_type(operands(layer, case, seed + 1000))
        first = {name: each(lambda v: v + numbers.uniform(-1, 1), array) for name, array in other.items()}
        exact = exact_gradients(layer, to_type(inputs), upstream)
        rounded.use(precision)
        right = deviations(Program(layer, "right", precision).gradients(to_type(inputs), upstream), exact)
        program = Program(layer, variant, precision)
        program.gradients(first, each(lambda _: number(numbers.uniform(-2, 2)), upstream))
        wrong = deviations(program.gradients(to_type(inputs), upstream), exact)
        roundoff = TYPES[precision].unit_roundoff
        if not any(wrong[name] > 8 * (right[name] + roundoff) for name in wrong):
            words = ", ".join(f"{name} by {wrong[name]:.2g} (the right program: {right[name]:.2g})" for name in wrong)
            failures.append(f"{place} {variant} {precision}: off by too little: {words}")
    return failures


def main():
    parser = argparse.ArgumentParser(description="verifies the corpus without nnlayer")
    parser.add_argument("layers", nargs="*", help="names of layers; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="number of random inputs (default 3)")
    parser.add_argument("--sample", type=int, help="verify only this many layers, evenly spaced")
    arguments = parser.parse_args()
    layers = all_layers()
    failures = []
    for name in arguments.layers or evenly_spaced(list(layers), arguments.sample):
        found = check_layer(layers[name], arguments.seeds)
        failures += found
        print("\n".join(found) if found else f"{name}: holds", flush=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
