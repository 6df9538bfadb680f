#!/usr/bin/env python3
"""Lets nnlayer and an independent reader read the same files, whole and damaged, and compares what they read.

    python3 tests/harness/reading.py --nnlayer target/release/nnlayer --seconds 60

The other readers are Python's json and float, NumPy for .npy and .npz, and a short one here for .safetensors. A fault is: a number
or a shape that differs, a whole file that nnlayer refuses, a damaged one that only nnlayer reads, an end by a signal or panic,
and a way to read (standard input, a named pipe, one thread, `--in-format`) that gives other bytes than the file. The
exit status is 1 after a fault, and the file is kept. Needs NumPy.
"""

import argparse
import collections
import io
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")

FLOATS = ["<f8", ">f8", "<f4", ">f4", "<f2"]
INTEGERS = ["|i1", "|u1", "<i2", ">u2", "<i4", ">u4", "<i8", "|b1"]
# What NumPy refuses, or reads only with pickle, and what it warns of, is not compared.
TORN = [b"", b"[", b"]", b",", b"-", b"e", b"0", b".", b'"', b"\n", b"\xff", b"\x00", b"NaN", b"'", b" "]


def random_number(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return float(rng.randrange(-9, 10))
    if kind == 1:
        return struct.unpack("<d", rng.randbytes(8))[0]
    return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-8, 9)


def random_array(rng, most=2):
    shape = [rng.choice([1, 2, 3, 5]) for _ in range(rng.randrange(most + 1))]
    numbers = [random_number(rng) for _ in range(math.prod(shape))]
    return np.array([0.5 if math.isnan(number) else number for number in numbers]).reshape(shape)


def damaged(rng, content):
    """Returns the content with a few bytes changed, inserted or removed."""
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(content) + 1)
        change = rng.randrange(4)
        if change == 0:
            content = content[:at] + rng.choice(TORN) + content[at:]
        elif change == 1:
            content = content[:at] + content[at + 1 :]
        elif change == 2:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        else:
            content = content[:at] if rng.random() < 0.3 else content
    return content


class Unread(Exception):
    """The other reader refuses the file."""


def as_array(value):
    """Returns nested lists of numbers as an array; refuses anything else and lists of unequal length."""
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        raise Unread
    if isinstance(value, str):
        if value not in ("NaN", "Infinity", "-Infinity"):
            raise Unread
        value = float(value)
    if isinstance(value, (int, float)):
        try:
            return np.array(float(value))
        except OverflowError as error:
            raise Unread from error
    parts = [as_array(part) for part in value]
    if len({part.shape for part in parts}) > 1:
        raise Unread
    return np.stack(parts) if parts else np.zeros(0)


class Json:
    extension = "json"

    def write(self, rng):
        number = lambda value: json.dumps(value) if rng.random() < 0.8 else f"{value:.{rng.randrange(30)}e}"
        blank = lambda: rng.choice(["", "", " ", "\n", "\t\r\n"])

        def text(value):
            if not isinstance(value, list):
                return number(value) if math.isfinite(value) else json.dumps(value)
            return "[" + ",".join(blank() + text(part) + blank() for part in value) + "]"

        return (blank() + text(random_array(rng).tolist()) + blank()).encode()

    def read(self, content):
        try:
            value = json.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise Unread from error
        array = as_array(value)
        # A number that overflows is no infinity.
        if np.isinf(array).sum() != content.count(b"Infinity"):
            raise Unread
        return array


class Csv:
    extension = "csv"

    def write(self, rng):
        array = np.atleast_2d(random_array(rng))
        end = rng.choice(["\n", "\r\n"])
        return "".join(",".join(repr(float(number)) for number in row) + end for row in array).encode()

    def read(self, content):
        try:
            text = content.decode("utf-8-sig")
        except ValueError as error:
            raise Unread from error
        rows = [line.split(",") for line in text.replace("\r", "\n").split("\n") if line.strip(" ")]
        try:
            if any("_" in cell or '"' in cell or not cell.isascii() for row in rows for cell in row) or not rows:
                raise Unread
            table = [[float(cell) for cell in row] for row in rows]
        except ValueError as error:
            raise Unread from error
        array = as_array(table)
        if np.isinf(array).sum() != text.lower().count("inf"):
            raise Unread
        return array[:, 0] if array.shape[1] == 1 else array


def typed(rng, array):
    with np.errstate(all="ignore"):
        if rng.random() < 0.5:
            return array.astype(rng.choice(FLOATS))
        whole = np.where(np.isfinite(array) & (np.abs(array) < 100), array, 0)
        return np.abs(whole).astype(rng.choice(INTEGERS))


def with_order(rng, array):
    return np.asfortranarray(array) if rng.random() < 0.3 else array


class Npy:
    extension = "npy"

    def write(self, rng):
        out = io.BytesIO()
        version = rng.choice([(1, 0), (2, 0), (3, 0)])
        np.lib.format.write_array(out, with_order(rng, typed(rng, random_array(rng))), version=version)
        return out.getvalue()

    def read(self, content):
        try:
            array = np.load(io.BytesIO(content), allow_pickle=False)
            if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
                raise Unread
            return array.astype("f8")
        except Unread:
            raise
        except Exception as error:
            raise Unread from error


