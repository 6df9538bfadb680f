"""Measures the errors of nnlayer's pointwise layers, losses, norms and attention beside NumPy or SciPy, and JAX in double precision.

    pip install numpy scipy mpmath jax
    python3 benches/layer_accuracy.py [--write] [--points N] [--rounds N] [NNLAYER]

For pointwise functions each round evaluates random numbers of every magnitude, numbers near kinks and zeros, and neighbours of the
worst numbers so far; the table has the largest errors in units in the last place (ulp). The other rows are hard cases. The reference
is mpmath with 60 digits, with the formulas of fixtures/pointwise/make.py. Prints the tables of docs/accuracy.md, or writes them there.
"""

import argparse
import importlib.util
import pathlib
import subprocess
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from mpmath import mp, mpf

jax.config.update("jax_enable_x64", True)
ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- layers -->\n", "<!-- end of layers -->"
spec = importlib.util.spec_from_file_location("pointwise", ROOT / "fixtures" / "pointwise" / "make.py")
pointwise = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pointwise)
mp.dps = 60
SMALLEST_NORMAL = 2.0**-1022
random = np.random.default_rng(1)
sigmoid = scipy.special.expit
# Layer and options → function of NumPy or SciPy as people write it, and JAX's.
PEERS = {
    ("gelu", None): (lambda x: 0.5 * x * (1 + scipy.special.erf(x / np.sqrt(2))), lambda x: jax.nn.gelu(x, approximate=False)),
    ("gelu", "tanh"): (lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), lambda x: jax.nn.gelu(x, approximate=True)),
    ("silu", None): (lambda x: x * sigmoid(x), jax.nn.silu),
    ("mish", None): (lambda x: x * np.tanh(np.log1p(np.exp(x))), jax.nn.mish),
    ("softplus", None): (lambda x: np.log1p(np.exp(x)), jax.nn.softplus),
    ("log-sigmoid", None): (lambda x: -np.log1p(np.exp(-x)), jax.nn.log_sigmoid),
    ("softsign", None): (lambda x: x / (1 + np.abs(x)), jax.nn.soft_sign),
    ("elu", None): (lambda x: np.where(x > 0, x, np.expm1(x)), jax.nn.elu),
    ("selu", None): (lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), jax.nn.selu),
    ("hard-swish", None): (lambda x: x * np.clip(x + 3, 0, 6) / 6, jax.nn.hard_swish),
}


