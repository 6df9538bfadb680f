"""Commands for same_results.py: those of the fixtures and documents, as the tests run them, and commands on large files."""

import array
import itertools
import json
import math
import struct

from random_commands import ELEMENTWISE, LAYERS, GRAPH_EXTENSIONS, ROOT, Array, Case, Run, Shell, npy, npz

FIXTURES = ROOT / "fixtures"


# ---------------------------------------------------------------- fixtures and documents


def case_arguments(command, options):
    """Returns the command line of a fixture's case, with every operand as an option (tests/support/cases.rs)."""
    words = [command, "--json"]
    for name, value in options.items():
        if value is True:
            words.append("--" + name)
        else:
            words += ["--" + name, value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))]
    return words


def read_cases(name):
    return json.loads((FIXTURES / name / "cases.json").read_text("utf-8"))


def layer_fixtures():
    for layer in LAYERS:
        for case in read_cases(layer.replace("-", "_")):
            words = case_arguments(layer, case["options"])
            runs = [Run([words + ["--precision", precision]]) for precision in ("f64", "f32", "exact")]
            yield "fixtures/" + layer, runs + [Run([[word for word in words if word != "--json"]])], {}
    for case in read_cases("exact"):
        words = case_arguments(case["command"], case["options"])
        yield "fixtures/exact", [Run([words + ["--precision", precision]]) for precision in ("exact", "f64")], {}


def other_fixtures():
    for case in read_cases("json"):
        data = case["text"].encode("utf-8", "surrogatepass") if "text" in case else bytes.fromhex(case["bytes"])
        as_value = b'{"k":' + data + b',"x":[0,0]}'
        yield "fixtures/json", [
            Run([["softmax", "--x", "-", "--only", "y", "--json"]], data),
            Run([["softmax", "--only", "y", "--json"]], as_value),
            Run([["softmax", "--ndjson", "--only", "y"]], as_value),
        ], {}
    for case in read_cases("sum"):
        lines = [json.dumps(shard).encode() for shard in case["shards"]]
        rotations = [lines[shift:] + lines[:shift] for shift in range(min(3, len(lines)))]
        yield "fixtures/sum", [Run([["sum", "--json"]], b"\n".join(order)) for order in (*rotations, lines[::-1])], {}
    # The cases of double-double functions and exponentials have no command; elementwise layers are run on their arguments.
    for name in ("doubled", "exp"):
        values = [float(case["x"][0]) for case in read_cases(name) if isinstance(case["x"], list)]
        files = {"x.npy": npy(Array((len(values),), values))}
        combinations = itertools.product((*ELEMENTWISE, "softmax"), ("f64", "f32", "exact"))
        runs = [Run([[layer, "--x", "x.npy", "--json", "--precision", precision]]) for layer, precision in combinations]
        yield f"fixtures/{name}", runs, files
    for case in json.loads((FIXTURES / "graph" / "values.json").read_text("utf-8")):
        words = case["command"].split()
        yield "fixtures/graph", [Run([words + ["--level", "scalar", "--graph", "graph" + kind]]) for kind in GRAPH_EXTENSIONS], {}


# Commands of tests/graph.rs for fixtures/graph.
GRAPH_COMMANDS = [
    "nnlayer softmax --x 1,2,3 --dout 1,0,0",
    "nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1",
    "nnlayer xent --y 0.1,0.1,0.8 --t 0,0,1",
    "nnlayer affine --w fixtures/w.json --b 2 --x fixtures/x.json",
    "nnlayer affine --x '1;2' --w '3;' --b 4 --level scalar",
    "nnlayer affine --x 1,2 --w '1,-1;0,1' --b 1,-3 --tape | nnlayer relu | nnlayer softmax-xent --t 0 "
    "| nnlayer backward --level tensor",
]
DIGITS = "--x fixtures/digits/x.npy --w fixtures/digits/w.npy --b fixtures/digits/b.npy"
BATCH = "fixtures/train/begin.json --x fixtures/digits/x.npy --t fixtures/digits/t.npy"


