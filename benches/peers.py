#!/usr/bin/env python3
"""nnlayer beside the programs that people use today: whole jobs, alternated in one run, medians and ratios.

    cargo build --release && python3 benches/peers.py                 # every row; a minute or two
    python3 benches/peers.py --only start --only parse --repeat 9     # some rows
    python3 benches/peers.py --write                                  # and write them to docs/performance.md

Needs numpy, scipy and orjson (`pip install numpy scipy orjson`); a row whose peer is not installed is left out. A row is a function
with @row that returns a Race, a number that is the ratio itself, or two shares of a peak, ours and the peer's. The files that
a row reads are made once, in a folder that is removed at the end.
"""
import argparse, datetime, importlib.util, json, os, pathlib, platform, re, shlex, statistics, subprocess, sys, tempfile, time
import ndjson

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
ROWS = {}


def row(name, what, goal, needs=("numpy",)):
    """Registers a row; `needs` are the modules and the words of nnlayer's help without which it is left out."""
    def register(make):
        ROWS[name] = (what, goal, needs, make)
        return make
    return register


class Race:
    """Ours and the peer's: commands that are timed, or, `reported`, that print their own seconds, one number a line. What is
    short runs `in_a_row`, as in a shell's loop: right after the other program it would be timed with caches full of that one's."""

    def __init__(self, ours, peer, threads=None, reported=False, repeat=None, in_a_row=1):
        self.ours, self.peer, self.threads, self.reported, self.repeat = ours, peer, threads, reported, repeat
        self.in_a_row = in_a_row

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        if self.threads:
            kept |= {name: str(self.threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        return kept

    def seconds(self, command):
        for name in os.listdir():
            if name.startswith(("ours.", "peer.")):
                os.remove(name)
        if self.reported:
            return statistics.median(self.printed(command))
        # As little as can be between the clock and the program.
        environment = self.environment()
        with open(os.devnull, "wb") as nowhere:
            begin = time.perf_counter()
            child = os.posix_spawn(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)])
            status = os.waitpid(child, 0)[1]
            taken = time.perf_counter() - begin
        assert status == 0, command
        return taken

    def printed(self, command):
        """The numbers that a command prints."""
        ran = subprocess.run(command, env=self.environment(), stdout=subprocess.PIPE, check=True)
        return [float(word) for word in ran.stdout.split()]

    def run(self, repeat):
        """The medians of both, after one run each that counts for nothing."""
        repeat = self.repeat or repeat
        side = lambda command: statistics.median(self.seconds(command) for _ in range(self.in_a_row))
        taken = [(side(self.ours), side(self.peer)) for _ in range(repeat + 1)][1:]
        return [statistics.median(side) for side in zip(*taken)]


def peer(script):
    return [sys.executable, "-c", script]


def fixture(name, script):
    """A file in the working folder, made by NumPy in a process of its own, so that this one stays small."""
    if not pathlib.Path(name).exists():
        subprocess.run(peer(f"import numpy as np, orjson\nrng = np.random.default_rng(7)\nname = {name!r}\n{script}"), check=True)
    return name


def matrix(name, rows, columns, scale=1.0):
    """Normal random numbers, as .npy or as .json."""
    make = f"a = rng.standard_normal(({rows}, {columns})) * {scale}\n"
    save = "np.save(name, a)" if name.endswith(".npy") else "open(name, 'wb').write(orjson.dumps(a, option=orjson.OPT_SERIALIZE_NUMPY))"
    return fixture(name, make + save)


def nnlayer(command, *words, threads=None):
    return [BINARY, command, *map(str, words), *(["--threads", str(threads)] if threads else [])]


