#!/usr/bin/env python3
"""Checks that two builds of nnlayer give the same results, bit for bit.

    python3 benches/same_results.py OLD NEW [--commands 2000] [--seed 1] [--verbose]

Both programs run the same random commands and every case of fixtures/, the documents and tests/refusals.md, each in a
fresh folder with the same input files. The exit status, standard output and every written file are compared. Standard
error is not, since the wording of messages may change. Outputs are compared in one of three ways:

    exact     byte by byte: JSON, records, tapes, networks, .npy, .npz and .csv files
    headings  text results: arrays byte by byte, other lines by their numbers
    numbers   reports, steps and graphs: numbers, verdicts and marks, in order

Strings with spaces in JSON reports and in error records are not compared. The exit status is 1 if anything differs. A
difference is printed with its number: --only-command NUMBER runs that command again and keeps its folder. --group NAME runs
only one group. --large adds commands on files of about 70 MB, which take a minute or two.

--max-ulp 1 --ulp-functions tanh,sigmoid allows the results of these layers to differ by one unit in the last place, and lists
where they do, except with --precision exact. Needs only the standard library of Python 3.11; random_commands.py and
fixture_commands.py generate the commands.
"""

import argparse
import array
import concurrent.futures
import dataclasses
import functools
import io
import itertools
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

sys.dont_write_bytecode = True

from fixture_commands import fixture_cases, large_cases  # noqa: E402
from random_commands import GROUPS, LAYERS, GRAPH_EXTENSIONS, Edit, Run, Shell, group_of, random_case  # noqa: E402


# ---------------------------------------------------------------- running


@dataclasses.dataclass
class Output:
    """The output and exit status of a command."""

    command: str
    form: str
    status: object
    stdout: bytes
    stderr: bytes


@dataclasses.dataclass
class Outcome:
    """The outputs of all commands of a case, and the files that they wrote."""

    outputs: list
    files: dict


def run_program(program, arguments, stdin, folder, environment, timeout, shell=False):
    """Runs a command without a terminal; after the time limit, kills it and all processes that it started."""
    process = subprocess.Popen(
        ["sh", "-c", arguments] if shell else [program, *arguments],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment, start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout)
        return process.returncode, stdout, stderr
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        return "time limit", stdout, stderr


