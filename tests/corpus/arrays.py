"""Arrays as nested lists of numbers: a number, a row, or a list of rows."""

import math

from rounded import dot, number, total


def each(function, *arrays):
    """Applies a function to each entry of arrays of one shape."""
    if isinstance(arrays[0], list):
        return [each(function, *parts) for parts in zip(*arrays)]
    return function(*arrays)


def flat(array):
    """Returns the entries in one list."""
    if not isinstance(array, list):
        return [array]
    return [entry for part in array for entry in flat(part)]


def fill(like, entries):
    """Returns an array in the shape of another one, with the entries given in order."""
    entries = iter(entries)
    return each(lambda _: next(entries), like)


def constant(like, value):
    """Returns an array in the shape of another one, with one value."""
    return each(lambda _: number(value), like)


def transpose(matrix):
    return [list(column) for column in zip(*matrix)]


def matmul(a, b):
    columns = transpose(b)
    return [[dot(row, column) for column in columns] for row in a]


def sum_rows(matrix):
    """Returns the sum over the rows: one number for each column."""
    return [total(column) for column in zip(*matrix)]


def sum_all(array):
    return total(flat(array))


def rows(function, *matrices):
    """Applies a function to each row of matrices; a single row counts as a matrix of one."""
    if matrices[0] and isinstance(matrices[0][0], list):
        return [function(*parts) for parts in zip(*matrices)]
    return function(*matrices) if matrices[0] else []


def add(a, b):
    return each(lambda x, y: x + y, a, b)


def subtract(a, b):
    return each(lambda x, y: x - y, a, b)


def multiply(a, b):
    return each(lambda x, y: x * y, a, b)


def scale(array, factor):
    return each(lambda x: x * factor, array)


def largest(array):
    """Returns the largest magnitude, as a Python float."""
    return max((abs(float(entry)) for entry in flat(array)), default=0.0)


def round_to_digits(array, digits):
    """Returns Python floats as a program prints them, with a number of significant digits."""
    if isinstance(array, list):
        return [round_to_digits(part, digits) for part in array]
    value = float(array)
    return float(f"{value:.{digits}g}") if digits and math.isfinite(value) else value
