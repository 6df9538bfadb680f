"""Searches the inputs at which nnlayer's functions have their largest errors, in units in the last place (ulp).

    pip install numpy mpmath
    python3 benches/worst_ulp.py [--rounds N] [--points N] [--seed N] [NNLAYER]

Each round evaluates millions of points: random ones of every magnitude, points around the borders of the argument reduction, and
neighbours of the worst points so far. The errors are estimated with 80-bit numbers (to about 0.005 ulp), and those of the worst
points are computed with mpmath. Prints the largest error of each function and the input that has it.
"""

import argparse
import pathlib
import subprocess
import tempfile

import mpmath
import numpy as np

mpmath.mp.dps = 60
arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("program", nargs="?", default="target/release/nnlayer")
arguments.add_argument("--rounds", type=int, default=6)
arguments.add_argument("--points", type=int, default=2_000_000)
arguments.add_argument("--seed", type=int, default=1)
arguments = arguments.parse_args()
random = np.random.default_rng(arguments.seed)
KEPT = 3000  # points whose neighbours the next round evaluates
LN_2 = np.log(2.0)


def results(command, x):
    """The arrays that nnlayer computes for x; for xent, of one class with the probability x."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        operands = ["--x", folder / "x.npy"]
        if command[0] == "xent":
            x = x[:, None]
            np.save(folder / "t.npy", np.zeros(len(x)))
            operands = ["--y", folder / "x.npy", "--t", folder / "t.npy", "--reduction", "none"]
        np.save(folder / "x.npy", x)
        out = folder / "out.npz"
        subprocess.run([arguments.program, *command, *operands, "--out", out], check=True, stderr=subprocess.DEVNULL)
        return {name: array.reshape(x.shape[:1]) if command[0] == "xent" else array for name, array in np.load(out).items()}


# Reference functions of extended (80-bit) or mpmath numbers; `exp` is the exponential of that type.
def sigmoid(x, exp):
    q = exp(-abs(x))
    return np.where(x < 0, q, 1) / (1 + q) if isinstance(x, np.ndarray) else (q if x < 0 else 1) / (1 + q)


def slope(x, exp, factor):
    q = exp(-factor * abs(x))
    return factor**2 * q / (1 + q) ** 2


EPS = 1e-10  # of xent


def loss(y, _):
    if isinstance(y, np.ndarray):  # y − 1 is exact from 1/2 on
        return -np.where(y < 0.5, np.log(y + EPS), np.log1p((y - 1) + np.longdouble(EPS)))
    return -mpmath.log(y + mpmath.mpf(EPS))


# Command, name of the result, and reference function.
SINGLE = {
    "sigmoid": ("sigmoid", "y", sigmoid),
    "sigmoid gradient": ("sigmoid", "dx", lambda x, exp: slope(x, exp, 1)),
    "tanh": ("tanh", "y", lambda x, exp: np.tanh(x) if isinstance(x, np.ndarray) else mpmath.tanh(x)),
    "tanh gradient": ("tanh", "dx", lambda x, exp: slope(x, exp, 2)),
    "xent loss": ("xent", "loss", loss),
    "xent gradient": ("xent", "dy", lambda y, _: -1 / (y + (np.longdouble if isinstance(y, np.ndarray) else mpmath.mpf)(EPS))),
}
# Functions of rows of logits.
ROWS = {"softmax": ["softmax"], "log-softmax": ["softmax", "--log"]}


def points(count):
    """Numbers of every magnitude, and around (k + 1/2)·log 2 and its half, where the argument reduction changes."""
    sign = random.choice([-1.0, 1.0], count)
    uniform = random.uniform(0, 1, count)
    k = random.integers(0, 60, count)
    return sign * np.choose(random.integers(0, 7, count), [
        uniform, 8 * uniform, 40 * uniform, 700 * uniform, 10.0 ** (-20 * uniform),
        (k + 0.5) * LN_2 * (1 + 1e-3 * random.normal(0, 1, count) ** 3),
        (k + 0.5) * LN_2 / 2 * (1 + 1e-3 * random.normal(0, 1, count) ** 3),
    ])


def probabilities(count):
    """Numbers from 0 to 1."""
    uniform = random.uniform(0, 1, count)
    return np.choose(random.integers(0, 3, count), [uniform, 10.0 ** (-20 * uniform), 1 - 10.0 ** (-16 * uniform)])


def neighbours(worst, count):
    """Numbers near some numbers, from the next double to a ten-thousandth away."""
    near = worst[random.integers(0, len(worst), count)]
    return near * (1 + random.choice([-1.0, 1.0], near.shape) * 2.0 ** random.uniform(-52, -13, near.shape))


def ulps(found, exact):
    """Errors in ulps of the double that the exact value rounds to."""
    return np.abs((found.astype(np.longdouble) - exact) / np.spacing(np.abs(exact.astype(np.float64))))


def exact_ulps(found, exact):
    ulp = np.spacing(abs(float(exact)))
    return float(abs(mpmath.mpf(float(found)) - exact) / mpmath.mpf(float(ulp)))


def search(name, candidates, evaluate, verify):
    """Repeats rounds, and prints the largest verified error and its input."""
    worst, worst_errors = None, None
    for _ in range(arguments.rounds):
        x = candidates(arguments.points)
        if worst is not None:
            x = np.concatenate([x[: len(x) // 4], neighbours(worst, len(x))])
        errors = evaluate(x)
        if worst is not None:
            x, errors = np.concatenate([x, worst]), np.concatenate([errors, worst_errors])
        largest = np.argsort(errors)[-KEPT:]
        worst, worst_errors = x[largest], errors[largest]
    error, x = max((verify(x), x.tolist()) for x in worst[-20:])
    print(f"{name:18} {error:.4f} ulp at {x if np.size(x) < 4 else 'a row'}", flush=True)


for name, (command, result, function) in SINGLE.items():
    def evaluate(x):
        with np.errstate(over="ignore", under="ignore"):
            exact = function(x.astype(np.longdouble), np.exp)
        # Subnormal results have fewer digits; an ulp is then the smallest double.
        return ulps(results([command], x)[result], exact).astype(float)

    def verify(x):
        found = results([command], np.array([x]))[result][0]
        return exact_ulps(found, mpmath.mpf(function(mpmath.mpf(float(x)), mpmath.exp)))

    search(name, probabilities if command == "xent" else points, evaluate, verify)

for name, command in ROWS.items():
    for width in (2, 3, 10, 100):
        def rows(count):
            count = count // width
            scale = 10.0 ** random.uniform(-3, 2.6, (count, 1))
            logits = random.uniform(-1, 1, (count, width)) * scale
            return np.where(random.uniform(0, 1, (count, 1)) < 0.3, logits[:, :1] + 1e-2 * logits, logits)

        def evaluate(x):
            largest = np.argmax(x, axis=1)[:, None]
            maximum = np.take_along_axis(x, largest, 1)
            # x − max as a sum of two doubles (Knuth's TwoSum).
            high = x - maximum
            part = high - x
            low = (x - (high - part)) + (-maximum - part)
            powers = np.exp(high.astype(np.longdouble)) * (1 + low.astype(np.longdouble))
            others = powers.copy()
            np.put_along_axis(others, largest, 0, 1)
            total = others.sum(axis=1, keepdims=True)
            if name == "softmax":
                exact = powers / (1 + total)
            else:
                exact = high.astype(np.longdouble) + low - np.log1p(total)
            with np.errstate(all="ignore"):
                errors = ulps(results(command, x)["y"], exact)
            return np.where(np.abs(exact) > 1e-300, errors, 0).max(axis=1).astype(float)

        def verify(row):
            found = results(command, row[None, :])["y"][0]
            top = int(np.argmax(row))
            powers = [mpmath.exp(mpmath.mpf(float(v)) - mpmath.mpf(float(row[top]))) for v in row]
            others = mpmath.fsum(power for n, power in enumerate(powers) if n != top)
            if name == "softmax":
                exact = [power / (1 + others) for power in powers]
            else:
                exact = [mpmath.mpf(float(v)) - mpmath.mpf(float(row[top])) - mpmath.log1p(others) for v in row]
            pairs = [(f, e) for f, e in zip(found, exact) if abs(e) > mpmath.mpf("1e-300")]
            return max(exact_ulps(f, e) for f, e in pairs)

        search(f"{name} of {width}", rows, evaluate, verify)