def execute(program, case, folder):
    """Runs a case in a new folder."""
    work, temporary, path = folder / "work", folder / "tmp", folder / "bin"
    for directory in (work, temporary):
        directory.mkdir(parents=True)
    if any(isinstance(step, Shell) for step in case.steps):
        path.mkdir()
        (path / "nnlayer").symlink_to(program)
    for name, data in case.files.items():
        if name.endswith("/"):
            (work / name).mkdir()
        else:
            (work / name).write_bytes(data)
    for name, target in case.links.items():
        (work / name).symlink_to(target)
    environment = {"HOME": str(folder), "PATH": f"{path}:{os.environ['PATH']}", "TMPDIR": str(temporary), "LC_ALL": "C"}
    # Python would write bytecode files that contain the path of the folder.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    outputs = []
    for step in case.steps:
        match step:
            case Run():
                data = step.stdin
                for stage in step.stages:
                    variables = environment | step.environment
                    ran = run_program(program, stage, data, work, variables, case.timeout)
                    outputs.append(Output(shlex.join(["nnlayer", *stage]), comparison_form(stage), *ran))
                    data = outputs[-1].stdout
            case Shell():
                ran = run_program(program, step.line, None, work, environment, case.timeout, shell=True)
                outputs.append(Output(step.line, "document", *ran))
            case Edit():
                source = work / step.source
                if source.exists():
                    (work / step.target).write_bytes(step.transform(source.read_bytes()))
    files = {}
    for root in (work, temporary):
        for path in sorted(root.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file() or path.relative_to(root).parts[0] in case.links:
                continue
            # The contents of a large file are read when it is compared.
            files[name] = path if path.stat().st_size > 1 << 24 else path.read_bytes()
    return Outcome(outputs, files)


# ---------------------------------------------------------------- comparing

# Atomic groups and possessive quantifiers: no backtracking on long lines.
NUMBER = r"[-+]?(?>\d++\.?+\d*+|\.\d++)(?>[eE][-+]?\d++)?+"
WORD_NUMBER = r"[-+]?(?:nan|inf|NaN|Infinity)(?![A-Za-z])"
# A number that is not part of a name such as affine1 or f32.
STANDALONE_NUMBER = re.compile(rf"(?<![A-Za-z0-9_.])(?:{NUMBER}|{WORD_NUMBER})")
# The parts of a line that are compared: colours, verdicts, marks and numbers.
VERDICT = r"\b(?:PASS|FAIL|INCONCLUSIVE|BLANK)\b|^(?:not )?ok\b|[✓✗]"
TOKEN = re.compile(rf"\x1b\[[0-9;]*m|{VERDICT}|{STANDALONE_NUMBER.pattern}", re.MULTILINE)
ARRAY_LINE = re.compile(rf"\s*+\[*+(?>\s*+(?>{NUMBER}|{WORD_NUMBER}|\.\.\.))*+\s*+\]*+\s*+")
SENTENCE = "(words)"


def comparison_form(words):
    """Returns how the output of a command is compared: exact, headings, stream, report, steps or numbers."""
    def has(*options):
        return any(word == option or word.startswith(option + "=") for word in words for option in options)

    command = words[0] if words else ""
    if has("--ndjson"):
        return "stream"
    if has("--steps"):
        return "steps"
    if has("--check", "--expect") or command in ("gradcheck", "compare"):
        return "report"
    if has("--graph"):
        return "numbers"
    if has("--json", "--pretty", "--tape") or command == "step" or (command == "net" and has("--init")):
        return "exact"
    return "numbers" if command == "train" else "headings"


def find_tokens(text):
    return TOKEN.findall(text)


def parsed_json(text, replace_sentence):
    """Parses JSON, and keeps the order of keys and the digits of numbers.

    `replace_sentence` is applied to each string that contains a space.
    """
    def string(value):
        if isinstance(value, str):
            return replace_sentence(value) if re.search(r"\s", value) else value
        if isinstance(value, list):
            return [string(v) for v in value]
        if isinstance(value, Pairs):
            return Pairs((key, string(v)) for key, v in value)
        return value

    return string(json.loads(text, object_pairs_hook=Pairs, parse_float=Digits, parse_int=Digits, parse_constant=str))


class Pairs(list):
    """The keys and values of an object in their order."""


class Digits(float):
    """A number that compares by its digits."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __eq__(self, other):
        return isinstance(other, Digits) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return self.text


def normalize_line(line):
    """Returns what is compared of a line of text results: the whole line of an array or JSON, otherwise its tokens."""
    if ARRAY_LINE.fullmatch(line) or line.startswith("{"):
        return line
    return find_tokens(line)


def normalize_record(line):
    """Returns what is compared of a record: the line, without the sentences of an error."""
    if '"error":' in line:
        try:
            return parsed_json(line, lambda text: SENTENCE)
        except ValueError:
            pass
    return line


def normalize_report(text, replace_sentence):
    try:
        return [parsed_json(text, replace_sentence)]
    except ValueError:
        return [find_tokens(line) for line in text.splitlines()]


def normalize(data, form):
    """Returns the parts of an output that are compared, as a list of lines."""
    if form == "exact":
        return data.split(b"\n")
    text = data.decode("utf-8", "replace")
    match form:
        case "headings":
            return [normalize_line(line) for line in text.split("\n")]
        case "stream":
            return [normalize_record(line) for line in text.split("\n")]
        case "report":
            return normalize_report(text, lambda text: SENTENCE)
        case "steps":
            return normalize_report(text, find_tokens)
        case "numbers":
            return [find_tokens(line) for line in text.splitlines()]
        case "document":
            # The commands of a document print results and reports.
            def any_line(line):
                return normalize_report(line, lambda text: SENTENCE) if line.startswith("{") else normalize_line(line)

            return [any_line(line) for line in text.split("\n")]
    raise ValueError(form)


def flatten(items):
    for item in items:
        if type(item) is list:
            yield from flatten(item)
        else:
            yield item


def outputs_match(old, new, form):
    if old == new:
        return True
    if form == "exact":
        return False
    old, new = normalize(old, form), normalize(new, form)
    # Line breaks are not compared in reports.
    return list(flatten(old)) == list(flatten(new)) if form in ("numbers", "steps", "report") else old == new


def first_difference(old, new, form):
    """Describes the first lines that differ."""
    def lines(data):
        return data.decode("utf-8", "replace").splitlines() or [""]

    def compared(line):
        return line if form == "exact" else normalize(line.encode(), form)

    def excerpt(line, other):
        begin = next((k for k, (a, b) in enumerate(zip(line, other)) if a != b), min(len(line), len(other)))
        return ("…" if begin > 60 else "") + line[max(begin - 60, 0) : begin + 80]

    # If no single line differs as it is compared, shows the first line whose text differs.
    for same in (lambda a, b: compared(a) == compared(b), lambda a, b: a == b):
        for n, (a, b) in enumerate(itertools.zip_longest(lines(old), lines(new), fillvalue="(no such line)")):
            if not same(a, b):
                return f"line {n + 1}\n      old {excerpt(a, b)!r}\n      new {excerpt(b, a)!r}"
    return "the ends of lines"


def first_byte(old, new):
    at = next((k for k, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    window = slice(at, at + 24)
    return f"byte {at} of {len(old)} and {len(new)}\n      old {old[window].hex(' ')}\n      new {new[window].hex(' ')}"


def large_files_match(old, new):
    with open(old, "rb") as a, open(new, "rb") as b:
        while True:
            one, two = a.read(1 << 22), b.read(1 << 22)
            if one != two:
                return False
            if not one:
                return True


# Units in the last place.


def ordinal(value, single):
    """Returns the position of a number in the order of all numbers of its type."""
    code, signed, high = ("f", "i", 1 << 31) if single else ("d", "q", 1 << 63)
    try:
        bits = struct.unpack("<" + signed, struct.pack("<" + code, value))[0]
    except OverflowError:
        return ordinal(math.copysign(math.inf, value), single)
    return bits if bits >= 0 else -high - bits


def ulp_distance(a, b, single):
    if a == b or (a != a and b != b):
        return 0
    if a != a or b != b:
        return math.inf
    return abs(ordinal(a, single) - ordinal(b, single))


def printed_unit(texts, value):
    """Returns the unit of the last printed digit of a rounded number; 0 if all digits are printed."""
    digits = max(len(re.sub(r"[eE].*|[-+.]", "", text).lstrip("0")) for text in texts)
    if digits >= 15 or value == 0 or not math.isfinite(value):
        return 0.0
    return 10.0 ** (math.floor(math.log10(value)) - digits + 1)


def texts_are_close(old, new, max_ulps, single, report):
    """Returns true if two texts differ only in numbers, by at most `max_ulps` units in the last place.

    A number of a report can be a difference of results, so it may differ by a unit of the largest number in the report, or of 1.
    A rounded number may differ by one in its last digit.
    """
    old, new = (data.decode("utf-8", "replace") for data in (old, new))
    a, b = STANDALONE_NUMBER.findall(old), STANDALONE_NUMBER.findall(new)
    words = [STANDALONE_NUMBER.sub("#", text).split() for text in (old, new)]
    if len(a) != len(b) or (words[0] != words[1] and not report):
        return False
    pairs = [(float(x), float(y), (x, y)) for x, y in zip(a, b)]
    finite = [abs(value) for x, y, _ in pairs for value in (x, y) if math.isfinite(value)]
    unit = max_ulps * 2.0 ** (-23 if single else -52) * max([1.0, *finite]) if report else 0.0

    def is_close(x, y, texts):
        return ulp_distance(x, y, single) <= max_ulps or abs(x - y) <= max(unit, 1.01 * printed_unit(texts, max(abs(x), abs(y))))

    return all(is_close(*pair) for pair in pairs)


def read_npy(data):
    """Returns the header and numbers of a .npy file of floating-point numbers, and whether they are in single precision."""
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    code = "f" if b"<f4" in data[:begin] else "d"
    return data[:begin], array.array(code, data[begin:]), code == "f"


def files_are_close(name, old, new, max_ulps, single):
    """Returns true if the numbers of two files differ by at most `max_ulps` units in the last place."""
    if name.endswith(".npy"):
        (a, xs, single), (b, ys, _) = read_npy(old), read_npy(new)
        return a == b and len(xs) == len(ys) and all(ulp_distance(x, y, single) <= max_ulps for x, y in zip(xs, ys))
    if name.endswith(".npz"):
        a, b = zipfile.ZipFile(io.BytesIO(old)), zipfile.ZipFile(io.BytesIO(new))
        names = a.namelist()
        return names == b.namelist() and all(files_are_close(n, a.read(n), b.read(n), max_ulps, single) for n in names)
    return texts_are_close(old, new, max_ulps, single, report=name.endswith(GRAPH_EXTENSIONS))


@dataclasses.dataclass
class Difference:
    """A difference between the outcomes of a case; it is `allowed` if it is within --max-ulp."""

    what: str
    where: str
    allowed: bool = False


def file_difference(name, old, new):
    """Describes where the contents of a file differ; None if they are equal."""
    form = "numbers" if name.endswith(GRAPH_EXTENSIONS) else "exact"
    if outputs_match(old, new, form):
        return None
    where = first_difference(old, new, form) if name.endswith((".json", ".csv", *GRAPH_EXTENSIONS)) else first_byte(old, new)
    if name.endswith((".svg", ".html")):
        numbers = [STANDALONE_NUMBER.findall(re.sub(r"<[^>]*>", "\n", data.decode("utf-8", "replace"))) for data in (old, new)]
        layout = "the same: the layout differs" if numbers[0] == numbers[1] else "not the same"
        where += f"\n      the numbers between tags are {layout}"
    return where


def find_differences(case, old, new, options):
    allowance = options.max_ulp if case.layers() & options.ulp_functions and case.precision() != "exact" else 0
    single = case.precision() == "f32"
    differences = []
    for a, b in zip(old.outputs, new.outputs):
        if a.status != b.status:
            differences.append(Difference(f"exit status of {a.command}", f"old {a.status}, new {b.status}"))
        if not outputs_match(a.stdout, b.stdout, a.form):
            report = a.form in ("report", "steps", "numbers", "document")
            is_close = allowance > 0 and texts_are_close(a.stdout, b.stdout, allowance, single, report)
            where = first_difference(a.stdout, b.stdout, a.form)
            differences.append(Difference(f"standard output of {a.command}", where, is_close))
    for name in sorted(old.files.keys() | new.files.keys()):
        a, b = old.files.get(name), new.files.get(name)
        if a is None or b is None:
            differences.append(Difference(f"file {name}", f"written by {'new' if a is None else 'old'} only"))
            continue
        if isinstance(a, pathlib.Path) and isinstance(b, pathlib.Path) and large_files_match(a, b):
            continue
        a, b = (file.read_bytes() if isinstance(file, pathlib.Path) else file for file in (a, b))
        where = file_difference(name, a, b)
        if where is not None:
            differences.append(Difference(f"file {name}", where, allowance > 0 and files_are_close(name, a, b, allowance, single)))
    return differences


def weakest_comparison(outcome):
    """Returns the weakest comparison of the outputs and files of a case."""
    kinds = {"numbers" for name in outcome.files if name.endswith(GRAPH_EXTENSIONS)}
    for output in outcome.outputs:
        if output.form in ("numbers", "report", "steps") and output.stdout:
            kinds.add("numbers")
        elif any(type(line) is list for line in normalize(output.stdout, output.form) if line):
            kinds.add("headings")
    return "numbers" if "numbers" in kinds else "headings" if kinds else "exact"


# ---------------------------------------------------------------- reporting


@dataclasses.dataclass
class Result:
    """Result of a case, without its files."""

    number: str
    group: str
    # The lines as typed in a shell, and the single commands.
    lines: list
    commands: list
    kind: str
    statuses: list
    differences: list
    seconds: list
    # The first line of standard error of each command of the old program.
    messages: list

    @property
    def differs(self):
        return any(not difference.allowed for difference in self.differences)

    @property
    def status(self):
        """Returns one status for all commands: that of a crash, else 2 if any has it, else the last."""
        crashes = [status for status in self.statuses if status not in (0, 1, 2, 3)]
        return crashes[0] if crashes else 2 if 2 in self.statuses else self.statuses[-1] if self.statuses else 0


def compare_case(case, options, keep=None):
    """Runs a case with both programs. If `keep` is a list, the folder is kept and added to it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="same-results-"))
    try:
        outcomes, seconds = [], []
        for name, program in (("old", options.old), ("new", options.new)):
            begin = time.monotonic()
            outcomes.append(execute(program, case, folder / name))
            seconds.append(time.monotonic() - begin)
        old, new = outcomes
        differences = find_differences(case, old, new, options)
        if keep is not None:
            save_outputs(case, outcomes, folder)
            keep.append(folder)
        messages = [output.stderr[:300].decode("utf-8", "replace").split("\n")[0] for output in old.outputs]
        statuses = [output.status for output in old.outputs]
        commands = [output.command for output in old.outputs]
        comparison, lines = weakest_comparison(old), list(case.lines())
        return Result(case.number, case.group, lines, commands, comparison, statuses, differences, seconds, messages)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def save_outputs(case, outcomes, folder):
    """Writes the commands of a case and the outputs of both programs to its folder."""
    (folder / "commands.sh").write_text("\n".join(case.lines()) + "\n")
    for n, step in enumerate(step for step in case.steps if isinstance(step, Run) and step.stdin is not None):
        (folder / f"stdin-{n}").write_bytes(step.stdin)
    for name, outcome in zip(("old", "new"), outcomes):
        for n, output in enumerate(outcome.outputs):
            (folder / f"{name}-{n}.stdout").write_bytes(output.stdout)
            (folder / f"{name}-{n}.stderr").write_bytes(output.stderr)