def shell_fixtures():
    links = {name: ROOT / name for name in ("fixtures", "examples")}
    for command in GRAPH_COMMANDS:
        lines = [f"{command} --graph"] + [f"{command} --graph graph{kind}" for kind in GRAPH_EXTENSIONS]
        yield "fixtures/graph", [Shell(line) for line in lines], {}, links
    lines = []
    for option in ("", " --precision f32", " --precision exact"):
        logits = f"nnlayer affine {DIGITS} --only y --json{option}"
        loss = f"{logits} | nnlayer softmax-xent --t fixtures/digits/t.npy --json{option}"
        lines += [loss, f"{loss} --reduction mean", f"{loss} | nnlayer affine {DIGITS} --dout -#dx --json{option}"]
    lines += [f"nnlayer affine {DIGITS}", f"nnlayer affine {DIGITS.replace('x.npy', 'x.csv')} --out y.npz"]
    yield "fixtures/digits", [Shell(line) for line in lines], {}, links
    names = {"x": "x", "t": "t", "held-x": "held_x", "held-t": "held_t"}
    sample_options = " ".join(f"--{option} fixtures/train/digits.npz#{name}" for option, name in names.items())
    lines = [
        f"nnlayer train {BATCH} --batch 10 --lr 0.1 --json --out a.json",
        f"nnlayer train {BATCH} --batch 7 --lr 0.05 --seed 5 --shuffle --epochs 3 --out b.json",
        f"nnlayer train {BATCH} --batch 7 --lr 0.05 --seed 5 --shuffle --epochs 2 --out c.json",
        f"nnlayer train {BATCH} --batch 7 --lr 0.05 --seed 5 --shuffle --epochs 3 --resume --out c.json",
        f"nnlayer train {BATCH} --precision f32 --json --out d.json",
        f"nnlayer net {BATCH} --json",
        f"nnlayer net {BATCH} --tape | nnlayer step --lr 0.1",
        f"nnlayer net {BATCH} --json | nnlayer step fixtures/train/begin.json --gradients - --lr 0.1",
        "nnlayer net --init 64,32,10 --seed 1 --out net.json",
        f"nnlayer train net.json {sample_options} --epochs 3 --lr 0.1 --out e.json",
    ]
    yield "fixtures/train", [Shell(line) for line in lines], {}, links


def console_commands(path):
    """Returns the commands of a document's console blocks (tests/support/console.rs)."""
    commands, in_block = [], False
    lines = iter(path.read_text("utf-8").splitlines())
    for line in lines:
        if line.lstrip().startswith("```"):
            in_block = not in_block and line.strip() == "```console"
        elif in_block and line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines).removeprefix("> ")
            commands.append(command)
    return commands


