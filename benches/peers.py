#!/usr/bin/env python3
"""Compares the time and memory of nnlayer with those of other programs: whole jobs, alternating runs, medians and ratios.

    cargo build --release && python3 benches/peers.py                 # every row; takes a minute or two
    python3 benches/peers.py --only start --only parse --repeat 9     # selected rows
    python3 benches/peers.py --write                                  # also write docs/performance.md

Needs numpy, scipy and orjson (`pip install numpy scipy orjson`); a row whose peer is not installed is skipped. A row is a
function decorated with @benchmark. It returns a Comparison of two commands, or the ratio itself, or the fractions of a peak that
nnlayer and the peer reach. Input files are created once, in a temporary directory.
"""
import argparse, datetime, importlib.util, json, os, pathlib, platform, re, resource, shlex, statistics, subprocess, sys, tempfile, time
import ndjson

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BENCHMARKS = {}


def benchmark(name, description, goal, requirements=("numpy",)):
    """Registers a row; `requirements` are Python modules and words of nnlayer's help; without them it is skipped."""
    def register(measure):
        BENCHMARKS[name] = (description, goal, requirements, measure)
        return measure
    return register


class Comparison:
    """Commands of nnlayer and a peer. They are timed, or, if `self_timed`, print their times in seconds, one per line. A sample is
    the median of `runs_per_sample` consecutive runs; short jobs need several, since the first finds the caches of the other
    program."""

    def __init__(self, ours, peer, threads=None, self_timed=False, repeat=None, runs_per_sample=1):
        self.ours, self.peer, self.threads, self.repeat = ours, peer, threads, repeat
        self.self_timed, self.runs_per_sample = self_timed, runs_per_sample

    def environment(self):
        variables = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        if self.threads:
            variables |= {name: str(self.threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        return variables

    def seconds(self, command):
        for name in os.listdir():
            if name.startswith(("ours.", "peer.")):
                os.remove(name)
        if self.self_timed:
            return statistics.median(self.printed(command))
        # posix_spawn has little overhead between reading the clock and starting the program.
        environment = self.environment()
        with open(os.devnull, "wb") as devnull:
            begin = time.perf_counter()
            child = os.posix_spawn(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, devnull.fileno(), 1)])
            status = os.waitpid(child, 0)[1]
            seconds = time.perf_counter() - begin
        assert status == 0, command
        return seconds

    def printed(self, command):
        """Returns the numbers that a command prints."""
        ran = subprocess.run(command, env=self.environment(), stdout=subprocess.PIPE, check=True)
        return [float(word) for word in ran.stdout.split()]

    def run(self, repeat):
        """Returns the median times of both, after a warm-up run of each."""
        repeat = self.repeat or repeat
        sample = lambda command: statistics.median(self.seconds(command) for _ in range(self.runs_per_sample))
        samples = [(sample(self.ours), sample(self.peer)) for _ in range(repeat + 1)][1:]
        return [statistics.median(times) for times in zip(*samples)]


def python_command(script):
    return [sys.executable, "-c", script]


def input_file(name, script):
    """Returns the name of a file, which NumPy creates in a separate process to keep the memory of this one small."""
    if not pathlib.Path(name).exists():
        subprocess.run(python_command(f"import numpy as np, orjson\nrng = np.random.default_rng(7)\nname = {name!r}\n{script}"), check=True)
    return name


def matrix(name, rows, columns, scale=1.0):
    """Returns the name of a .npy or .json file of normally distributed numbers."""
    code = f"a = rng.standard_normal(({rows}, {columns})) * {scale}\n"
    save = "np.save(name, a)" if name.endswith(".npy") else "open(name, 'wb').write(orjson.dumps(a, option=orjson.OPT_SERIALIZE_NUMPY))"
    return input_file(name, code + save)


def nnlayer(command, *arguments, threads=None):
    return [BINARY, command, *map(str, arguments), *(["--threads", str(threads)] if threads else [])]