COLUMNS = ("commands", "same", "allowed", "differ", "exact", "headings", "numbers")
COLUMNS += ("status 0", "1", "2", "3", "other", "seconds")


def print_table(results):
    groups = {}
    for result in results:
        row = groups.setdefault(result.group, dict.fromkeys(COLUMNS, 0))
        row["commands"] += 1
        row["differ" if result.differs else "allowed" if result.differences else "same"] += 1
        row[result.kind] += 1
        row["status 0" if result.status == 0 else str(result.status) if result.status in (1, 2, 3) else "other"] += 1
        row["seconds"] += sum(result.seconds)
    random_groups = [row for name, row in groups.items() if name in GROUPS]
    totals = {"random": random_groups} if 1 < len(random_groups) < len(groups) else {}
    totals = {name: {c: sum(row[c] for row in rows) for c in COLUMNS} for name, rows in (totals | {"all": groups.values()}).items()}
    width = max(map(len, [*groups, *totals])) + 2
    print(f"{'group':{width}}" + "".join(f"{name:>{max(len(name), 5) + 2}}" for name in COLUMNS))
    for name, row in [*groups.items(), *totals.items()]:
        print(f"{name:{width}}" + "".join(f"{row[column]:>{max(len(column), 5) + 2}.0f}" for column in COLUMNS))


