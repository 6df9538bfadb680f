#!/usr/bin/env python3
"""Draws processor time and memory of every command against the size of its input, and fails where they grow faster than it.

    python3 benches/growth.py [--nnlayer target/release/nnlayer] [--only NAME] [--write]

Each case runs at a size, at twice, four and eight times that size. The exponent is the slope of the logarithms of time above that
of an empty run, and of the memory that each doubling adds; above 1.15 the exit status is 1. Sizes that take too little to be measured do not
count. --write replaces the table of docs/performance.md. Needs only the standard library of Python 3.11.
"""

import argparse
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

LIMIT = 1.15
FACTORS = [1, 2, 4, 8]
# Less, above an empty run, is noise: seconds of processor time, and bytes.
LEAST_SECONDS, LEAST_BYTES = 0.02, 8 << 20
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "performance.md"

random.seed(1)


def number():
    return round(random.uniform(-1, 1), 4)


def matrix(rows, columns):
    return [[number() for _ in range(columns)] for _ in range(rows)]


def save(name, value):
    text = value if isinstance(value, str) else json.dumps(value)
    pathlib.Path(name).write_text(text, encoding="utf-8")
    return name


def csv(name, rows, columns):
    return save(name, "".join(",".join(map(str, row)) + "\n" for row in matrix(rows, columns)))


def classes(name, count):
    return save(name, [n % 10 for n in range(count)])


def network(count, kind="relu"):
    return save("net.json", {"nnlayer-tape": 1, "layers": [{"kind": kind} for _ in range(count)]})


def records(count, keys):
    return save("records.ndjson", "".join(json.dumps({key: [number() for _ in range(10)] for key in keys} | {"t": 1}) + "\n" for _ in range(count)))


def keys(count):
    return save("keys.json", {"loss": 1.0} | {f"l{n}.dw": [number()] for n in range(count)})


def tape(nnlayer, layers):
    ran = subprocess.run([nnlayer, "net", network(layers), "--x", "1,2", "--tape"], stdout=subprocess.PIPE, check=True)
    pathlib.Path("tape.json").write_bytes(ran.stdout)
    return "tape.json"


def cases(nnlayer):
    """Returns the cases by name: the size, and a function from a size to the arguments of nnlayer."""
    rows = {
        name: (4000, lambda n, words=words: [*words, "--x", csv("x.csv", n, 50), "--json"])
        for name, words in {
            "softmax": ["softmax"], "log-softmax": ["softmax", "--log"], "relu": ["relu"], "sigmoid": ["sigmoid"], "tanh": ["tanh"],
            "affine": ["affine", "--w", save("w.json", matrix(50, 50))],
        }.items()
    }
    return rows | {
        "softmax-xent": (2000, lambda n: ["softmax-xent", "--x", csv("x.csv", n, 50), "--t", classes("t.json", n), "--json"]),
        "xent": (8000, lambda n: ["xent", "--y", save("y.json", [[0.1] * 10] * n), "--t", classes("t.json", n), "--json"]),
        "exact": (400, lambda n: ["softmax", "--x", csv("x.csv", n, 50), "--precision", "exact", "--json"]),
        "text": (4000, lambda n: ["relu", "--x", csv("x.csv", n, 50)]),
        "one long row": (100000, lambda n: ["softmax", "--x", csv("x.csv", 1, n), "--json"]),
        "check": (400, lambda n: ["tanh", "--x", csv("x.csv", n, 20), "--check"]),
        "steps": (2000, lambda n: ["tanh", "--x", csv("x.csv", n, 4), "--steps"]),
        "steps with answers": (2000, lambda n: ["tanh", "--x", csv("x.csv", n, 4), "--steps", "--expect", save("e.json", {"y": [[3] * 4] * n, "dx": [[3] * 4] * n})]),
        "expect": (4000, lambda n: ["tanh", "--x", csv("x.csv", n, 20), "--expect", save("e.json", {"y": [[3] * 20] * n})]),
        "graph": (8000, lambda n: ["tanh", "--x", csv("x.csv", n, 20), "--graph", "graph.svg"]),
        "compare, entries": (2000, lambda n: ["compare", csv("a.csv", n, 50), csv("b.csv", n, 50)]),
        "compare, keys": (60000, lambda n: ["compare", keys(n), "keys.json"]),
        "sum, keys": (20000, lambda n: ["sum", keys(n), "keys.json", "--json"]),
        "sum, shards": (20000, lambda n: ["sum", save("shards.ndjson", (json.dumps({"loss": 1, "dw": [1, 2, 3]}) + "\n") * n)]),
        "ndjson": (20000, lambda n: ["softmax-xent", "--ndjson", records(n, "x")]),
        "net, layers": (5000, lambda n: ["net", network(n), "--x", "1,2", "--json"]),
        "net --init": (5000, lambda n: ["net", "--init", ",".join(["2"] * n), "--out", "init.json"]),
        "net --ndjson, layers": (5000, lambda n: ["net", network(n), "--ndjson", save("one.ndjson", '{"x":[1,2]}\n')]),
        "net --forward --only": (50, lambda n: ["net", network(n), "--x", csv("x.csv", 400, 100), "--forward", "--only", "relu1.y", "--json"]),
        "backward, layers": (5000, lambda n: ["backward", tape(nnlayer, n)]),
        "backward --graph": (4000, lambda n: ["backward", tape(nnlayer, n), "--graph", "graph.svg"]),
        "backward --check": (4000, lambda n: ["backward", tape(nnlayer, n), "--check"]),
        "backward --steps": (4000, lambda n: ["backward", tape(nnlayer, n), "--steps"]),
    }


