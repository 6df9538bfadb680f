#!/usr/bin/env python3
"""Lets the disk fill up, or a call to the file system fail, at every moment of a run, and looks at what remains.

    python3 tests/harness/full_disk.py --nnlayer target/release/nnlayer --seconds 60

A small library in C, which is loaded before the C library, takes the place of the calls that change files. It fails one of them,
or it lets only so many bytes be written, as a full disk does. Then the file must be the old one or the complete new one, status 0
must mean that it is the new one, a failure must have status 2 and a message, and no temporary file may remain. The exit status is
1 if anything was left or broken. Needs a C compiler.
"""

import argparse
import collections
import errno
import os
import random
import subprocess
import sys
import tempfile
import time

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FAIL_CALL is the name of a call, FAIL_AT which of its calls fails, FAIL_WITH the error; DISK_BYTES is the room for files. */
static long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static int fails(const char *call) {
    static long seen = 0;
    const char *name = getenv("FAIL_CALL");
    if (!name || strcmp(name, call) || ++seen != setting("FAIL_AT", 0)) return 0;
    errno = (int)setting("FAIL_WITH", EIO);
    return 1;
}

static int is_file(int file) {
    struct stat found;
    return fstat(file, &found) == 0 && S_ISREG(found.st_mode);
}

ssize_t write(int file, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    static long left = -1;
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (!is_file(file)) return real(file, bytes, count);
    if (fails("write")) return -1;
    if (getenv("DISK_BYTES")) {
        if (left < 0) left = setting("DISK_BYTES", 0);
        if (left == 0 && count > 0) {
            errno = ENOSPC;
            return -1;
        }
        if (count > (size_t)left) count = (size_t)left;
        left -= (long)count;
    }
    return real(file, bytes, count);
}

#define FAILING(result, call, parameters, ...)                           \
    result call parameters {                                             \
        static result(*real) parameters;                                 \
        if (!real) real = dlsym(RTLD_NEXT, #call);                       \
        return fails(#call) ? (result)-1 : real(__VA_ARGS__);            \
    }
FAILING(int, fsync, (int file), file)
FAILING(int, fchmod, (int file, mode_t mode), file, mode)

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (!real) real = dlsym(RTLD_NEXT, "open64");
    return (flags & O_CREAT) && fails("open64") ? -1 : real(path, flags, mode);
}
"""

CALLS = ["write", "fsync", "fchmod", "open64"]
ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EROFS]
FORMATS = ["json", "npy", "npz", "csv"]


class Runs:
    """Commands that write a file of some 100 kB, or keep a long standard input in a file."""

    def __init__(self, nnlayer, folder):
        self.nnlayer, self.folder, self.library = nnlayer, folder, f"{folder}/failing.so"
        with open(f"{folder}/failing.c", "w") as file:
            file.write(LIBRARY)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, f"{folder}/failing.c", "-ldl"], check=True)
        os.mkdir(f"{folder}/out")
        self.matrix = ("[" + ",".join(f"[{n / 7},{n / 3}]" for n in range(3000)) + "]").encode()
        self.expected = {}
        for name in FORMATS:
            ran = self.run(name, {})
            assert ran.returncode == 0, ran.stderr
            self.expected[name] = self.content(name)

    def content(self, name):
        try:
            with open(f"{self.folder}/out/y.{name}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def run(self, name, failing):
        command = [self.nnlayer, "tanh", "--x", "-", "--forward", "--out", f"out/y.{name}"]
        environment = {**os.environ, **{key: str(value) for key, value in failing.items()}}
        if failing:
            environment["LD_PRELOAD"] = self.library
        return subprocess.run(command, cwd=self.folder, env=environment, input=self.matrix, capture_output=True, timeout=60)

    def try_once(self, rng, counts):
        name = rng.choice(FORMATS)
        failing = {"DISK_BYTES": rng.randrange(len(self.expected[name]) + 1)}
        if rng.random() < 0.7:
            failing = {"FAIL_CALL": rng.choice(CALLS), "FAIL_AT": rng.randrange(1, 6), "FAIL_WITH": rng.choice(ERRORS)}
        path, old = f"{self.folder}/out/y.{name}", rng.choice([None, b"old"])
        if os.path.exists(path):
            os.remove(path)
        if old is not None:
            with open(path, "wb") as file:
                file.write(old)
        ran = self.run(name, failing)
        now = self.content(name)
        is_failure = ran.returncode == 2 and ran.stderr.startswith(b"error:") and not ran.stdout and now == old
        is_done = ran.returncode == 0 and now == self.expected[name]
        left = [other for other in os.listdir(f"{self.folder}/out") if other != f"y.{name}" and other.startswith(".nnlayer")]
        counts["runs"] += 1
        counts["failed"] += ran.returncode != 0
        if left or not (is_failure or is_done):
            counts["faults"] += 1
            print(f"{name} {failing}: status {ran.returncode}, left {left}\n{ran.stderr.decode()}")
        for other in left:
            os.remove(f"{self.folder}/out/{other}")


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
        runs, deadline = Runs(nnlayer, folder), time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            runs.try_once(rng, counts)
    print(f"{counts['runs']} runs, {counts['failed']} of which failed, {counts['faults']} faults")
    return int(counts["faults"] > 0)


if __name__ == "__main__":
    sys.exit(main())
