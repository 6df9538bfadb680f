"""Measures the largest errors in ulps of nnlayer, NumPy and SciPy, and of PyTorch if it is installed.

    python benches/accuracy.py [--write] [NNLAYER]

The reference is mpmath at 60 digits on the same doubles. Prints the tables of docs/accuracy.md, or writes them there.
"""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

import mpmath
import numpy as np
import scipy
import scipy.special

mpmath.mp.dps = 60
PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "accuracy.md"
ARGUMENTS = [word for word in sys.argv[1:] if word != "--write"]
NNLAYER = ARGUMENTS[0] if ARGUMENTS else "target/release/nnlayer"
random = np.random.default_rng(4)

CASES = {
    "normal×5, 10 classes": random.normal(0, 5, (200, 10)),
    "normal×5, 1000 classes": random.normal(0, 5, (4, 1000)),
    "spread of 1400": random.uniform(-700, 700, (200, 10)),
    "gap of 40": np.stack([np.array([0.0, 40.0 + e, 1.0]) for e in random.uniform(0, 1, 200)]),
    "gap of 100": np.stack([np.array([0.0, 100.0 + e, 1.0]) for e in random.uniform(0, 1, 200)]),
    "gap of 700": np.stack([np.array([0.0, 700.0 + e, 1.0]) for e in random.uniform(0, 1, 200)]),
    "nearly equal": 3.0 + random.uniform(-1e-9, 1e-9, (200, 10)),
    "large and nearly equal": 1e9 + random.uniform(-5, 5, (200, 10)),
}
# Inputs of elementwise functions.
ELEMENTWISE_CASES = {
    "normal×5": random.normal(0, 5, (20, 50)),
    "near 0": random.uniform(-1, 1, (20, 50)) * 10.0 ** random.uniform(-17, 0, (20, 50)),
    "20 to 40": random.uniform(20, 40, (20, 50)),
    "-700 to -20": random.uniform(-700, -20, (20, 50)),
}


def run_nnlayer(x, *options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.npy")
        np.save(path, x)
        command = [NNLAYER, *options, "--x", path, "--json"]
        non_finite = {"Infinity": np.inf, "-Infinity": -np.inf, "NaN": np.nan}
        results = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return {name: np.vectorize(lambda v: non_finite.get(v, v))(np.array(value, dtype=object)).astype(float)
                for name, value in results.items()}


def naive_softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


PEER_FUNCTIONS = {
    "softmax": {
        "NumPy": naive_softmax,
        "SciPy": lambda x: scipy.special.softmax(x, axis=1),
    },
    "log-softmax": {
        "NumPy": lambda x: np.log(naive_softmax(x)),
        "SciPy": lambda x: scipy.special.log_softmax(x, axis=1),
    },
    "loss, class 1": {
        "NumPy": lambda x: -np.log(naive_softmax(x)[:, 1]),
        "SciPy": lambda x: -scipy.special.log_softmax(x, axis=1)[:, 1],
    },
}
PEER_FUNCTIONS |= {
    "sigmoid": {"NumPy": lambda x: 1 / (1 + np.exp(-x)), "SciPy": scipy.special.expit},
    "tanh": {"NumPy": np.tanh},
}
versions = f"NumPy {np.__version__}, SciPy {scipy.__version__}, mpmath {mpmath.__version__}, Python {platform.python_version()}"
try:
    import torch

    versions += f", PyTorch {torch.__version__}"
    PEER_FUNCTIONS["softmax"]["PyTorch"] = lambda x: torch.softmax(torch.tensor(x), 1).numpy()
    PEER_FUNCTIONS["log-softmax"]["PyTorch"] = lambda x: torch.log_softmax(torch.tensor(x), 1).numpy()
    PEER_FUNCTIONS["loss, class 1"]["PyTorch"] = lambda x: torch.nn.functional.cross_entropy(
        torch.tensor(x), torch.ones(len(x), dtype=torch.long), reduction="none").numpy()
    PEER_FUNCTIONS["sigmoid"]["PyTorch"] = lambda x: torch.sigmoid(torch.tensor(x)).numpy()
    PEER_FUNCTIONS["tanh"]["PyTorch"] = lambda x: torch.tanh(torch.tensor(x)).numpy()
except ImportError:
    pass

NNLAYER_FUNCTIONS = {
    "softmax": lambda x: run_nnlayer(x, "softmax", "--forward")["y"],
    "log-softmax": lambda x: run_nnlayer(x, "softmax", "--log", "--forward")["y"],
    "loss, class 1": lambda x: run_nnlayer(x, "softmax-xent", "--forward", "--reduction", "none", "--t",
                                    ",".join(["1"] * len(x)))["loss"],
    "sigmoid": lambda x: run_nnlayer(x, "sigmoid", "--forward")["y"],
    "tanh": lambda x: run_nnlayer(x, "tanh", "--forward")["y"],
}


def reference(x, function):
    """Returns the exact results as mpmath numbers."""
    elementwise = {"sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)), "tanh": mpmath.tanh}.get(function)
    if elementwise:
        return [[elementwise(mpmath.mpf(float(v))) for v in row] for row in x]
    y, log = [], []
    for row in x:
        powers = [mpmath.exp(mpmath.mpf(float(v))) for v in row]
        total = mpmath.fsum(powers)
        y.append([power / total for power in powers])
        # x − max − log1p(Σ of the others): the log of the quotient would lose all 60 digits at a gap of 700
        top = max(range(len(row)), key=lambda k: row[k])
        others = mpmath.fsum(power / powers[top] for k, power in enumerate(powers) if k != top)
        rest = mpmath.log1p(others)
        log.append([mpmath.mpf(float(v)) - mpmath.mpf(float(row[top])) - rest for v in row])
    return {"softmax": y, "log-softmax": log, "loss, class 1": [-row[1] for row in log]}[function]


def largest_error(actual, expected):
    largest = mpmath.mpf(0)
    for value, exact in zip(np.ravel(actual), np.ravel(np.array(expected, dtype=object))):
        ulp = np.spacing(abs(float(exact)))
        error = abs(mpmath.mpf(float(value)) - exact) / mpmath.mpf(float(ulp)) if np.isfinite(value) else mpmath.inf
        largest = max(largest, error)
    return "∞" if largest == mpmath.inf else mpmath.nstr(largest, 3)


lines = [f"Measured with {versions}. The NumPy columns use the usual", "formulas: `e/e.sum()` with `e = exp(x - x.max())`, its logarithm, and `1/(1 + exp(-x))`.", ""]
for function, peers in PEER_FUNCTIONS.items():
    lines += [f"| {function} | nnlayer | " + " | ".join(peers) + " |", "|---|" + "---|" * (1 + len(peers))]
    for name, x in (ELEMENTWISE_CASES if function in ("sigmoid", "tanh") else CASES).items():
        expected = reference(x, function)
        with np.errstate(divide="ignore", under="ignore", over="ignore"):
            cells = [largest_error(compute(x), expected) for compute in [NNLAYER_FUNCTIONS[function], *peers.values()]]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("")
text = "\n".join(lines)
if "--write" in sys.argv:
    # Replaces the tables and the lines above them.
    page = PAGE.read_text()
    PAGE.write_text(re.sub(r"^Measured with .*^\|[^\n]*\n\n", lambda _: text + "\n", page, flags=re.M | re.S))
else:
    print(text)
