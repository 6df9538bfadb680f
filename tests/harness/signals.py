#!/usr/bin/env python3
"""Sends signals to nnlayer at random moments, and counts what they leave behind.

    python3 tests/harness/signals.py --nnlayer target/release/nnlayer --seconds 60

Some runs write a file, over an old one or not; after the signal the file must be the old one or the complete new one, and no
temporary file may remain. After SIGKILL one may, until the next run writes into the folder. Others check a program that
has started another; after the signal neither may live. Others compute for minutes, and must end soon after the signal. The exit
status is 1 if anything was left or broken.
"""

import argparse
import collections
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGKILL]
FORMATS = ["json", "npy", "npz", "csv"]
# The program and its child hold a pipe open while they live. The program replies to nothing, or ends late.
PROGRAMS = [
    "sleep 20 & wait",
    "sleep 20 & read request; echo no reply; while read request; do :; done; wait",
]
# Time in seconds in which a process that is killed ends.
END = 5


def prepare():
    """Runs in the child: signals that the caller ignores are not ignored, and no core file is written."""
    for number in SIGNALS[:-1]:
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start(command, folder, **options):
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, preexec_fn=prepare, **streams, **options)


def temporaries(folder):
    return [name for name in os.listdir(folder) if name.startswith(".nnlayer-")]


class Writing:
    """Runs that write a file of a few megabytes."""

    def __init__(self, nnlayer, folder):
        self.nnlayer, self.folder = nnlayer, folder
        with open(f"{folder}/x.json", "w") as file:
            file.write("[" + ",".join(f"[{n / 7}]" for n in range(300)) + "]")
        with open(f"{folder}/w.json", "w") as file:
            file.write("[[" + ",".join(str(n / 3) for n in range(300)) + "]]")
        self.expected, self.times = {}, {}
        for name in FORMATS:
            began = time.monotonic()
            assert start(self.command(name), folder).wait() == 0
            self.times[name] = time.monotonic() - began
            with open(f"{folder}/y.{name}", "rb") as file:
                self.expected[name] = file.read()

    def command(self, name):
        operands = ["affine", "--x", "x.json", "--w", "w.json", "--only", "y"]
        return [self.nnlayer, *operands, "--out", f"y.{name}"]

    def wait_for_moment(self, process, name, rng):
        """Returns at a random time, or when the temporary file has appeared or is almost complete."""
        moment = rng.choice(["time", "time", "begin", "end", "end"])
        if moment == "time":
            time.sleep(rng.uniform(0, 1.2 * self.times[name]))
            return
        least = 0 if moment == "begin" else len(self.expected[name]) - 8192
        while process.poll() is None:
            for left in temporaries(self.folder):
                try:
                    if os.stat(f"{self.folder}/{left}").st_size >= least:
                        time.sleep(rng.choice([0, 0, rng.uniform(0, 0.002)]))
                        return
                except FileNotFoundError:
                    pass

    def run(self, number, rng, counts):
        name = rng.choice(FORMATS)
        path = f"{self.folder}/y.{name}"
        old = rng.choice([None, b"old"])
        if os.path.exists(path):
            os.remove(path)
        if old is not None:
            with open(path, "wb") as file:
                file.write(old)
        process = start(self.command(name), self.folder)
        self.wait_for_moment(process, name, rng)
        process.send_signal(number)
        status = process.wait()
        counts["interrupted"] += status == -number
        now = None
        if os.path.exists(path):
            with open(path, "rb") as file:
                now = file.read()
        is_new = now == self.expected[name]
        counts["broken"] += not (is_new or now == old and status == -number) or status not in (0, -number)
        if temporaries(self.folder) and number == signal.SIGKILL:
            counts["left by SIGKILL"] += 1
            start([self.nnlayer, "relu", "--x", "1,2", "--only", "y", "--out", "other.json"], self.folder).wait()
        for left in temporaries(self.folder):
            counts["files left"] += 1
            os.remove(f"{self.folder}/{left}")


class Checking:
    """Runs that check a program which has started another."""

    def __init__(self, nnlayer, folder):
        self.nnlayer, self.folder = nnlayer, folder

    def run(self, number, rng, counts):
        reader, writer = os.pipe()
        program = ["sh", "-c", rng.choice(PROGRAMS)]
        command = [self.nnlayer, "gradcheck", "--layer", "relu", "--x", "1,2", "--persistent", "--", *program]
        process = start(command, self.folder, pass_fds=[writer])
        os.close(writer)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(number)
        counts["interrupted"] += process.wait() == -number
        # The pipe ends when the last process that holds it has ended.
        ready, _, _ = select.select([reader], [], [], END)
        counts["processes left"] += not ready
        os.close(reader)


class Computing:
    """Runs that would compute for minutes."""

    def __init__(self, nnlayer, folder):
        self.nnlayer, self.folder = nnlayer, folder
        with open(f"{folder}/long.csv", "w") as file:
            file.writelines(f"{n / 7},{-n / 3},{n / 9},{n % 11}\n" for n in range(50_000))
        with open(f"{folder}/deep.json", "w") as file:
            file.write('{"nnlayer-tape":1,"layers":[' + ",".join(['{"kind":"tanh"}'] * 20_000) + "]}")
        self.commands = [
            ["softmax", "--x", "long.csv", "--precision", "exact"],
            ["softmax", "--x", "long.csv", "--axis", "0", "--jacobian"],
            ["tanh", "--x", "long.csv", "--check"],
            ["tanh", "--x", "long.csv", "--steps"],
            ["net", "deep.json", "--x", "1,2", "--check"],
            ["net", "deep.json", "--x", "1,2", "--graph", "g.svg"],
        ]

    def run(self, number, rng, counts):
        process = start([self.nnlayer, *rng.choice(self.commands)], self.folder)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(number)
        began = time.monotonic()
        counts["interrupted"] += process.wait() == -number
        counts["ended late"] += time.monotonic() - began > END


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnlayer", default="nnlayer")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    nnlayer = os.path.abspath(options.nnlayer) if os.sep in options.nnlayer else options.nnlayer
    print(f"seed {options.seed}")
    rng = random.Random(options.seed)
    table = {number: collections.Counter() for number in SIGNALS}
    with tempfile.TemporaryDirectory() as folder:
        kinds = [Writing(nnlayer, folder), Checking(nnlayer, folder), Computing(nnlayer, folder)]
        deadline = time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            number = rng.choice(SIGNALS)
            # SIGKILL cannot be handled: the program under test reads the end of its input instead.
            kind = kinds[0] if number == signal.SIGKILL else rng.choices(kinds, [3, 1, 1])[0]
            table[number]["runs"] += 1
            kind.run(number, rng, table[number])
    columns = ["runs", "interrupted", "left by SIGKILL", "files left", "broken", "processes left", "ended late"]
    print(f"{'':8}", *(f"{column:>15}" for column in columns))
    for number, counts in table.items():
        print(f"{number.name:8}", *(f"{counts[column]:15}" for column in columns))
    faults = sum(counts[column] for counts in table.values() for column in columns[3:])
    print(f"{faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