def run(command, **operands):
    """Returns the results of nnlayer."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        words = []
        for name, value in operands.items():
            np.save(folder / f"{name}.npy", value)
            words += [f"--{name}", folder / f"{name}.npy"]
        subprocess.run([NNLAYER, *command, *words, "--out", folder / "out.npz"], check=True, stderr=subprocess.DEVNULL)
        with np.load(folder / "out.npz") as results:
            return dict(results)


def ulps(found, exact):
    """Returns the error in ulps of the double that the exact value rounds to."""
    if not np.isfinite(found):
        return float("inf")
    return float(abs(mpf(float(found)) - exact) / mpf(float(np.spacing(abs(float(exact))))))


def points(count, special):
    """Returns numbers of every magnitude, and near special ones."""
    sign, uniform = random.choice([-1.0, 1.0], count), random.uniform(0, 1, count)
    near = random.choice(np.array(special), count) * (1 + sign * 10.0 ** random.uniform(-16, -1, count))
    kinds = [uniform, 8 * uniform, 40 * uniform, 745 * uniform, 10.0 ** (-20 * uniform)]
    return np.where(random.uniform(0, 1, count) < 0.3, near, sign * np.choose(random.integers(0, 5, count), kinds))


def search(name, option):
    """Returns the largest errors of y and dx of nnlayer, and of y of the peers, at the worst numbers that were found."""
    function, _, kinks, _, own = pointwise.LAYERS[name]
    options = {"approximate": option} if option else {}
    command = [name, *(["--approximate", option] if option else [])]
    worst, errors = np.array([1.0]), {}
    for n in range(OPTIONS.rounds):
        x = points(OPTIONS.points, [*kinks, *own, -0.7517915246935645, -0.7524614220710163, -1.2784645427610738, -1.1924312145154952, 36.5])
        if n:
            x[: len(x) // 2] = random.choice(worst, len(x) // 2) * (1 + random.choice([-1.0, 1.0], len(x) // 2) * 2.0 ** random.uniform(-52, -13, len(x) // 2))
        found = run(command, x=x)
        exact = [function(mpf(float(v)), options) for v in x]
        numpy_function, jax_function = PEERS[name, option]
        with np.errstate(all="ignore"):
            columns = {"y": found["y"], "dx": found["dx"], "NumPy, SciPy": numpy_function(x), "JAX": np.asarray(jax_function(x))}
        for column, values in columns.items():
            which = column == "dx"
            measured = np.array([ulps(v, e[which]) if abs(e[which]) > SMALLEST_NORMAL else 0 for v, e in zip(values, exact, strict=True)])
            errors[column] = max(errors.get(column, 0.0), measured.max())
            if column in ("y", "dx"):
                worst = np.concatenate([worst, x[np.argsort(measured)[-200:]]])
    return errors


def relative(found, exact):
    """Returns the largest error of an array, relative to its largest entry."""
    largest = max(abs(v) for v in exact.ravel())
    errors = [abs(mpf(float(f)) - e) if np.isfinite(f) else mp.inf for f, e in zip(np.ravel(found), exact.ravel(), strict=True)]
    return float(max(errors) / largest)


def exact(array):
    return np.vectorize(lambda v: mpf(float(v)), otypes=[object])(array)


def normalized(x, eps, centred=True):
    x = x - x.mean(-1, keepdims=True) if centred else x
    return x / np.vectorize(mp.sqrt, otypes=[object])((x * x).mean(-1, keepdims=True) + eps)


def norm_gradient(x, dout, eps):
    y = normalized(x, eps)
    std = np.vectorize(mp.sqrt, otypes=[object])(((x - x.mean(-1, keepdims=True)) ** 2).mean(-1, keepdims=True) + eps)
    return (dout - dout.mean(-1, keepdims=True) - y * (dout * y).mean(-1, keepdims=True)) / std


def hard_cases():
    """Yields description, results of nnlayer, NumPy and JAX, and the exact one, of cases that lose digits."""
    eps = mpf(1e-5)
    plain = lambda x: (lambda c: c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5))(x - x.mean(-1, keepdims=True))
    one_pass = lambda x: (x - x.mean(-1, keepdims=True)) / jnp.sqrt((x * x).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2 + 1e-5)
    for what, x in {"rows of 1e8 ± 1": 1e8 + random.uniform(-1, 1, (4, 64)), "nearly constant rows": 3 + 1e-9 * random.uniform(-1, 1, (4, 64))}.items():
        dout = random.uniform(-1, 1, x.shape)
        found, x_exact = run(["layernorm"], x=x, dout=dout), exact(x)
        yield f"layernorm, {what}: y", found["y"], plain(x), one_pass(x), normalized(x_exact, eps)
        gradient = jax.vjp(lambda x: (lambda c: c / jnp.sqrt((c * c).mean(-1, keepdims=True) + 1e-5))(x - x.mean(-1, keepdims=True)), x)[1](dout)[0]
        numpy_gradient = (lambda y, s: (dout - dout.mean(-1, keepdims=True) - y * (dout * y).mean(-1, keepdims=True)) / s)(
            plain(x), np.sqrt(x.var(-1, keepdims=True) + 1e-5))
        yield f"layernorm, {what}: dx", found["dx"], numpy_gradient, gradient, norm_gradient(x_exact, exact(dout), eps)
    x = random.uniform(-1, 1, (4, 64)) * 1e-310
    rms = lambda m: lambda x: x / m.sqrt((x * x).mean(-1, keepdims=True))
    with np.errstate(all="ignore"):
        yield "rmsnorm, rows of 1e-310, eps 0: y", run(["rmsnorm", "--eps", "0"], x=x)["y"], rms(np)(x), rms(jnp)(x), normalized(exact(x), 0, centred=False)
    x, t = np.concatenate([random.uniform(-800, 800, 200), random.uniform(-40, 40, 200)]), random.uniform(0, 1, 400)
    with np.errstate(all="ignore"):
        textbook = -t * np.log(sigmoid(x)) - (1 - t) * np.log(1 - sigmoid(x))
    stable = jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x)))
    log = np.vectorize(lambda v: mp.log1p(mp.exp(v)), otypes=[object])
    yield "bce-logits, x from −800 to 800: loss", run(["bce-logits", "--reduction", "none"], x=x, t=t)["loss"], textbook, stable, exact(t) * log(-exact(x)) + (1 - exact(t)) * log(exact(x))
    q, k, v = (random.uniform(-1, 1, (6, 8)) for _ in range(3))
    # Logits of about 1000 that are close to each other.
    q, k = q * 60, (k[:1] + 1e-4 * k) * 60
    def attention(m, q, k, v):
        s = q @ k.T / m.sqrt(8)
        e = m.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True) @ v
    scores = exact(q) @ exact(k).T / mp.sqrt(8)
    powers = np.vectorize(mp.exp, otypes=[object])(scores - scores.max(-1, keepdims=True))
    yield "attention, logits to ±1e3: y", run(["attention"], q=q, k=k, v=v)["y"], attention(np, q, k, v), attention(jnp, q, k, v), powers / powers.sum(-1, keepdims=True) @ exact(v)


def show(error):
    return "∞" if error == float("inf") else f"{error:.2f}" if 0.01 <= error < 1000 else f"{error:.1e}"


def tables():
    yield "| function | y | dx | NumPy, SciPy: y | JAX: y |\n|---|---|---|---|---|\n"
    for name, option in PEERS:
        errors = search(name, option)
        cells = " | ".join(show(errors[column]) for column in ("y", "dx", "NumPy, SciPy", "JAX"))
        yield f"| {name}{f' --approximate {option}' if option else ''} | {cells} |\n"
    yield "\n| hard case, error relative to the largest entry | nnlayer | NumPy, SciPy | JAX |\n|---|---|---|---|\n"
    for description, *found, reference in hard_cases():
        yield f"| {description} | " + " | ".join(show(relative(values, reference)) for values in found) + " |\n"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("nnlayer", nargs="?", default="target/release/nnlayer")
parser.add_argument("--write", action="store_true")
parser.add_argument("--points", type=int, default=20_000)
parser.add_argument("--rounds", type=int, default=4)
OPTIONS = parser.parse_args()
NNLAYER = OPTIONS.nnlayer
text = ""
for line in tables():
    print(line, end="", flush=True)
    text += line
if OPTIONS.write:
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")
