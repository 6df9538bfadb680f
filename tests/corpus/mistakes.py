"""Mistakes that any layer can have: each changes the right gradients, or the state between points.

A mistake is written `sign`, `factor=0.25`, or with the gradient that it changes, `sign@dw`. Without a name
it changes the first gradient.
"""

import math

import rounded
from arrays import constant, each, fill, flat, largest, scale, transpose
from rounded import number

LOWER = {"f64": "f32", "f32": "f16"}


def parse(variant):
    """Splits `factor=0.25@dw` into its word, its value and the name of a gradient."""
    word, _, gradient = variant.partition("@")
    word, _, value = word.partition("=")
    return word, float(value) if value else None, gradient or None


def is_matrix(array):
    return isinstance(array, list) and bool(array) and isinstance(array[0], list)


def edit_entries(array, change, chosen):
    """Changes the entries whose flat index is chosen."""
    return fill(array, [change(entry) if chosen(i) else entry for i, entry in enumerate(flat(array))])


def off(array):
    """Returns a change that is visible whatever the entry is: half of the largest magnitude is added."""
    shift = largest(array) / 2
    return lambda entry: entry + shift


def one_entry(array):
    middle = len(flat(array)) // 2
    return edit_entries(array, off(array), lambda i: i == middle)


def one_row(array):
    middle = len(array) // 2
    change = off(array)
    return [each(change, row) if i == middle else row for i, row in enumerate(array)]


def one_column(array):
    return transpose(one_row(transpose(array)))


def tail(array):
    """The last 17 % of the entries are off, as if a loop over vectors had left out the remainder."""
    entries = flat(array)
    first = len(entries) - math.ceil(0.17 * len(entries))
    return edit_entries(array, off(array), lambda i: i >= first)


# Changes of one gradient: word → (kind, function of the gradient and the value).
CHANGES = {
    "sign": ("sign", lambda g, _: each(lambda v: -v, g)),
    "factor": ("factor", scale),
    "zero": ("zero", lambda g, _: constant(g, 0)),
    "transposed": ("transposed", lambda g, _: transpose(g)),
    "rows-reversed": ("rows", lambda g, _: g[::-1]),
    "rows-shifted": ("rows", lambda g, _: g[1:] + g[:1]),
    "columns-reversed": ("columns", lambda g, _: [row[::-1] for row in g]),
    "columns-shifted": ("columns", lambda g, _: [row[1:] + row[:1] for row in g]),
    "entry": ("entry", lambda g, _: one_entry(g)),
    "row": ("row", lambda g, _: one_row(g)),
    "column": ("column", lambda g, _: one_column(g)),
    "tail": ("tail", lambda g, _: tail(g)),
    "integers": ("integers", lambda g, _: each(lambda v: number(math.trunc(v.value)), g)),
    "unsummed": ("unsummed", lambda g, count: [g for _ in range(int(count))]),
}

# Mistakes that need the layer, and the kind of each.
OTHERS = {
    "dout-ignored": "dout",
    "accumulated": "accumulated",
    "stale": "stale",
    "stale-first": "stale",
    "precision": "precision",
    "precision-all": "precision",
}


def kind(variant):
    word = parse(variant)[0]
    return CHANGES[word][0] if word in CHANGES else OTHERS[word]


def precisions(variant):
    return tuple(LOWER) if parse(variant)[0].startswith("precision") else ("f64", "f32", "f16", "bf16")


class Wrong:
    """The gradients of a layer with a mistake; its state lasts as long as the process."""

    def __init__(self, layer, variant, precision):
        self.layer = layer
        self.word, self.value, self.gradient = parse(variant)
        self.precision = precision
        self.kept = {}

    def gradients(self, inputs, dout):
        key = tuple((name, len(flat(array))) for name, array in inputs.items())
        if self.word == "dout-ignored":
            return self.chosen(inputs, dout, self.layer.backward(inputs, constant(dout, 1)))
        if self.word.startswith("precision"):
            return self.chosen(inputs, dout, self.in_lower_precision(self.layer.backward, inputs, dout))
        if self.word == "stale":
            cached = self.kept.get(key, inputs)
            self.kept[key] = inputs
            return self.chosen(inputs, dout, self.layer.backward(cached, dout))
        if self.word == "stale-first":
            return self.chosen(inputs, dout, self.layer.backward(self.kept.setdefault(key, inputs), dout))

        right = self.layer.backward(inputs, dout)
        name = self.gradient or next(iter(right))
        if self.word == "accumulated":
            if key in self.kept:
                right[name] = each(lambda a, b: a + b, right[name], self.kept[key])
            self.kept[key] = right[name]
        else:
            right[name] = CHANGES[self.word][1](right[name], self.value)
        return right

    def chosen(self, inputs, dout, wrong):
        """Returns the right gradients with one of them wrong, or all wrong ones if none is named."""
        if self.gradient is None:
            return wrong
        return {**self.layer.backward(inputs, dout), self.gradient: wrong[self.gradient]}

    def forward(self, inputs):
        """The outputs, in a lower precision too for `precision-all`."""
        if self.word == "precision-all":
            return self.in_lower_precision(lambda lower: self.layer.outputs(self.layer.forward(lower)), inputs)
        return self.layer.forward(inputs)

    def in_lower_precision(self, function, inputs, *dout):
        def to_type(array):
            return each(lambda v: number(v.value), array)

        rounded.use(LOWER[self.precision])
        result = function({name: to_type(array) for name, array in inputs.items()}, *map(to_type, dout))
        rounded.use(self.precision)
        return {name: to_type(array) for name, array in result.items()}