def truncate(text, length):
    return text if len(text) <= length else text[:length] + " …"


def print_differences(results, options):
    for allowed in (True, False):
        for result in results:
            differences = [difference for difference in result.differences if difference.allowed == allowed]
            if not differences:
                continue
            seed = f"--seed {options.seed} " if result.number.isdigit() else ""
            title = "within the allowance" if allowed else "DIFFERENT"
            print(f"\n{title}: {result.group}, number {result.number} (repeat with {seed}--only-command {result.number})")
            for line in result.lines:
                print(f"  $ {truncate(line, 1000)}")
            for difference in differences[:3]:
                print(f"    {truncate(difference.what, 200)}: {difference.where}")
            if not allowed and len(differences) < len(result.differences):
                print("    other results of this command are within the allowance: the difference may follow from them")


def print_more(results):
    """Prints the commands with a status other than 0, and the slow cases."""
    for result in results:
        for line, status, message in zip(result.commands, result.statuses, result.messages):
            if status != 0:
                print(f"{result.group} {result.number}: status {status}: {truncate(line, 300)}\n    {message}")
        if max(result.seconds) > 2:
            old, new = result.seconds
            print(f"{result.group} {result.number}: {old:.1f} s and {new:.1f} s: {truncate(result.lines[0], 200)}")