def bench(name, *words):
    """A program of benches/*.rs, built as `cargo bench` builds it."""
    built = subprocess.run(["cargo", "bench", "--bench", name, "--no-run", "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found = [m["executable"] for m in map(json.loads, built.stdout.splitlines()) if m.get("executable") and m["target"]["name"] == name]
    return [found[-1], *map(str, words)]


# The rows.

AFFINE = """import numpy as np, orjson
{load}
x, w, b, dout = (load(name) for name in {files!r})
y = x @ w + b
dx, dw, db = dout @ w.T, x.T @ dout, dout.sum(axis=0)
{save}"""


def affine(kind, threads, out):
    """4096×1024 · 1024×1024, forward and backward with a given dout."""
    x, w, b, dout = files = [
        matrix(f"x.{kind}", 4096, 1024), matrix(f"w.{kind}", 1024, 1024, 0.03),
        fixture(f"b.{kind}", "a = rng.standard_normal(1024)\n" + ("np.save(name, a)" if kind == "npy" else "open(name, 'wb').write(orjson.dumps(a.tolist()))")),
        matrix(f"dout.{kind}", 4096, 1024)]
    if kind == "json":
        load = "load = lambda name: np.array(orjson.loads(open(name, 'rb').read()))"
        save = f"open('peer.{out}', 'wb').write(orjson.dumps(dict(y=y, dx=dx, dw=dw, db=db), option=orjson.OPT_SERIALIZE_NUMPY))"
    else:
        load, save = "load = np.load", f"np.savez('peer.{out}', y=y, dx=dx, dw=dw, db=db)"
    ours = nnlayer("affine", "--x", x, "--w", w, "--b", b, "--dout", dout, "--out", f"ours.{out}", threads=threads)
    return Race(ours, peer(AFFINE.format(load=load, save=save, files=files)), threads)


@row("start", "a tiny affine job, `nnlayer affine --x 1,2 --w '1;2'`, 15 runs in a row / the same job after `import numpy`", 0.015)
def start():
    return Race(nnlayer("affine", "--x", "1,2", "--w", "1;2"), peer("import numpy as np\nprint(np.array([1., 2.]) @ np.array([[1.], [2.]]))"), in_a_row=15)


@row("json-2", "affine forward + backward, 4096×1024 · 1024×1024, JSON in and out, 2 threads / numpy + orjson", 0.28, ("numpy", "orjson"))
def json_two():
    return affine("json", 2, "json")


@row("json-1", "the same on 1 thread", 0.45, ("numpy", "orjson"))
def json_one():
    return affine("json", 1, "json")


@row("npy", "the same from .npy to .npz, 2 threads / numpy with its OpenBLAS", 0.80)
def npy():
    return affine("npy", 2, "npz")


SOFTMAX = """import numpy as np
x = np.load('logits.npy')
{softmax}
np.save('peer.npy', y)"""


@row("softmax", "softmax of 100000×1000, .npy to .npy, 2 threads / numpy", None)
def softmax():
    formula = "e = np.exp(x - x.max(axis=1, keepdims=True)); y = e / e.sum(axis=1, keepdims=True)"
    return softmax_race(formula)


@row("softmax-scipy", "the same / scipy.special.softmax", None, ("numpy", "scipy"))
def softmax_scipy():
    return softmax_race("from scipy.special import softmax; y = softmax(x, axis=1)")


@row("softmax-torch", "the same / torch.softmax", None, ("numpy", "torch"))
def softmax_torch():
    return softmax_race("import torch; y = torch.softmax(torch.from_numpy(x), 1).numpy()")


def softmax_race(formula):
    x = matrix("logits.npy", 100000, 1000, 5.0)
    return Race(nnlayer("softmax", "--x", x, "--forward", "--out", "ours.npy", threads=2), peer(SOFTMAX.format(softmax=formula)), 2, repeat=3)


IN_MEMORY = """import numpy as np, time
rng = np.random.default_rng(7)
{make}
for _ in range(7):
    begin = time.perf_counter(); made = {work}; print(time.perf_counter() - begin); del made"""


def softmax_in_memory(formula):
    peers = IN_MEMORY.format(make="x = rng.standard_normal((100000, 1000)) * 5\n" + formula, work="softmax(x)")
    return Race(bench("rows", "race", "softmax", 2), peer(peers), 2, reported=True, repeat=1)


@row("in-memory-softmax", "softmax of 100000×1000 in memory, 2 threads / numpy", 0.30)
def in_memory_softmax():
    return softmax_in_memory("def softmax(x):\n    e = np.exp(x - x.max(axis=1, keepdims=True))\n    return e / e.sum(axis=1, keepdims=True)")


@row("in-memory-scipy", "the same / scipy.special.softmax", 0.20, ("numpy", "scipy"))
def in_memory_scipy():
    return softmax_in_memory("import scipy.special\nsoftmax = lambda x: scipy.special.softmax(x, axis=1)")


@row("in-memory-torch", "the same / torch.softmax", 0.75, ("numpy", "torch"))
def in_memory_torch():
    return softmax_in_memory("import torch\nx = torch.from_numpy(x)\nsoftmax = lambda x: torch.softmax(x, 1)")


@row("in-memory-copy", "the same / a copy of x by numpy", 2.0)
def in_memory_copy():
    return softmax_in_memory("softmax = np.copy")


# Layers beside softmax: what is computed, and the peers' words for it; y is the layer's result, d the gradient by it, t a class
# for each row r.
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
    for name, (what, make, peers) in LAYERS.items():
        for peer_name, work in peers.items():
            def race(name=name, make=make, work=work, torch=peer_name == "torch"):
                made = f"x, d = rng.random((100000, 1000)) * 20 - 10, rng.random((100000, 1000))\nr = np.arange(100000); t = r * 7 % 1000\n{make}"
                if torch:
                    made += "\nimport torch\nA = torch.ops.aten\nx, y, d, r, t = map(torch.from_numpy, (x, y, d, r, t))"
                return Race(bench("rows", "race", name, 2), peer(IN_MEMORY.format(make=made, work=work)), 2, reported=True, repeat=1)
            row(f"in-memory-{name}-{peer_name}", f"{what} of 100000×1000 in memory, 2 threads / {peer_name}", None, ("numpy", peer_name))(race)


layers()


def skinny(name, rows, inputs, outputs, again):
    make = f"x, w, dout = (rng.standard_normal(s) for s in (({rows}, {inputs}), ({inputs}, {outputs}), ({rows}, {outputs})))"
    work = f"[(x @ w, dout @ w.T, x.T @ dout) for _ in range({again})]"
    return Race(bench("kernels", "race", name, 2), peer(IN_MEMORY.format(make=make, work=work)), 2, reported=True, repeat=3)


@row("skinny-row", "x·W, dout·Wᵀ and xᵀ·dout of 1×784 · 784×10 in memory, 2 threads / numpy", 1.0)
def skinny_row():
    return skinny("row", 1, 784, 10, 1000)


@row("skinny-batch", "the same of 64×784 · 784×256", 1.0)
def skinny_batch():
    return skinny("batch", 64, 784, 256, 10)


@row("skinny-narrow", "the same of 100000×64 · 64×10", 1.0)
def skinny_narrow():
    return skinny("narrow", 100000, 64, 10, 1)


GEMM = """import numpy as np, statistics, time
size = {size}
a, b = np.random.default_rng(7).standard_normal((2, size, size))
for a, b in ((a, b), (a, b.T), (a.T, b)):
    taken = []
    for _ in range({runs}):
        begin = time.perf_counter(); made = a @ b; taken.append(time.perf_counter() - begin); del made
    print(2e-9 * size ** 3 / statistics.median(taken))"""


def gemm(threads, peak):
    """The smallest shares of a peak, ours and OpenBLAS's, over sizes and the forms a·b, a·bᵀ and aᵀ·b."""
    shares = []
    for size in (1024, 2048, 4096):
        ours, theirs = bench("kernels", "peak", threads, size), peer(GEMM.format(size=size, runs=3 if size > 2000 else 9))
        printed = [Race(ours, theirs, threads).printed(command) for command in (ours, theirs)]
        peaks = printed[0][1::3] if peak == "FMA" else printed[0][2::3]
        shares += [(flop / peak, numpy / peak) for flop, peak, numpy in zip(printed[0][::3], peaks, printed[1])]
    return [min(side) for side in zip(*shares)]


def products():
    what = "GEMM of f64 at 1024, 2048 and 4096, a·b, a·bᵀ and aᵀ·b, 1 thread: smallest fraction of the FMA peak / numpy's OpenBLAS"
    for threads, what in ((1, what), (2, "the same on 2 threads")):
        row(f"gemm-{threads}", what, "≥ 0.85")(lambda threads=threads: gemm(threads, "FMA"))
        row(f"gemm-{threads}-loading", "the same, relative to the peak with loads", None)(lambda threads=threads: gemm(threads, "loading"))


products()


PARSE = """import orjson, time
data = open('x.json', 'rb').read()
for _ in range(5):
    begin = time.perf_counter(); value = orjson.loads(data); print(time.perf_counter() - begin); del value"""


@row("parse-1", "JSON of 4096×1024 doubles of 17 digits to a flat buffer, in memory, 1 thread / orjson.loads", 0.45, ("numpy", "orjson"))
def parse_one():
    return parse_race(1)


@row("parse-2", "the same on 2 threads", 0.28, ("numpy", "orjson"))
def parse_two():
    return parse_race(2)


def parse_race(threads):
    return Race(bench("parse", os.path.abspath(matrix("x.json", 4096, 1024)), threads, 5), peer(PARSE), reported=True, repeat=3)


# Records, one a line: loss and gradient at the scores of a million digits.
@row("ndjson-row", "1000000 records of NDJSON through a 64→10 affine and softmax-xent, `net --ndjson`, 2 threads / orjson + numpy record by record", 0.1, ("numpy", "orjson"))
def ndjson_row():
    return records_race("by_row")


@row("ndjson-batch", "the same / orjson + numpy in batches of 1024", 0.5, ("numpy", "orjson"))
def ndjson_batch():
    return records_race("in_batches")


@row("ndjson-piped", "the same as `affine … | softmax-xent` in a pipe / orjson + numpy record by record", None, ("numpy", "orjson"))
def ndjson_piped():
    pipe = '"$0" affine --w "$1" --b "$2" --forward --ndjson "$3" | "$0" softmax-xent --only loss,dx --ndjson'
    return records_race("by_row", ["/bin/sh", "-c", pipe, BINARY, str(ndjson.W), str(ndjson.B), "records.ndjson"])


def records_race(name, ours=None):
    if not pathlib.Path("records.ndjson").exists():
        ndjson.write("records.ndjson", 1_000_000, False)
        ndjson.network("net.json")
    ours = ours or nnlayer(*ndjson.through("net.json", "records.ndjson"), threads=2)
    return Race(ours, [sys.executable, ndjson.__file__, "--peer", name, "records.ndjson"], 2, repeat=3)


# More rows than memory.
@row("rows", "peak memory of softmax, .npy to .npy, on 4 GB of rows with 1 GB of address space / on 1 GB of rows", 1.1)
def rows():
    def resident(rows):
        x = fixture(f"x{rows}.npy", f"from numpy.lib.format import open_memmap\na = open_memmap(name, 'w+', 'f8', ({rows}, 1000))\nfor n in range(0, {rows}, 25000): a[n:n + 25000] = rng.standard_normal((25000, 1000))")
        found = peak(["sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh", *nnlayer("softmax", "--x", x, "--forward", "--out", "ours.npy")])
        os.remove(x)
        return found
    return resident(500_000) / resident(125_000)


def peak(command):
    """The most memory, in bytes, that a command had resident."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# Of memory, the most that is resident at a time over 8 bytes for every number that is read; results of the size of x
# are written to a file.
@row("memory-npy", "peak memory / bytes of the arrays read, as doubles: softmax-xent, 100000×1000 from .npy, loss only", 1.6)
def memory_npy():
    x, t = matrix("logits.npy", 100000, 1000, 5.0), fixture("t.npy", "np.save(name, rng.integers(0, 1000, 100000))")
    return peak(nnlayer("softmax-xent", "--x", x, "--t", t, "--only", "loss")) / (8 * (100000 * 1000 + 100000))


@row("memory-json", "the same: affine, 4096×1024 · 1024×10 from JSON, forward", 2.0, ("numpy", "orjson"))
def memory_json():
    x, w = matrix("x.json", 4096, 1024), matrix("w10.json", 1024, 10)
    return peak(nnlayer("affine", "--x", x, "--w", w, "--forward")) / (8 * (4096 * 1024 + 1024 * 10))


@row("memory-npz", "the same: affine forward + backward, 4096×1024 · 1024×1024 from .npy, all results to .npz", 1.6)
def memory_npz():
    return affine_peak("npy", "npz")


@row("memory-ones", "the same without dout", 1.6)
def memory_ones():
    x, w = matrix("x.npy", 4096, 1024), matrix("w.npy", 1024, 1024, 0.03)
    return peak(nnlayer("affine", "--x", x, "--w", w, "--out", "ours.npz", threads=2)) / (8 * (4096 * 1024 + 1024 * 1024))


@row("memory-json-full", "the same: affine with all operands, from JSON to JSON", 2.0, ("numpy", "orjson"))
def memory_json_full():
    return affine_peak("json", "json")


def affine_peak(kind, out):
    return peak(affine(kind, 2, out).ours) / (8 * (2 * 4096 * 1024 + 1024 * 1024 + 1024))


@row("memory-layer-npz", "the same: softmax forward + backward, 4096×1024 from .npy, all results to .npz", 1.6)
def memory_layer_npz():
    return layer_peak("npy", "npz")


@row("memory-layer-json", "the same from JSON to JSON", 2.0, ("numpy", "orjson"))
def memory_layer_json():
    return layer_peak("json", "json")


def layer_peak(kind, out, *words):
    words = words or ["softmax"]
    return peak(nnlayer(*words, "--x", matrix(f"x.{kind}", 4096, 1024), "--out", f"ours.{out}", threads=2)) / (8 * 4096 * 1024)


@row("memory-pipe", "the same: softmax forward, 4096×1024 in JSON through a pipe, to .npy", 2.0, ("numpy", "orjson"))
def memory_pipe():
    words = nnlayer("softmax", "--forward", "--out", "ours.npy", threads=2)
    return peak(["sh", "-c", f"cat {shlex.quote(matrix('x.json', 4096, 1024))} | {shlex.join(words)}"]) / (8 * 4096 * 1024)


@row("memory-mean", "the same: softmax-xent with `--reduction mean`, 4096×1024 from .npy, all results to .npz", 1.6)
def memory_mean():
    x, t = matrix("x.npy", 4096, 1024), fixture("t4096.npy", "np.save(name, rng.integers(0, 1024, 4096))")
    words = ["--x", x, "--t", t, "--reduction", "mean", "--label-smoothing", 0.1, "--out", "ours.npz"]
    return peak(nnlayer("softmax-xent", *words, threads=2)) / (8 * (4096 * 1024 + 4096))


@row("memory-expect", "the same: softmax forward, 4096×1024 from .npy, compared with an expected .npy (`--expect`)", 1.6)
def memory_expect():
    return expect_peak("npy")


@row("memory-expect-json", "the same with an expected JSON", 2.0)
def memory_expect_json():
    return expect_peak("json")


def expect_peak(kind):
    words = ["--x", matrix("x.npy", 4096, 1024), "--forward"]
    subprocess.run(nnlayer("softmax", *words, "--out", f"ours.{kind}"), check=True)
    return peak(nnlayer("softmax", *words, "--expect", f"ours.{kind}")) / (2 * 8 * 4096 * 1024)


@row("memory-exact", "the same: ReLU forward + backward in `--precision exact`, 4096×1024 from .npy, all results to .npz", 1.6)
def memory_exact():
    return layer_peak("npy", "npz", "relu", "--precision", "exact")


@row("exact", "`--precision exact`, affine forward + backward, 512×512 · 512×512 / `--precision f64`", 8, ("numpy", "exact"))
def exact():
    words = ["affine", "--x", matrix("x512.npy", 512, 512), "--w", matrix("w512.npy", 512, 512), "--out", "ours.npz"]
    return Race(nnlayer(*words, "--precision", "exact"), nnlayer(*words), repeat=3)


# Running them, and the page.


def missing(needs):
    shown = subprocess.run([BINARY, "affine", "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [need for need in needs if importlib.util.find_spec(need) is None and not re.search(rf"\b{need}\b.*$", shown, re.M)]


def line(name, repeat):
    what, goal, _, make = ROWS[name]
    found = make()
    ours = theirs = "–"
    if isinstance(found, Race):
        ours, theirs = found.run(repeat)
        ratio, (ours, theirs) = ours / theirs, map(duration, (ours, theirs))
    elif isinstance(found, list):
        ratio, (ours, theirs) = found[0], (f"{share:.3g}" for share in found)
    else:
        ratio = found
    return f"| {name} | {what} | {ours} | {theirs} | **{ratio:.3g}** | {'' if goal is None else goal if isinstance(goal, str) else f'≤ {goal}'} |"


def duration(seconds):
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def machine():
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text() + "\nmodel name: " + cpu).group(1)
    versions = [f"{name} {importlib.import_module(name).__version__}" for name in ("numpy", "scipy", "orjson", "torch") if importlib.util.find_spec(name)]
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()}; Python {platform.python_version()}, {', '.join(versions)}; {datetime.date.today()}"


HEAD = """# Performance compared with NumPy, SciPy, orjson and PyTorch

nnlayer and its peers run whole jobs (start, read, compute, write), alternating in one run. The table has the medians of both and
their ratio, nnlayer / peer: below 1, nnlayer is faster. `python3 benches/peers.py --write` repeats the measurement and writes this
page; `--only ROW` measures one row.

- **memory-… rows**: the peak resident memory of the whole process, divided by 8 bytes for each number that it reads.
- **gemm rows**: the fraction of the processor's peak of fused multiply-adds (FMA) that was reached, measured in the same run; the
  smallest one over matrix sizes and transpositions. The ratio is nnlayer's fraction; higher is better. Some processors lower their
  clock if they load and multiply at the same time. The peak with loads (`cargo bench -- gemm` prints it) loads as many numbers from
  the L1 cache as the GEMM microkernel does, so no GEMM can exceed it. On a virtual Intel Xeon of this kind (Granite Rapids, 2
  cores), gemm-1 and gemm-2 reached 0.69 of the FMA peak and 0.78 and 0.76 of the peak with loads; numpy's OpenBLAS reached 0.68
  and 0.66 of the FMA peak.
- **shards** (not in the table): a million rows of handwritten digits through a network, `examples/parallel/run.sh` and
  `examples/spark/run.sh`, on two cores with other load. 59 shards took 8.6 s with GNU parallel, 16 shards took 24.5 s with Spark 4.3,
  and a single run took 13 to 19 s. The sums of the shards had the same bits in three orders. They differed from the single run by at
  most 1.4·10⁻¹⁷; the error bound of a sum of a million terms up to 1 is 1.1·10⁻¹⁰.
"""


def write(lines, environment):
    """Puts measured rows in the place of those of the same name, in the order of the registry."""
    known = dict(re.findall(r"^\| (\S+) (\|.*\|)$", PAGE.read_text(), re.M)) if PAGE.exists() else {}
    known |= {name: text.split(" ", 2)[2] for name, text in lines.items()}
    table = "\n".join(f"| {name} {known[name]}" for name in ROWS if name in known)
    PAGE.write_text(f"{HEAD}\nMeasured on: {environment}.\n\n| row | what | ours | peer | ratio | goal |\n|---|---|---|---|---|---|\n{table}\n")


def main():
    global BINARY
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=f"one of {', '.join(ROWS)}")
    words.add_argument("--repeat", type=int, default=5, help="alternations of ours and the peer (5)")
    words.add_argument("--nnlayer", default=ROOT / "target/release/nnlayer", help="the binary that is measured")
    words.add_argument("--write", action="store_true", help="write what was measured to docs/performance.md")
    given = words.parse_args()
    BINARY = str(pathlib.Path(given.nnlayer).resolve())
    lines = {}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        os.chdir(folder)
        for name in given.only or ROWS:
            if lacking := missing(ROWS[name][2]):
                print(f"{name}: left out, without {', '.join(lacking)}", file=sys.stderr)
                continue
            lines[name] = line(name, given.repeat)
            print(lines[name], flush=True)
        os.chdir(ROOT)
    if given.write:
        write(lines, machine())


if __name__ == "__main__":
    main()