def refusal_files():
    """Returns the files that the commands of tests/refusals.md read (tests/refusals.rs)."""
    chain = (
        b'{"nnlayer-tape":1,"layers":[\n {"kind":"affine","name":"fc1","params":{"w":[[1,2],[3,4]]},"inputs":{"x":[1,1]},'
        b'"outputs":{"y":[4,6]}},\n {"kind":"relu","name":"relu1","inputs":{"x":{"from":"fc1.y"}},"outputs":{"y":[4,6]}}]}\n'
    )
    first_point, second_point = '{"outputs":{"y":[1]},"gradients":{"dx":[1]}}', '{"outputs":{"y":[2]},"gradients":{"dx":[1]}}'

    def points(replies):
        return f"cat >/dev/null; echo '{{\"points\":[{','.join(replies)}]}}'\n".encode()

    def with_header(header, data):
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data

    def header(kind, shape):
        return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()

    archive = npz({"y": npy(Array((1,), [5.0])), "dw": npy(Array((2, 1), [1.0, 2.0]))})
    return {
        "folder/": b"", "folder.npy/": b"",
        "x.json": b"[[1, 2, 3],\n [4, 5, 6]]", "w.json": b"[[1, 2, 3],\n [4, 5, 6]]", "t.json": b"[0,\n 7]",
        "binary": b"\x7fELF\x02\x01\x01\x00", "prose": b"call me Ishmael", "empty.json": b"",
        "header.csv": b"height,width\n1,2\n", "semicolons.csv": b"1;2\n3;4\n", "ragged.csv": b"1,2\n3\n",
        "words.csv": b"1,2\n3,four\n", "cut.json": b"[[1, 2],\n [3", "deep.json": b"[" * 100_000,
        "twice.json": b'{"x": [1],\n "x": [2]}', "null.json": b"[[1, 2],\n [3, null]]", "string.json": b'[1, "2"]',
        "bool.json": b"[true, 1]", "ragged.json": b"[[1, 2],\n [3]]", "huge.json": b"[1, -1e400]",
        "net.json": b'{"layers": [{"w": [[1], [2]]}], "lr": 0.1}', "chain.json": chain,
        "old.json": chain.replace(b'"nnlayer-tape":1', b'"nnlayer-tape": 2'),
        "misfit.json": chain.replace(b"[[1,2],[3,4]]", b"[[1,2,3]]"),
        "edited.json": chain.replace(b"[[1,2],[3,4]]", b"[[1,2],[3,5]]"),
        "model.json": b'{"nnlayer-tape":1,"layers":[{"kind":"relu"}]}', "wide.csv": b"0" + b",0" * 2000,
        "magic.npy": b"[1, 2, 3]", "cut.npy": with_header(header("<f8", "(3,)"), bytes(20)),
        "object.npy": with_header(header("|O", "(1,)"), bytes(8)),
        "complex.npy": with_header(header("<c16", "(1,)"), bytes(16)),
        "terabytes.npy": with_header(header("<f8", "(1000000, 1000000)"), bytes(8)),
        "cube.npy": with_header(header("|u1", "(1, 2, 1)"), bytes(2)),
        "x.npy": with_header(header("|u1", "(2,)"), b"\x01\x02"),
        "unsteady.sh": points([first_point] * 5 + [second_point]), "forward.sh": points(['{"outputs":{"y":[1]}}'] * 6),
        "keyless.sh": b"cat >/dev/null; echo '{\"a\":1}'\n", "pointless.sh": b"cat >/dev/null; echo '{\"points\":[]}'\n",
        "word.sh": points(['{"outputs":{"y":["one"]}}'] * 6), "cut.safetensors": b'\xff\x00\x00\x00\x00\x00\x00\x00{"w":',
        "whole.npz": archive, "cut.npz": archive[: len(archive) // 2],
    }


def documents():
    links = {name: ROOT / name for name in ("fixtures", "examples")}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in sorted(page for page in pages if not page.name.endswith(".ja.md")):
        commands = console_commands(page)
        if commands:
            yield "documents", [Shell(command) for command in commands], {}, links
    files = refusal_files()
    for command in console_commands(ROOT / "tests" / "refusals.md"):
        yield "refusals", [Shell(command)], files, {}


def fixture_cases():
    cases = itertools.chain(layer_fixtures(), other_fixtures(), shell_fixtures(), documents())
    return [Case(f"fixture-{n}", *case) for n, case in enumerate(cases)]


# ---------------------------------------------------------------- large files


def large_cases(folder):
    """Returns commands on files that nnlayer processes in chunks; the files are created once in a folder."""

    def write(name, shape, scale=1.0, order="<", positive=False, classes=None):
        count = math.prod(shape)
        values = [float(n * 7919 % classes) for n in range(1009)] if classes else [
            scale * (0.1 * (n * 2_654_435_761 % 1009) - (0 if positive else 50)) for n in range(1009)]
        data = array.array("d", values) * (count // len(values) + 1)
        if order == ">":
            data.byteswap()
        header = npy(Array(shape, []), "f8", order)
        with open(folder / name, "wb") as file:
            file.write(header)
            data[:count].tofile(file)
        return folder / name

    def pseudo_random_terms(seed, count):
        """Returns the sequence of fixtures/exact/make.py."""
        state, mask, values = seed, (1 << 64) - 1, array.array("d")
        for _ in range(count):
            state = (state * 6364136223846793005 + 1442695040888963407) & mask
            values.append(float((state >> 11) - (1 << 52)) * 2.0 ** ((state >> 3) % 64 - 84))
        return values

    rows, columns = 66_000, 128
    links = {
        "x.npy": write("x.npy", (rows, columns)),
        "y.npy": write("y.npy", (rows, columns), scale=1e-3, positive=True),
        "t.npy": write("t.npy", (rows,), classes=columns),
        "w.npy": write("w.npy", (columns, 3)),
        "dout.npy": write("dout.npy", (rows, 3), order=">"),
        "wide.npy": write("wide.npy", (300, 30_000), order=">"),
    }
    for seed, name in ((1, "a.npy"), (2, "b.npy")):
        shape = (1_000_000,) if seed == 1 else (1_000_000, 1)
        with open(folder / name, "wb") as file:
            file.write(npy(Array(shape, [])))
            pseudo_random_terms(seed, 1_000_000).tofile(file)
        links[name] = folder / name
    commands = [
        "affine --x x.npy --w w.npy --b 1,2,3 --dout dout.npy --only y,dx,dw --out out.npz",
        "affine --x x.npy --w w.npy --precision f32 --out out.npz",
        "affine --x x.npy --w w.npy --b 0 --only dw,db",
        "affine --x x.npy --w w.npy --only y --precision exact --out out.npy --threads 2",
        "affine --x a.npy --w b.npy --only y --precision exact --json",
        "affine --x a.npy --w b.npy --only y --json",
        "softmax --x x.npy --only y --out out.npy",
        "softmax --x x.npy --log --forward --out out.npy --threads 1",
        "softmax --x wide.npy --out out.npz",
        "softmax --x wide.npy --axis 0 --only y --out out.npy",
        "softmax-xent --x x.npy --t t.npy --reduction none --out out.npz",
        "softmax-xent --x x.npy --t t.npy --reduction mean --ignore-index 5 --only loss,divisor,dx --out out.npz",
        "softmax-xent --x x.npy --t t.npy --only loss --json",
        "softmax-xent --x x.npy --t t.npy --only loss --json --precision f32",
        "xent --y y.npy --t t.npy --reduction mean --out out.npz",
        "relu --x x.npy --precision exact --out out.npz",
        "tanh --x x.npy --forward --out out.npy",
        "sigmoid --x x.npy --only dx --precision f32 --out out.npy",
        "relu --x x.npy --forward --out out.csv",
        "relu --x wide.npy",
    ]
    cases = [Case(f"large-{n}", "large", [Run([command.split()])], {}, links, 300) for n, command in enumerate(commands)]
    shell = [
        "nnlayer softmax --x - --only y --out out.npy < x.npy",
        "nnlayer relu --x x.npy --forward --json | nnlayer tanh --only y --out out.npy",
    ]
    cases += [Case(f"large-{len(cases) + n}", "large", [Shell(line)], {}, links, 300) for n, line in enumerate(shell)]
    return cases