def bench_command(name, *arguments):
    """Returns the command of a benchmark in benches/*.rs, built as `cargo bench` builds it."""
    built = subprocess.run(["cargo", "bench", "--bench", name, "--no-run", "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    result = [m["executable"] for m in map(json.loads, built.stdout.splitlines()) if m.get("executable") and m["target"]["name"] == name]
    return [result[-1], *map(str, arguments)]


# Rows of the table.

AFFINE = """import numpy as np, orjson
{load}
x, w, b, dout = (load(name) for name in {files!r})
y = x @ w + b
dx, dw, db = dout @ w.T, x.T @ dout, dout.sum(axis=0)
{save}"""


def affine(kind, threads, out):
    """Compares 4096×1024 · 1024×1024, forward and backward with an explicit dout."""
    x, w, b, dout = files = [
        matrix(f"x.{kind}", 4096, 1024), matrix(f"w.{kind}", 1024, 1024, 0.03),
        input_file(f"b.{kind}", "a = rng.standard_normal(1024)\n" + ("np.save(name, a)" if kind == "npy" else "open(name, 'wb').write(orjson.dumps(a.tolist()))")),
        matrix(f"dout.{kind}", 4096, 1024)]
    if kind == "json":
        load = "load = lambda name: np.array(orjson.loads(open(name, 'rb').read()))"
        save = f"open('peer.{out}', 'wb').write(orjson.dumps(dict(y=y, dx=dx, dw=dw, db=db), option=orjson.OPT_SERIALIZE_NUMPY))"
    else:
        load, save = "load = np.load", f"np.savez('peer.{out}', y=y, dx=dx, dw=dw, db=db)"
    ours = nnlayer("affine", "--x", x, "--w", w, "--b", b, "--dout", dout, "--out", f"ours.{out}", threads=threads)
    return Comparison(ours, python_command(AFFINE.format(load=load, save=save, files=files)), threads)


@benchmark("start", "a tiny affine job, `nnlayer affine --x 1,2 --w '1;2'`, 15 runs in a row / the same job after `import numpy`", 0.015)
def start():
    return Comparison(nnlayer("affine", "--x", "1,2", "--w", "1;2"), python_command("import numpy as np\nprint(np.array([1., 2.]) @ np.array([[1.], [2.]]))"), runs_per_sample=15)


@benchmark("json-2", "affine forward + backward, 4096×1024 · 1024×1024, JSON in and out, 2 threads / numpy + orjson", 0.28, ("numpy", "orjson"))
def json_two():
    return affine("json", 2, "json")


@benchmark("json-1", "the same on 1 thread", 0.45, ("numpy", "orjson"))
def json_one():
    return affine("json", 1, "json")


@benchmark("npy", "the same from .npy to .npz, 2 threads / numpy with its OpenBLAS", 0.80)
def npy():
    return affine("npy", 2, "npz")


SOFTMAX = """import numpy as np
x = np.load('logits.npy')
{softmax}
np.save('peer.npy', y)"""


@benchmark("softmax", "softmax of 100000×1000, .npy to .npy, 2 threads / numpy", None)
def softmax():
    formula = "e = np.exp(x - x.max(axis=1, keepdims=True)); y = e / e.sum(axis=1, keepdims=True)"
    return softmax_comparison(formula)


@benchmark("softmax-scipy", "the same / scipy.special.softmax", None, ("numpy", "scipy"))
def softmax_scipy():
    return softmax_comparison("from scipy.special import softmax; y = softmax(x, axis=1)")


@benchmark("softmax-torch", "the same / torch.softmax", None, ("numpy", "torch"))
def softmax_torch():
    return softmax_comparison("import torch; y = torch.softmax(torch.from_numpy(x), 1).numpy()")


def softmax_comparison(formula):
    x = matrix("logits.npy", 100000, 1000, 5.0)
    return Comparison(nnlayer("softmax", "--x", x, "--forward", "--out", "ours.npy", threads=2), python_command(SOFTMAX.format(softmax=formula)), 2, repeat=3)


AXIS_SOFTMAX = {
    "numpy": "e = np.exp(x - x.max(axis=1, keepdims=True)); y = e / e.sum(axis=1, keepdims=True)",
    "jax": "import jax; jax.config.update('jax_enable_x64', True); y = np.asarray(jax.jit(lambda x: jax.nn.softmax(x, axis=1))(x))",
    "torch": "import torch; y = torch.softmax(torch.from_numpy(x), 1).numpy()"}


def axis_softmax():
    """Compares softmax along the middle axis, from .npy to .npy, in double and in single precision."""
    for peer, formula in AXIS_SOFTMAX.items():
        for precision, dtype in (("f64", "f8"), ("f32", "f4")):
            def comparison(formula=formula, precision=precision, dtype=dtype):
                x = input_file(f"lanes.{dtype}.npy", f"np.save(name, (rng.standard_normal((64, 1000, 196)) * 5).astype('{dtype}'))")
                ours = nnlayer("softmax", "--x", x, "--axis", 1, "--precision", precision, "--forward", "--out", "ours.npy", threads=2)
                return Comparison(ours, python_command(SOFTMAX.replace("logits.npy", x).format(softmax=formula)), 2, repeat=5)
            benchmark(f"axis-softmax-{precision}-{peer}", f"softmax along axis 1 of (64, 1000, 196) in {precision}, .npy to .npy, 2 threads / {peer}", 1.0, ("numpy", peer))(comparison)


axis_softmax()


def cpu_seconds(command):
    """Returns the CPU time of a command in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def single_precision():
    """Compares the CPU time of a layer of 20000×1000 in single precision with that in double precision, medians of alternating runs."""
    for layer in ("softmax", "sigmoid"):
        def ratio(layer=layer):
            commands = []
            for precision, dtype in (("f32", "f4"), ("f64", "f8")):
                x = input_file(f"single.{dtype}.npy", f"np.save(name, (rng.standard_normal((20000, 1000)) * 5).astype('{dtype}'))")
                commands.append(nnlayer(layer, "--x", x, "--precision", precision, "--forward", "--out", f"{precision}.npy", threads=2))
            seconds = [[cpu_seconds(command) for command in commands] for _ in range(21)]
            single, double = map(statistics.median, zip(*seconds))
            return single / double
        benchmark(f"single-{layer}", f"CPU time of {layer} of 20000×1000, .npy to .npy, in f32 / in f64", 0.65)(ratio)


single_precision()

IN_MEMORY = """import numpy as np, time
rng = np.random.default_rng(7)
{setup}
for _ in range(7):
    begin = time.perf_counter(); result = {work}; print(time.perf_counter() - begin); del result"""


def softmax_in_memory(formula):
    peers = IN_MEMORY.format(setup="x = rng.standard_normal((100000, 1000)) * 5\n" + formula, work="softmax(x)")
    return Comparison(bench_command("layers", "time", "softmax", 2), python_command(peers), 2, self_timed=True, repeat=1)


@benchmark("in-memory-softmax", "softmax of 100000×1000 in memory, 2 threads / numpy", 0.30)
def in_memory_softmax():
    return softmax_in_memory("def softmax(x):\n    e = np.exp(x - x.max(axis=1, keepdims=True))\n    return e / e.sum(axis=1, keepdims=True)")


@benchmark("in-memory-scipy", "the same / scipy.special.softmax", 0.20, ("numpy", "scipy"))
def in_memory_scipy():
    return softmax_in_memory("import scipy.special\nsoftmax = lambda x: scipy.special.softmax(x, axis=1)")


@benchmark("in-memory-torch", "the same / torch.softmax", 0.75, ("numpy", "torch"))
def in_memory_torch():
    return softmax_in_memory("import torch\nx = torch.from_numpy(x)\nsoftmax = lambda x: torch.softmax(x, 1)")


@benchmark("in-memory-copy", "the same / a copy of x by numpy", 2.0)
def in_memory_copy():
    return softmax_in_memory("softmax = np.copy")


# Layers other than softmax: description, setup code, and expression of each peer. y is the result of the layer, d the upstream
# gradient, and t the class of each row r.
CLASSES = "(lambda g: (g.__setitem__((r, t), g[r, t] - 1), g)[1])({copy})"
SLOPES = "(lambda g: (g.__setitem__((r, t), -1 / (y[r, t] + 1e-10)), g)[1])({zeros})"
LAYERS = {
    "softmax-backward": ("the gradient of softmax", "e = np.exp(x - x.max(axis=1, keepdims=True)); y = e / e.sum(axis=1, keepdims=True); del e", {
        "numpy": "y * (d - (d * y).sum(axis=1, keepdims=True))", "torch": "A._softmax_backward_data(d, y, 1, torch.float64)"}),
    "log-softmax": ("log-softmax", "y = x", {
        "numpy": "(lambda s: s - np.log(np.exp(s).sum(axis=1, keepdims=True)))(x - x.max(axis=1, keepdims=True))", "torch": "torch.log_softmax(x, 1)"}),
    "log-softmax-backward": ("the gradient of log-softmax", "s = x - x.max(axis=1, keepdims=True); y = s - np.log(np.exp(s).sum(axis=1, keepdims=True)); del s", {
        "numpy": "d - np.exp(y) * d.sum(axis=1, keepdims=True)", "torch": "A._log_softmax_backward_data(d, y, 1, torch.float64)"}),
    "softmax-xent": ("softmax and cross-entropy with class indices", "y = x", {
        "numpy": "(lambda s, e: (e / e.sum(axis=1, keepdims=True), (np.log(e.sum(axis=1)) - s[r, t]).sum()))(*(lambda s: (s, np.exp(s)))(x - x.max(axis=1, keepdims=True)))",
        "torch": "torch.nn.functional.cross_entropy(x, t, reduction='sum')"}),
    "softmax-xent-backward": ("the gradient of softmax and cross-entropy, y − t,", "y = x", {"numpy": CLASSES.format(copy="y.copy()"), "torch": CLASSES.format(copy="y.clone()")}),
    "xent": ("cross-entropy of probabilities (nnlayer also checks each of them for NaN) with class indices", "y = d", {
        "numpy": "-np.log(y[r, t] + 1e-10).sum()", "torch": "-torch.log(y[r, t] + 1e-10).sum()"}),
    "xent-backward": ("the gradients dx and dy of cross-entropy", "y = d", {
        "numpy": f"({CLASSES.format(copy='y.copy()')}, {SLOPES.format(zeros='np.zeros_like(y)')})",
        "torch": f"({CLASSES.format(copy='y.clone()')}, {SLOPES.format(zeros='torch.zeros_like(y)')})"}),
    "sigmoid": ("sigmoid", "y = x", {"numpy": "1 / (1 + np.exp(-x))", "torch": "torch.sigmoid(x)"}),
    "sigmoid-backward": ("the gradient of sigmoid", "y = 1 / (1 + np.exp(-x))", {"numpy": "d * y * (1 - y)", "torch": "A.sigmoid_backward(d, y)"}),
    "tanh": ("tanh", "y = x", {"numpy": "np.tanh(x)", "torch": "torch.tanh(x)"}),
    "tanh-backward": ("the gradient of tanh", "y = np.tanh(x)", {"numpy": "d * (1 - y * y)", "torch": "A.tanh_backward(d, y)"}),
    "relu": ("ReLU", "y = x", {"numpy": "np.maximum(x, 0)", "torch": "torch.relu(x)"}),
    "relu-backward": ("the gradient of ReLU", "y = x", {"numpy": "d * (x > 0)", "torch": "A.threshold_backward(d, x, 0)"}),
}


def layers():
    for name, (description, setup, peers) in LAYERS.items():
        for peer_name, work in peers.items():
            def comparison(name=name, setup=setup, work=work, torch=peer_name == "torch"):
                code = f"x, d = rng.random((100000, 1000)) * 20 - 10, rng.random((100000, 1000))\nr = np.arange(100000); t = r * 7 % 1000\n{setup}"
                if torch:
                    code += "\nimport torch\nA = torch.ops.aten\nx, y, d, r, t = map(torch.from_numpy, (x, y, d, r, t))"
                return Comparison(bench_command("layers", "time", name, 2), python_command(IN_MEMORY.format(setup=code, work=work)), 2, self_timed=True, repeat=1)
            benchmark(f"in-memory-{name}-{peer_name}", f"{description} of 100000×1000 in memory, 2 threads / {peer_name}", None, ("numpy", peer_name))(comparison)


layers()

# Layers beside automatic differentiation: shapes of the differentiated operands, other operands, and the formula in JAX, and where
# NumPy is fast enough to be a peer, its statements for y and for the gradients.
TOKENS, IMAGES, HEADS = (8192, 1024), (16, 64, 56, 56), (8, 512, 64)
NORM_GRADIENT = "g = d * gamma; dgamma = (d * h).sum(0); dx = r * (g {mean}- h * (g * h).mean(-1, keepdims=True))"
PASSES = {
    "gelu": ("gelu (exact), 8192×1024", {"x": TOKENS}, "", "jax.nn.gelu(x, approximate=False)",
        ("from scipy.special import erf", "p = 0.5 * (1 + erf(x * 0.5 ** 0.5)); y = x * p", "dx = d * (p + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))"), 1.3),
    "gelu-tanh": ("gelu (tanh), 8192×1024", {"x": TOKENS}, "", "jax.nn.gelu(x, approximate=True)", None, 1.3),
    "silu": ("silu, 8192×1024", {"x": TOKENS}, "", "jax.nn.silu(x)", ("", "s = 1 / (1 + np.exp(-x)); y = x * s", "dx = d * s * (1 + x * (1 - s))"), 1.3),
    "swiglu": ("glu with silu, two operands of 8192×1024", {"x": TOKENS, "g": TOKENS}, "", "x * jax.nn.silu(g)", None, 1.3),
    "mse": ("mse, 8192×1024", {"x": TOKENS, "t": TOKENS}, "", "((x - t) ** 2).mean()", ("", "r = x - t; y = (r * r).mean()", "dx = r * (2 * d / r.size)"), 1.3),
    "bce-logits": ("bce-logits, 8192×1024", {"x": TOKENS}, "t = jnp.asarray(rng.uniform(size=(8192, 1024)))",
        "(jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x)))).mean()", None, 1.3),
    "layernorm": ("layernorm, 8192×1024", {"x": TOKENS, "gamma": (1024,), "beta": (1024,)}, "",
        "(lambda c: c / jnp.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * gamma + beta)(x - x.mean(-1, keepdims=True))",
        ("", "c = x - x.mean(-1, keepdims=True); r = 1 / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5); h = c * r; y = h * gamma + beta",
         "dbeta = d.sum(0); " + NORM_GRADIENT.format(mean="- g.mean(-1, keepdims=True) ")), 1.0),
    "rmsnorm": ("rmsnorm, 8192×1024", {"x": TOKENS, "gamma": (1024,)}, "", "x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * gamma",
        ("", "r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5); h = x * r; y = h * gamma", NORM_GRADIENT.format(mean="")), 1.0),
    "batchnorm": ("batchnorm, 16×64×56×56", {"x": IMAGES, "gamma": (64,), "beta": (64,)}, "",
        "(lambda c: c / jnp.sqrt((c * c).mean((0, 2, 3), keepdims=True) + 1e-5) * gamma[:, None, None] + beta[:, None, None])(x - x.mean((0, 2, 3), keepdims=True))", None, 1.0),
    "conv2d": ("conv2d 3×3, 64 to 64 channels, 16×64×56×56", {"x": IMAGES, "w": (64, 64, 3, 3), "b": (64,)}, "",
        "jax.lax.conv_general_dilated(x, w, (1, 1), 'SAME', dimension_numbers=('NCHW', 'OIHW', 'NCHW')) + b[:, None, None]", None, 1.3),
    "maxpool2d": ("maxpool2d 2×2, 16×64×56×56", {"x": IMAGES}, "", "jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), 'VALID')", None, 1.0),
    "attention": ("attention, 8 heads of 512×64", {"q": HEADS, "k": HEADS, "v": HEADS}, "",
        "jnp.einsum('hls,hse->hle', jax.nn.softmax(jnp.einsum('hld,hsd->hls', q, k) * 0.125, axis=-1), v)",
        ("", "s = np.exp((lambda s: s - s.max(-1, keepdims=True))(q @ k.swapaxes(1, 2) * 0.125)); s /= s.sum(-1, keepdims=True); y = s @ v",
         "dv = s.swapaxes(1, 2) @ d; g = d @ v.swapaxes(1, 2); g = s * (g - (g * s).sum(-1, keepdims=True)) * 0.125; dq = g @ k; dk = g.swapaxes(1, 2) @ q"), 1.3),
    "embedding": ("embedding, 16×512 of 32000×512", {"w": (32000, 512)}, "ids = rng.integers(0, 32000, (16, 512))", "w[ids]",
        ("", "y = w[ids]", "dw = np.zeros_like(w); np.add.at(dw, ids, d)"), 1.0),
}
JAX_SETUP = """import jax, jax.numpy as jnp
jax.config.update('jax_enable_x64', True)
{others}
arguments = [jnp.asarray(rng.standard_normal(shape)) for shape in {shapes}]
def layer({names}):
    return {formula}
forward = jax.jit(layer)
both = jax.jit(lambda d, *arguments: (lambda y, pullback: (y, pullback(d)))(*jax.vjp(layer, *arguments)))
d = jnp.asarray(rng.standard_normal(forward(*arguments).shape))
jax.block_until_ready((forward(*arguments), both(d, *arguments)))"""
NUMPY_SETUP = """{imports}
{others}
{names}, = [rng.standard_normal(shape) for shape in {shapes}]
def forward():
    {forward}
    return y
d = rng.standard_normal(forward().shape)
def both():
    {forward}
    {backward}
    return {results}"""


def passes():
    """Compares the forward pass, and both passes, in memory and in double precision."""
    for name, (description, operands, others, formula, numpy, goal) in PASSES.items():
        words = dict(names=", ".join(operands), shapes=list(operands.values()), others=others, formula=formula)
        setups = {"jax": JAX_SETUP.format(**words)}
        if numpy:
            imports, forward, backward = numpy
            results = ", ".join(found for found in dict.fromkeys(re.findall(r"\b(d[a-z]+) =", backward)))
            setups["numpy"] = NUMPY_SETUP.format(**words, imports=imports, forward=forward, backward=backward, results=f"y, {results}")
        for peer, setup in setups.items():
            for suffix, work in (("", "forward"), ("-both", "both")):
                call = {"forward": "forward(*arguments)", "both": "both(d, *arguments)"}[work] if peer == "jax" else f"{work}()"
                work = f"jax.block_until_ready({call})" if peer == "jax" else call
                def comparison(name=name + suffix, setup=setup, work=work):
                    return Comparison(bench_command("layers", "time", name, 2), python_command(IN_MEMORY.format(setup=setup, work=work)), 2, self_timed=True, repeat=3)
                what = "forward and backward" if suffix else "forward"
                benchmark(f"in-memory-{name}{suffix}-{peer}", f"{description}, {what}, in memory, 2 threads / {peer}", goal, ("numpy", peer))(comparison)


passes()


def skinny(name, rows, inputs, outputs, repeats):
    setup = f"x, w, dout = (rng.standard_normal(s) for s in (({rows}, {inputs}), ({inputs}, {outputs}), ({rows}, {outputs})))"
    work = f"[(x @ w, dout @ w.T, x.T @ dout) for _ in range({repeats})]"
    return Comparison(bench_command("kernels", "time", name, 2), python_command(IN_MEMORY.format(setup=setup, work=work)), 2, self_timed=True, repeat=3)


@benchmark("skinny-row", "x·W, dout·Wᵀ and xᵀ·dout of 1×784 · 784×10 in memory, 2 threads / numpy", 1.0)
def skinny_row():
    return skinny("row", 1, 784, 10, 1000)


@benchmark("skinny-batch", "the same of 64×784 · 784×256", 1.0)
def skinny_batch():
    return skinny("batch", 64, 784, 256, 10)


@benchmark("skinny-narrow", "the same of 100000×64 · 64×10", 1.0)
def skinny_narrow():
    return skinny("narrow", 100000, 64, 10, 1)


GEMM = """import numpy as np, statistics, time
size = {size}
a, b = np.random.default_rng(7).standard_normal((2, size, size))
for a, b in ((a, b), (a, b.T), (a.T, b)):
    times = []
    for _ in range({runs}):
        begin = time.perf_counter(); product = a @ b; times.append(time.perf_counter() - begin); del product
    print(2e-9 * size ** 3 / statistics.median(times))"""


def gemm(threads, peak):
    """Returns the smallest fractions of a peak that nnlayer and OpenBLAS reach, over sizes and the forms a·b, a·bᵀ and aᵀ·b."""
    fractions = []
    for size in (1024, 2048, 4096):
        ours, theirs = bench_command("kernels", "peak", threads, size), python_command(GEMM.format(size=size, runs=3 if size > 2000 else 9))
        printed = [Comparison(ours, theirs, threads).printed(command) for command in (ours, theirs)]
        peaks = printed[0][1::3] if peak == "FMA" else printed[0][2::3]
        fractions += [(flop / peak, numpy / peak) for flop, peak, numpy in zip(printed[0][::3], peaks, printed[1])]
    return [min(values) for values in zip(*fractions)]


def products():
    description = "GEMM of f64 at 1024, 2048 and 4096, a·b, a·bᵀ and aᵀ·b, 1 thread: smallest fraction of the FMA peak / numpy's OpenBLAS"
    for threads, description in ((1, description), (2, "the same on 2 threads")):
        benchmark(f"gemm-{threads}", description, "≥ 0.85")(lambda threads=threads: gemm(threads, "FMA"))
        benchmark(f"gemm-{threads}-loading", "the same, relative to the peak with loads", None)(lambda threads=threads: gemm(threads, "loading"))


products()


PARSE = """import orjson, time
data = open('x.json', 'rb').read()
for _ in range(5):
    begin = time.perf_counter(); value = orjson.loads(data); print(time.perf_counter() - begin); del value"""


@benchmark("parse-1", "JSON of 4096×1024 doubles of 17 digits to a flat buffer, in memory, 1 thread / orjson.loads", 0.45, ("numpy", "orjson"))
def parse_one():
    return parse_comparison(1)


@benchmark("parse-2", "the same on 2 threads", 0.28, ("numpy", "orjson"))
def parse_two():
    return parse_comparison(2)


def parse_comparison(threads):
    return Comparison(bench_command("parse", os.path.abspath(matrix("x.json", 4096, 1024)), threads, 5), python_command(PARSE), self_timed=True, repeat=3)


# Records, one per line: the loss of a million digits and its gradient with respect to the scores.
@benchmark("ndjson-row", "1000000 records of NDJSON through a 64→10 affine and softmax-xent, `net --ndjson`, 2 threads / orjson + numpy record by record", 0.1, ("numpy", "orjson"))
def ndjson_row():
    return records_comparison("record_by_record")


@benchmark("ndjson-batch", "the same / orjson + numpy in batches of 1024", 0.5, ("numpy", "orjson"))
def ndjson_batch():
    return records_comparison("in_batches")


@benchmark("ndjson-piped", "the same as `affine … | softmax-xent` in a pipe / orjson + numpy record by record", None, ("numpy", "orjson"))
def ndjson_piped():
    pipe = '"$0" affine --w "$1" --b "$2" --forward --ndjson "$3" | "$0" softmax-xent --only loss,dx --ndjson'
    return records_comparison("record_by_record", ["/bin/sh", "-c", pipe, BINARY, str(ndjson.W), str(ndjson.B), "records.ndjson"])


def records_comparison(name, ours=None):
    if not pathlib.Path("records.ndjson").exists():
        ndjson.write_records("records.ndjson", 1_000_000, False)
        ndjson.write_network("net.json")
    ours = ours or nnlayer(*ndjson.net_arguments("net.json", "records.ndjson"), threads=2)
    return Comparison(ours, [sys.executable, ndjson.__file__, "--peer", name, "records.ndjson"], 2, repeat=3)


# Arrays larger than memory.
@benchmark("rows", "peak memory of softmax, .npy to .npy, on 4 GB of rows with 1 GB of address space / on 1 GB of rows", 1.1)
def rows():
    def resident(rows):
        x = input_file(f"x{rows}.npy", f"from numpy.lib.format import open_memmap\na = open_memmap(name, 'w+', 'f8', ({rows}, 1000))\nfor n in range(0, {rows}, 25000): a[n:n + 25000] = rng.standard_normal((25000, 1000))")
        result = peak(["sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh", *nnlayer("softmax", "--x", x, "--forward", "--out", "ours.npy")])
        os.remove(x)
        return result
    return resident(500_000) / resident(125_000)


def peak(command):
    """Returns the peak resident memory of a command, in bytes."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# Peak resident memory, divided by 8 bytes for every number that is read. Results of the size of x are written to a file.
@benchmark("memory-npy", "peak memory / bytes of the arrays read, as doubles: softmax-xent, 100000×1000 from .npy, loss only", 1.6)
def memory_npy():
    x, t = matrix("logits.npy", 100000, 1000, 5.0), input_file("t.npy", "np.save(name, rng.integers(0, 1000, 100000))")
    return peak(nnlayer("softmax-xent", "--x", x, "--t", t, "--only", "loss")) / (8 * (100000 * 1000 + 100000))


@benchmark("memory-json", "the same: affine, 4096×1024 · 1024×10 from JSON, forward", 2.0, ("numpy", "orjson"))
def memory_json():
    x, w = matrix("x.json", 4096, 1024), matrix("w10.json", 1024, 10)
    return peak(nnlayer("affine", "--x", x, "--w", w, "--forward")) / (8 * (4096 * 1024 + 1024 * 10))


@benchmark("memory-npz", "the same: affine forward + backward, 4096×1024 · 1024×1024 from .npy, all results to .npz", 1.6)
def memory_npz():
    return affine_peak("npy", "npz")


@benchmark("memory-ones", "the same without dout", 1.6)
def memory_ones():
    x, w = matrix("x.npy", 4096, 1024), matrix("w.npy", 1024, 1024, 0.03)
    return peak(nnlayer("affine", "--x", x, "--w", w, "--out", "ours.npz", threads=2)) / (8 * (4096 * 1024 + 1024 * 1024))


@benchmark("memory-json-full", "the same: affine with all operands, from JSON to JSON", 2.0, ("numpy", "orjson"))
def memory_json_full():
    return affine_peak("json", "json")


def affine_peak(kind, out):
    return peak(affine(kind, 2, out).ours) / (8 * (2 * 4096 * 1024 + 1024 * 1024 + 1024))


@benchmark("memory-layer-npz", "the same: softmax forward + backward, 4096×1024 from .npy, all results to .npz", 1.6)
def memory_layer_npz():
    return layer_peak("npy", "npz")


@benchmark("memory-layer-json", "the same from JSON to JSON", 2.0, ("numpy", "orjson"))
def memory_layer_json():
    return layer_peak("json", "json")


def layer_peak(kind, out, *arguments):
    arguments = arguments or ["softmax"]
    return peak(nnlayer(*arguments, "--x", matrix(f"x.{kind}", 4096, 1024), "--out", f"ours.{out}", threads=2)) / (8 * 4096 * 1024)


@benchmark("memory-pipe", "the same: softmax forward, 4096×1024 in JSON through a pipe, to .npy", 2.0, ("numpy", "orjson"))
def memory_pipe():
    arguments = nnlayer("softmax", "--forward", "--out", "ours.npy", threads=2)
    return peak(["sh", "-c", f"cat {shlex.quote(matrix('x.json', 4096, 1024))} | {shlex.join(arguments)}"]) / (8 * 4096 * 1024)


@benchmark("memory-mean", "the same: softmax-xent with `--reduction mean`, 4096×1024 from .npy, all results to .npz", 1.6)
def memory_mean():
    x, t = matrix("x.npy", 4096, 1024), input_file("t4096.npy", "np.save(name, rng.integers(0, 1024, 4096))")
    arguments = ["--x", x, "--t", t, "--reduction", "mean", "--label-smoothing", 0.1, "--out", "ours.npz"]
    return peak(nnlayer("softmax-xent", *arguments, threads=2)) / (8 * (4096 * 1024 + 4096))


@benchmark("memory-expect", "the same: softmax forward, 4096×1024 from .npy, compared with an expected .npy (`--expect`)", 1.6)
def memory_expect():
    return expect_peak("npy")


@benchmark("memory-expect-json", "the same with an expected JSON", 2.0)
def memory_expect_json():
    return expect_peak("json")


def expect_peak(kind):
    arguments = ["--x", matrix("x.npy", 4096, 1024), "--forward"]
    subprocess.run(nnlayer("softmax", *arguments, "--out", f"ours.{kind}"), check=True)
    return peak(nnlayer("softmax", *arguments, "--expect", f"ours.{kind}")) / (2 * 8 * 4096 * 1024)


@benchmark("memory-exact", "the same: ReLU forward + backward in `--precision exact`, 4096×1024 from .npy, all results to .npz", 1.6)
def memory_exact():
    return layer_peak("npy", "npz", "relu", "--precision", "exact")


@benchmark("exact", "`--precision exact`, affine forward + backward, 512×512 · 512×512 / `--precision f64`", 8, ("numpy", "exact"))
def exact():
    arguments = ["affine", "--x", matrix("x512.npy", 512, 512), "--w", matrix("w512.npy", 512, 512), "--out", "ours.npz"]
    return Comparison(nnlayer(*arguments, "--precision", "exact"), nnlayer(*arguments), repeat=3)


# Measurement, and the page.


def missing_requirements(requirements):
    help_text = subprocess.run([BINARY, "affine", "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in requirements if importlib.util.find_spec(name) is None and not re.search(rf"\b{name}\b.*$", help_text, re.M)]


def measure_row(name, repeat):
    description, goal, _, measure = BENCHMARKS[name]
    result = measure()
    ours = theirs = "–"
    if isinstance(result, Comparison):
        ours, theirs = result.run(repeat)
        ratio, (ours, theirs) = ours / theirs, map(duration, (ours, theirs))
    elif isinstance(result, list):
        ratio, (ours, theirs) = result[0], (f"{fraction:.3g}" for fraction in result)
    else:
        ratio = result
    return f"| {name} | {description} | {ours} | {theirs} | **{ratio:.3g}** | {'' if goal is None else goal if isinstance(goal, str) else f'≤ {goal}'} |"


def duration(seconds):
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def describe_machine():
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text() + "\nmodel name: " + cpu).group(1)
    versions = [f"{name} {importlib.import_module(name).__version__}" for name in ("numpy", "scipy", "orjson", "jax", "torch") if importlib.util.find_spec(name)]
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()}; Python {platform.python_version()}, {', '.join(versions)}; {datetime.date.today()}"


BEGIN, END = "<!-- peers -->\n", "<!-- end of peers -->\n"


def write(measured, environment):
    """Replaces the measured rows of the page, and keeps the others, in the order of the registry."""
    before, rest = PAGE.read_text().split(BEGIN)
    table, after = rest.split(END)
    rows = dict(re.findall(r"^\| (\S+) (\|.*\|)$", table, re.M)) | {name: text.split(" ", 2)[2] for name, text in measured.items()}
    table = "\n".join(f"| {name} {rows[name]}" for name in BENCHMARKS if name in rows)
    head = f"Measured on: {environment}.\n\n| row | what | ours | peer | ratio | goal |\n|---|---|---|---|---|---|\n"
    PAGE.write_text(f"{before}{BEGIN}{head}{table}\n{END}{after}")


def main():
    global BINARY
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="ROW", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--repeat", type=int, default=5, help="number of alternating runs (default 5)")
    parser.add_argument("--nnlayer", default=ROOT / "target/release/nnlayer", help="binary to measure")
    parser.add_argument("--write", action="store_true", help="write the results to docs/performance.md")
    options = parser.parse_args()
    BINARY = str(pathlib.Path(options.nnlayer).resolve())
    measured = {}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        os.chdir(folder)
        for name in options.only or BENCHMARKS:
            if lacking := missing_requirements(BENCHMARKS[name][2]):
                print(f"{name}: skipped; not available: {', '.join(lacking)}", file=sys.stderr)
                continue
            measured[name] = measure_row(name, options.repeat)
            print(measured[name], flush=True)
        os.chdir(ROOT)
    if options.write:
        write(measured, describe_machine())


if __name__ == "__main__":
    main()