def in_child(function):
    """Returns the result of a function that runs in another process: its memory would count as that of the programs run later."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            json.dump(function(), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as result:
        found = json.load(result)
    os.waitpid(child, 0)
    return found


def measure(command):
    """Returns the processor time in seconds and the largest memory in bytes, the least of five runs each."""
    found = []
    for _ in range(5):
        with open("stdout", "wb") as out:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        _, status, used = os.wait4(child.pid, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
            sys.exit(f"{command}: {child.stderr.read().decode()}")
        found.append((used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))
    return min(found)[0], min(memory for _, memory in found)


def exponent(values, least):
    """Returns the slope of log(value) against log(size) where values are large enough to measure; None with fewer than two."""
    points = [(math.log(factor), math.log(value)) for factor, value in zip(FACTORS, values, strict=True) if value > least]
    if len(points) < 2:
        return None
    mean = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    spread = sum((x - mean[0]) ** 2 for x, _ in points)
    return sum((x - mean[0]) * (y - mean[1]) for x, y in points) / spread


def run(nnlayer, only):
    empty, _ = measure([nnlayer, "relu", "--x", "1"])
    lines, failed = [], []
    for name, (size, arguments) in cases(nnlayer).items():
        if only and name not in only:
            continue
        for _ in range(2):
            measured = [measure([nnlayer, *in_child(lambda: arguments(size * factor))]) for factor in FACTORS]
            seconds, memory = zip(*measured, strict=True)
            # What is added by each doubling has no constant part, such as the pages that any run touches.
            added = [0, *(b - a for a, b in zip(memory, memory[1:]))]
            slopes = [exponent([value - empty for value in seconds], LEAST_SECONDS), exponent(added, LEAST_BYTES)]
            # Other programs on the machine change the times: what is too large is measured again.
            if all(slope is None or slope <= LIMIT for slope in slopes):
                break
        shown = ["—" if slope is None else f"{slope:.2f}" for slope in slopes]
        seconds, memory = measured[-1]
        lines.append(f"| {name} | {size * FACTORS[-1]:,} | {seconds:.2f} s | {shown[0]} | {memory / 2**20:.0f} MB | {shown[1]} |")
        print(lines[-1], flush=True)
        if any(slope is not None and slope > LIMIT for slope in slopes):
            failed.append(name)
    return lines, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnlayer", default="target/release/nnlayer")
    parser.add_argument("--only", metavar="CASE", action="append", help="name of a case; may be repeated")
    parser.add_argument("--write", action="store_true", help="replace the table of docs/performance.md")
    options = parser.parse_args()
    nnlayer = str(pathlib.Path(options.nnlayer).resolve())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lines, failed = run(nnlayer, options.only)
    if options.write:
        begin, end = "<!-- growth -->\n", "<!-- /growth -->\n"
        before, rest = PAGE.read_text(encoding="utf-8").split(begin)
        head = "| command | size | processor time | exponent | memory | exponent |\n|---|---:|---:|---:|---:|---:|\n"
        PAGE.write_text(before + begin + head + "\n".join(lines) + "\n" + end + rest.split(end)[1], encoding="utf-8")
    for name in failed:
        print(f"{name} grows faster than its input", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
