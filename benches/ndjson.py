#!/usr/bin/env python3
"""Benchmarks a million records through a 64→10 affine and softmax with cross-entropy: each gives its loss and the gradient with
respect to the scores.

    cargo build --release && python3 benches/ndjson.py [--records N] [--repeat N] [--full-precision]

Compares nnlayer, as a network in one process and as two commands in a pipe, with orjson + NumPy, record by record and in batches
of 1024. The runs alternate, and medians are printed. Needs numpy and orjson. Pixels are those of the digits in fixtures/, multiples
of 1/16, or, with --full-precision, random doubles of 17 digits.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
NNLAYER = ROOT / "target/release/nnlayer"
W, B = ROOT / "fixtures/digits/w.npy", ROOT / "fixtures/digits/b.npy"


def record_by_record(lines, out):
    import numpy as np, orjson
    w, b = np.load(W), np.load(B)
    for line in lines:
        record = orjson.loads(line)
        y = np.asarray(record["x"]) @ w + b
        y -= y.max()
        exponentials = np.exp(y)
        total = exponentials.sum()
        dx = exponentials / total
        dx[record["t"]] -= 1
        loss = np.log(total) - y[record["t"]]
        out.write(orjson.dumps({"id": record["id"], "loss": float(loss), "dx": dx}, option=orjson.OPT_SERIALIZE_NUMPY))
        out.write(b"\n")


def in_batches(lines, out, size=1024):
    import itertools, numpy as np, orjson
    w, b = np.load(W), np.load(B)
    while batch := [orjson.loads(line) for line in itertools.islice(lines, size)]:
        y = np.array([record["x"] for record in batch]) @ w + b
        rows, t = np.arange(len(batch)), np.array([record["t"] for record in batch])
        y -= y.max(axis=1, keepdims=True)
        exponentials = np.exp(y)
        total = exponentials.sum(axis=1, keepdims=True)
        dx = exponentials / total
        dx[rows, t] -= 1
        loss = np.log(total[:, 0]) - y[rows, t]
        records = zip(batch, loss.tolist(), dx.tolist())
        out.write(b"".join(orjson.dumps({"id": r["id"], "loss": l, "dx": d}) + b"\n" for r, l, d in records))


def write_records(path, count, full_precision):
    import numpy as np, orjson
    archive = np.load(ROOT / "fixtures/train/digits.npz")
    x, t = archive["x"].astype(float), archive["t"]
    if full_precision:
        x = np.random.default_rng(1).standard_normal(x.shape)
    rows = [b"\"x\":%b,\"t\":%d}\n" % (orjson.dumps(row), int(label)) for row, label in zip(x.tolist(), t)]
    with open(path, "wb") as out:
        out.writelines(b"{\"id\":%d,%b" % (n, rows[n % len(rows)]) for n in range(count))


def write_network(path):
    """Writes the two layers as one network."""
    import numpy as np
    affine = {"kind": "affine", "params": {"w": np.load(W).tolist(), "b": np.load(B).tolist()}}
    pathlib.Path(path).write_text(json.dumps({"nnlayer-tape": 1, "layers": [affine, {"kind": "softmax-xent"}]}))


def net_arguments(model, records):
    """Returns the arguments that run the records through the network."""
    return ["net", model, "--ndjson", records, "--only", "loss,softmax-xent1.dx"]


def assert_same_results(actual, expected):
    """Asserts that the results agree, record by record, to the accuracy of NumPy."""
    import orjson
    for a, b in zip(open(actual, "rb"), open(expected, "rb"), strict=True):
        a, b = orjson.loads(a.replace(b"softmax-xent1.", b"")), orjson.loads(b)
        assert a["id"] == b["id"] and abs(a["loss"] - b["loss"]) <= 1e-12 * max(1, abs(b["loss"])), (a, b)
        assert all(abs(p - q) <= 1e-14 for p, q in zip(a["dx"], b["dx"], strict=True)), (a, b)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--full-precision", action="store_true")
    parser.add_argument("--only", choices=["record_by_record", "in_batches"])
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        name, records = options.peer
        return {"record_by_record": record_by_record, "in_batches": in_batches}[name](open(records, "rb"), sys.stdout.buffer)
    with tempfile.TemporaryDirectory() as folder:
        records = f"{folder}/records.ndjson"
        write_records(records, options.records, options.full_precision)
        write_network(f"{folder}/net.json")
        piped = (f"{NNLAYER} affine --w {W} --b {B} --forward --ndjson {records}"
                 f" | {NNLAYER} softmax-xent --only loss,dx --ndjson")
        commands = {"nnlayer": f"{NNLAYER} {' '.join(net_arguments(f'{folder}/net.json', records))}", "piped": piped}
        for peer in [options.only] if options.only else ["record_by_record", "in_batches"]:
            commands[peer] = f"{sys.executable} {__file__} --peer {peer} {records}"
        seconds = {name: [] for name in commands}
        for _ in range(options.repeat):
            for name, command in commands.items():
                begin = time.perf_counter()
                subprocess.run(f"{command} > {folder}/{name}", shell=True, check=True)
                seconds[name].append(time.perf_counter() - begin)
        for peer in list(commands)[2:]:
            assert_same_results(f"{folder}/nnlayer", f"{folder}/{peer}")
            assert_same_results(f"{folder}/piped", f"{folder}/{peer}")
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        size = os.path.getsize(records) / 1e6
        print(f"{options.records} records, {size:.0f} MB, medians of {options.repeat}, {os.cpu_count()} cores")
        for name, median in medians.items():
            print(f"{name:16} {median:7.2f} s  {median / medians['nnlayer']:6.1f}×")


if __name__ == "__main__":
    main()