class Npz(Npy):
    extension = "npz"

    def write(self, rng):
        out = io.BytesIO()
        save = rng.choice([np.savez, np.savez_compressed])
        save(out, dout=with_order(rng, typed(rng, random_array(rng))))
        return out.getvalue()

    def read(self, content):
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                if list(archive) != ["dout"]:
                    raise Unread
                array = archive["dout"]
            if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
                raise Unread
            return array.astype("f8")
        except Unread:
            raise
        except Exception as error:
            raise Unread from error


class Safetensors:
    extension = "safetensors"
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}

    def write(self, rng):
        name = rng.choice(list(self.types))
        with np.errstate(all="ignore"):
            array = random_array(rng)
            array = np.where(np.isfinite(array) & (np.abs(array) < 100), np.abs(array), 0).astype(self.types[name])
        header = {"dout": {"dtype": name, "shape": array.shape, "data_offsets": [0, array.nbytes]}}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + array.tobytes()

    def read(self, content):
        try:
            (length,) = struct.unpack("<Q", content[:8])
            header, data = json.loads(content[8 : 8 + length].decode()), content[8 + length :]
            if len(content) < 8 + length or list(header) != ["dout"]:
                raise Unread
            entry = header["dout"]
            begin, end = entry["data_offsets"]
            if begin != 0 or end != len(data):
                raise Unread
            return np.frombuffer(data, self.types[entry["dtype"]]).reshape(entry["shape"]).astype("f8")
        except Exception as error:
            raise Unread from error


FORMATS = [Json(), Csv(), Npy(), Npz(), Safetensors()]


class Reading:
    def __init__(self, nnlayer, folder):
        self.nnlayer, self.folder = nnlayer, folder

    def run(self, operand, *options, **streams):
        # With x = ones, dx is dout.
        command = [self.nnlayer, "relu", "--x", "ones.json", f"--dout={operand}", "--only", "dx", "--json", "--no-stdin"]
        if operand == "-":
            command.remove("--no-stdin")
        streams.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([*command, *options], cwd=self.folder, capture_output=True, timeout=60, **streams)

    def by_another_way(self, rng, path, extension):
        way = rng.choice(["stdin", "fifo", "threads", "format"])
        if way == "stdin":
            with open(f"{self.folder}/{path}", "rb") as file:
                return way, self.run("-", f"--in-format={extension}", stdin=file)
        if way == "fifo":
            fifo = f"{self.folder}/pipe.{extension}"
            os.mkfifo(fifo)

            def feed():
                with open(f"{self.folder}/{path}", "rb") as file, open(fifo, "wb") as pipe:
                    try:
                        pipe.write(file.read())
                    except BrokenPipeError:
                        pass

            feeder = threading.Thread(target=feed)
            feeder.start()
            ran = self.run(f"pipe.{extension}")
            feeder.join()
            os.remove(fifo)
            return way, ran
        if way == "threads":
            return way, self.run(path, "--threads=1")
        os.link(f"{self.folder}/{path}", f"{self.folder}/plain")
        ran = self.run("plain", f"--in-format={extension}")
        os.remove(f"{self.folder}/plain")
        return way, ran

    def try_once(self, rng, counts):
        form = rng.choice(FORMATS)
        whole = form.write(rng)
        content = whole if rng.random() < 0.3 else damaged(rng, whole)
        path = f"d.{form.extension}"
        with open(f"{self.folder}/{path}", "wb") as file:
            file.write(content)
        try:
            expected = form.read(content)
        except Unread:
            expected = None
        shape = [] if expected is None else list(expected.shape)
        ones = 1.0
        for side in reversed(shape):
            ones = [ones] * side
        with open(f"{self.folder}/ones.json", "w") as file:
            json.dump(ones, file)
        ran = self.run(path)
        counts["files"] += 1
        counts["read by both"] += ran.returncode == 0 and expected is not None
        fault = self.fault(ran, expected, content == whole, form)
        if fault is None:
            way, other = self.by_another_way(rng, path, form.extension)
            if (other.returncode, other.stdout) != (ran.returncode, ran.stdout):
                fault = f"by {way} status {other.returncode} instead of {ran.returncode}: {other.stderr.decode()}"
        if fault:
            counts["faults"] += 1
            kept = f"{tempfile.gettempdir()}/reading-{counts['faults']}.{form.extension}"
            with open(kept, "wb") as file:
                file.write(content)
            print(f"{kept}: {fault}\n{ran.stderr.decode()}")

    def fault(self, ran, expected, is_whole, form):
        if ran.returncode not in (0, 2):
            return f"status {ran.returncode}"
        if ran.returncode == 2:
            # A damaged file may be refused for what the other reader overlooks.
            refused = expected is not None and (is_whole or form.extension == "json") and expected.size > 0
            return "refused" if refused else None
        if expected is None:
            return f"read as {ran.stdout[:200]}, which the other reader refuses"
        found = as_array(json.loads(ran.stdout)["dx"])
        equal = found.shape == expected.shape and np.array_equal(found, expected, equal_nan=True)
        return None if equal else f"read as {found.tolist()}, expected {expected.tolist()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnlayer", default="nnlayer")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    nnlayer = os.path.abspath(options.nnlayer) if os.sep in options.nnlayer else options.nnlayer
    print(f"seed {options.seed}")
    rng, counts = random.Random(options.seed), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        reading, deadline = Reading(nnlayer, folder), time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            reading.try_once(rng, counts)
    print(f"{counts['files']} files, {counts['read by both']} of which both read, {counts['faults']} faults")
    return int(counts["faults"] > 0)


if __name__ == "__main__":
    sys.exit(main())