def select_cases(options):
    """Returns the selected cases, each as a function that creates it."""
    selected = options.only_command
    if selected and selected.isdigit():
        return [functools.partial(random_case, options.seed, int(selected))]
    numbers = [] if selected else [n for n in range(options.commands) if not options.group or group_of(n) in options.group]
    cases = fixture_cases() if options.fixtures or selected else []
    if options.large or (selected or "").startswith("large"):
        cases += large_cases(options.scratch)
    if selected:
        cases = [case for case in cases if case.number == selected]
    elif options.group:
        cases = [case for case in cases if case.group in options.group]
    if selected and not cases:
        sys.exit(f"there is no command {selected}")
    return [functools.partial(random_case, options.seed, n) for n in numbers] + [lambda case=case: case for case in cases]


def parse_options():
    epilog = "The comment at the top of this file describes how outputs are compared."
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=epilog)
    parser.add_argument("old", metavar="OLD", help="reference program")
    parser.add_argument("new", metavar="NEW", help="program to compare with it")
    parser.add_argument("--commands", type=int, default=2000, metavar="N", help="random commands (default 2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the random commands (default 1)")
    parser.add_argument("--verbose", action="store_true", help="also print failed and slow commands")
    parser.add_argument("--only-command", metavar="NUMBER", help="run one command and keep its folder: 17, fixture-17, large-3")
    parser.add_argument("--group", action="append", metavar="NAME", help="run only this group; can be repeated")
    parser.add_argument("--no-fixtures", dest="fixtures", action="store_false", help="skip fixtures and documents")
    parser.add_argument("--large", action="store_true", help="add commands on files of about 70 MB")
    parser.add_argument("--max-ulp", type=int, default=0, metavar="N", help="allowed difference of --ulp-functions in ulps")
    parser.add_argument("--ulp-functions", default="", metavar="NAMES", help="layers to which --max-ulp applies: tanh,sigmoid")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="number of parallel commands (default 2)")
    options = parser.parse_args()
    options.ulp_functions = set(filter(None, options.ulp_functions.split(",")))
    for name in options.ulp_functions - set(LAYERS):
        parser.error(f"unknown layer {name}; the layers are {', '.join(LAYERS)}")
    for name in ("old", "new"):
        path = shutil.which(getattr(options, name))
        if path is None:
            parser.error(f"{getattr(options, name)} is not a program")
        setattr(options, name, os.path.abspath(path))
    return options


