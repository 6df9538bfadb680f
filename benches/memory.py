#!/usr/bin/env python3
"""Measures how many times its size a file may cost in memory, by kind of file, with the content that costs most.

    python3 benches/memory.py [--nnlayer target/release/nnlayer] [--write]

The cost is the largest resident memory of the run less that of an empty one, divided by the size of the file: reading, computing
and writing together. The exit status is 1 if one is above its limit. --write replaces the table of SECURITY.md. Needs only the
standard library.
"""

import argparse
import gzip
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

PAGE = pathlib.Path(__file__).parents[1] / "SECURITY.md"
BYTES = 8 << 20
# Limit of a text, of a network, of a binary file, and of a compressed one: deflate expands a byte to at most 1032.
TEXT, NETWORK, BINARY, COMPRESSED = 100, 200, 20, 20 * 1032


def repeated(begin, part, end):
    """Returns a text of BYTES bytes; `part` is a text, or makes one of a number."""
    if isinstance(part, str):
        return (begin + part * (BYTES // len(part)) + end).encode()
    return (begin + "".join(part(n) for n in range(BYTES // len(part(1_000_000)))) + end).encode()


def npy(descr, shape, data):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def npz(data, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, compresslevel=9) as archive:
        archive.writestr("x.npy", data)
    return out.getvalue()


def members(count):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in range(count):
            archive.writestr(f"l{n}.dw.npy", npy("|u1", "(1,)", b"\1"))
    return out.getvalue()


def safetensors(entries, data):
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def tensors(count):
    entries = {f"l{n}.dw": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(count)}
    return safetensors(entries, b"\1" * count)


def tensor():
    return safetensors({"x": {"dtype": "U8", "shape": [BYTES], "data_offsets": [0, BYTES]}}, b"\1" * BYTES)


FORWARD = ["relu", "--forward", "--out", "y.npy", "--x"]
CASES = [
    ("JSON", "one row of digits", TEXT, "x.json", FORWARD, lambda: repeated("[1", ",1", "]")),
    ("JSON", "rows of one digit", TEXT, "x.json", FORWARD, lambda: repeated("[[1]", ",[1]", "]")),
    ("JSON", "keys of an object", TEXT, "x.json", ["compare", "x.json"], lambda: repeated('{"a":1', lambda n: f',"k{n:x}":1', "}")),
    ("JSON", "arrays in an object", TEXT, "x.json", ["compare", "x.json"], lambda: repeated('{"a":[]', lambda n: f',"k{n:x}":[]', "}")),
    ("network", "layers", NETWORK, "x.json", ["net", "--x", "1", "--only", "relu1.y"], lambda: repeated('{"nnlayer-tape":1,"layers":[{"kind":"relu"}', ',{"kind":"relu"}', "]}")),
    ("NDJSON", "short records", TEXT, "x.ndjson", ["relu", "--forward", "--ndjson"], lambda: repeated("", '{"x":1}\n', "")),
    ("NDJSON", "one long record", TEXT, "x.ndjson", ["relu", "--forward", "--ndjson"], lambda: repeated('{"x":[1', ",1", "]}\n")),
    (".csv", "one row", TEXT, "x.csv", FORWARD, lambda: repeated("1", ",1", "\n")),
    (".csv", "one column", TEXT, "x.csv", FORWARD, lambda: repeated("", "1\n", "")),
    (".csv", "empty cells", TEXT, "x.csv", FORWARD, lambda: repeated("", ",", "\n")),
    (".txt", "one row", TEXT, "x.txt", FORWARD, lambda: repeated("1", " 1", "\n")),
    ("IDX", "elements of one byte", BINARY, "x.idx", FORWARD, lambda: b"\0\0\x08\1" + struct.pack(">I", BYTES) + b"\1" * BYTES),
    (".gz", "compressed rows of a table", COMPRESSED, "x.csv.gz", FORWARD, lambda: gzip.compress(b"0\n" * (BYTES // 2), 9)),
    (".npy", "elements of one byte", BINARY, "x.npy", FORWARD, lambda: npy("|u1", f"({BYTES},)", b"\1" * BYTES)),
    (".npy", "doubles", BINARY, "x.npy", FORWARD, lambda: npy("<f8", f"({BYTES // 8},)", b"\0" * BYTES)),
    (".safetensors", "elements of one byte", BINARY, "x.safetensors", FORWARD, tensor),
    (".safetensors", "tensors of one element", BINARY, "x.safetensors", ["sum", "--json"], lambda: tensors(BYTES // 80)),
    (".npz", "stored elements of one byte", BINARY, "x.npz", FORWARD, lambda: npz(npy("|u1", f"({BYTES},)", b"\1" * BYTES), zipfile.ZIP_STORED)),
    (".npz", "members of one element", BINARY, "x.npz", ["sum", "--json"], lambda: members(BYTES // 260)),
    (".npz", "compressed zeros", COMPRESSED, "x.npz", FORWARD, lambda: npz(npy("|u1", f"({4 * BYTES},)", b"\0" * 4 * BYTES), zipfile.ZIP_DEFLATED)),
]


def memory(command):
    """Returns the largest resident memory of a run in bytes, the least of three, and its status."""
    found = []
    for _ in range(3):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        found.append(used.ru_maxrss * 1024)
    return min(found), os.waitstatus_to_exitcode(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnlayer", default="target/release/nnlayer")
    parser.add_argument("--write", action="store_true", help="replace the table of SECURITY.md")
    options = parser.parse_args()
    nnlayer = str(pathlib.Path(options.nnlayer).resolve())
    lines, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        empty, _ = memory([nnlayer, "relu", "--x", "1"])
        for kind, content, limit, name, arguments, make in CASES:
            # Another process makes the file: its memory would count as that of the program started from here.
            maker = os.fork()
            if maker == 0:
                pathlib.Path(name).write_bytes(make())
                os._exit(0)
            os.waitpid(maker, 0)
            operand = ["net", name, *arguments[1:]] if kind == "network" else [*arguments, name]
            most, status = memory([nnlayer, *operand])
            times = max(most - empty, 0) / (os.path.getsize(name) * operand.count(name))
            lines.append(f"| {kind} | {content} | {times:,.1f} | {limit:,} |")
            print(lines[-1], "" if status == 0 else f"status {status}", flush=True)
            failed |= times > limit or status not in (0, 2)
    if options.write:
        begin, end = "<!-- memory -->\n", "<!-- /memory -->\n"
        before, rest = PAGE.read_text(encoding="utf-8").split(begin)
        head = "| file | content | memory per byte | limit |\n|---|---|---:|---:|\n"
        PAGE.write_text(before + begin + head + "\n".join(lines) + "\n" + end + rest.split(end)[1], encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