def run_all(cases, options, keep):
    """Runs all cases in parallel, and returns their results."""
    results = []
    is_terminal = sys.stderr.isatty()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda make: compare_case(make(), options, keep), cases):
            results.append(result)
            if is_terminal and len(results) % 20 == 0:
                print(f"\r{len(results)} of {len(cases)}", end="", file=sys.stderr, flush=True)
    if is_terminal:
        print("\r\x1b[K", end="", file=sys.stderr)
    return results


def main():
    options = parse_options()
    keep = [] if options.only_command else None
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="same-results-large-") as scratch:
        options.scratch = pathlib.Path(scratch)
        results = run_all(select_cases(options), options, keep)
    if not results:
        sys.exit("there is no such command")
    if options.verbose:
        print_more(results)
    print_table(results)
    print_differences(results, options)
    for result in results:
        if result.status not in (0, 1, 2, 3):
            description = "ended by a signal, a panic or the time limit"
            print(f"\n{description}: {result.group}, number {result.number}: {result.statuses}")
    differ = sum(result.differs for result in results)
    command_count = sum(len(result.statuses) for result in results)
    print(f"\n{len(results)} cases, {command_count} commands by each program, {time.monotonic() - begin:.0f} s: {differ} differ")
    for folder in keep or []:
        print(f"kept in {folder}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
