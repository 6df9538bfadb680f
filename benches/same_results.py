#!/usr/bin/env python3
"""Whether two builds of nnlayer give the same results, bit for bit.

    python3 benches/same_results.py OLD NEW [--commands 2000] [--seed 1] [--verbose]

Both programs run the same random commands and every case of fixtures/, the documents and tests/refusals.md, each in a
fresh folder with the same input files. Compared are the exit status, standard output and every file that is written.
Standard error is not, since the words of messages may change. What is printed is compared in one of three ways:

    exact     byte by byte: JSON, records, tapes, networks, .npy, .npz and .csv files
    headings  text results: arrays byte by byte, all other lines by their numbers
    numbers   reports, steps and graphs: the numbers, the verdicts and the marks, in their order

In JSON reports the strings that hold a blank are left out, and so are those of errors among records. The exit status is 1
where anything differs. A difference is shown with its number: --only-command NUMBER runs that command again and keeps its
folder. --group NAME runs one group only. --large adds commands on files of about 70 MB, which take a minute or two.

--max-ulp 1 --ulp-functions tanh,sigmoid allows results of those layers to differ by one unit in the last place, and lists
where they do. --precision exact has no such allowance. Needs nothing but Python 3.11's standard library; random_commands.py
and fixture_commands.py beside this file say what is run.
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
from random_commands import GROUPS, LAYERS, PICTURES, Edit, Run, Shell, group_of, random_case  # noqa: E402


# ---------------------------------------------------------------- running


@dataclasses.dataclass
class Output:
    """What a command printed and how it ended."""

    command: str
    form: str
    status: object
    stdout: bytes
    stderr: bytes


@dataclasses.dataclass
class Outcome:
    """What one program did with a case: the outputs of all commands, and the files that it wrote."""

    outputs: list
    files: dict


def run_program(program, arguments, stdin, folder, environment, timeout, shell=False):
    """Runs a command away from any terminal; when it takes too long, all that it has started ends with it."""
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
        return "time-out", stdout, stderr


def execute(program, case, folder):
    """Runs a case in a new folder of that name."""
    work, temporary, path = folder / "work", folder / "tmp", folder / "bin"
    for made in (work, temporary):
        made.mkdir(parents=True)
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
    # Programs in Python would write their bytecode beside themselves, with the path of the folder in it.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    outputs = []
    for step in case.steps:
        match step:
            case Run():
                data = step.stdin
                for stage in step.stages:
                    variables = environment | step.environment
                    ran = run_program(program, stage, data, work, variables, case.timeout)
                    outputs.append(Output(shlex.join(["nnlayer", *stage]), form_of(stage), *ran))
                    data = outputs[-1].stdout
            case Shell():
                ran = run_program(program, step.line, None, work, environment, case.timeout, shell=True)
                outputs.append(Output(step.line, "document", *ran))
            case Edit():
                source = work / step.source
                if source.exists():
                    (work / step.target).write_bytes(step.change(source.read_bytes()))
    files = {}
    for root in (work, temporary):
        for found in sorted(root.rglob("*")):
            name = found.relative_to(folder).as_posix()
            if found.is_symlink() or not found.is_file() or found.relative_to(root).parts[0] in case.links:
                continue
            # The contents of a large file are read when it is compared.
            files[name] = found if found.stat().st_size > 1 << 24 else found.read_bytes()
    return Outcome(outputs, files)


# ---------------------------------------------------------------- comparing

# Groups and repetitions that are never taken back: a long line is looked at once.
NUMBER = r"[-+]?(?>\d++\.?+\d*+|\.\d++)(?>[eE][-+]?\d++)?+"
WORD_NUMBER = r"[-+]?(?:nan|inf|NaN|Infinity)(?![A-Za-z])"
# A number that is no part of a name such as affine1 or f32.
ALONE = re.compile(rf"(?<![A-Za-z0-9_.])(?:{NUMBER}|{WORD_NUMBER})")
# What is left of a line when its words are taken out: colours, verdicts, marks and numbers.
VERDICT = r"\b(?:PASS|FAIL|INCONCLUSIVE|BLANK)\b|^(?:not )?ok\b|[✓✗]"
TOKEN = re.compile(rf"\x1b\[[0-9;]*m|{VERDICT}|{ALONE.pattern}", re.MULTILINE)
ARRAY_LINE = re.compile(rf"\s*+\[*+(?>\s*+(?>{NUMBER}|{WORD_NUMBER}|\.\.\.))*+\s*+\]*+\s*+")
PROSE = "(words)"


def form_of(words):
    """How the output of a command is compared: exact, headings, stream, report, steps or numbers."""
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


def tokens_of(text):
    return TOKEN.findall(text)


def parsed_json(text, prose):
    """A JSON document whose keys keep their order and whose numbers their digits.

    `prose` makes something of each string that holds a blank.
    """
    def string(value):
        if isinstance(value, str):
            return prose(value) if re.search(r"\s", value) else value
        if isinstance(value, list):
            return [string(v) for v in value]
        if isinstance(value, Pairs):
            return Pairs((key, string(v)) for key, v in value)
        return value

    return string(json.loads(text, object_pairs_hook=Pairs, parse_float=Digits, parse_int=Digits, parse_constant=str))


class Pairs(list):
    """The keys and values of an object in their order."""


class Digits(float):
    """A number that is compared by its digits."""

    def __new__(cls, text):
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __eq__(self, other):
        return isinstance(other, Digits) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return self.text


def normal_line(line):
    """A line of text results: an array or JSON as it is, anything else by what is left without words."""
    if ARRAY_LINE.fullmatch(line) or line.startswith("{"):
        return line
    return tokens_of(line)


def normal_record(line):
    """A record: as it is, but for the sentences of an error in its place."""
    if '"error":' in line:
        try:
            return parsed_json(line, lambda text: PROSE)
        except ValueError:
            pass
    return line


def normal_report(text, prose):
    try:
        return [parsed_json(text, prose)]
    except ValueError:
        return [tokens_of(line) for line in text.splitlines()]


def normal(data, form):
    """What of an output is compared: a list, its items the lines where it has lines."""
    if form == "exact":
        return data.split(b"\n")
    text = data.decode("utf-8", "replace")
    match form:
        case "headings":
            return [normal_line(line) for line in text.split("\n")]
        case "stream":
            return [normal_record(line) for line in text.split("\n")]
        case "report":
            return normal_report(text, lambda text: PROSE)
        case "steps":
            return normal_report(text, tokens_of)
        case "numbers":
            return [tokens_of(line) for line in text.splitlines()]
        case "document":
            # The commands of a page print anything: JSON is a result or a report.
            def any_line(line):
                return normal_report(line, lambda text: PROSE) if line.startswith("{") else normal_line(line)

            return [any_line(line) for line in text.split("\n")]
    raise ValueError(form)


def flat(items):
    for item in items:
        if type(item) is list:
            yield from flat(item)
        else:
            yield item


def same_form(old, new, form):
    if old == new:
        return True
    if form == "exact":
        return False
    old, new = normal(old, form), normal(new, form)
    # Without words, how what is left lies in lines does not matter.
    return list(flat(old)) == list(flat(new)) if form in ("numbers", "steps", "report") else old == new


def first_difference(old, new, form):
    """The first lines that differ, for somebody to read."""
    def lines(data):
        return data.decode("utf-8", "replace").splitlines() or [""]

    def compared(line):
        return line if form == "exact" else normal(line.encode(), form)

    def shown(line, other):
        begin = next((k for k, (a, b) in enumerate(zip(line, other)) if a != b), min(len(line), len(other)))
        return ("…" if begin > 60 else "") + line[max(begin - 60, 0) : begin + 80]

    # Where no line differs as it is compared, the difference is spread over lines, and the first that is not the same is shown.
    for same in (lambda a, b: compared(a) == compared(b), lambda a, b: a == b):
        for n, (a, b) in enumerate(itertools.zip_longest(lines(old), lines(new), fillvalue="(no such line)")):
            if not same(a, b):
                return f"line {n + 1}\n      old {shown(a, b)!r}\n      new {shown(b, a)!r}"
    return "the ends of lines"


def first_byte(old, new):
    at = next((k for k, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    some = slice(at, at + 24)
    return f"byte {at} of {len(old)} and {len(new)}\n      old {old[some].hex(' ')}\n      new {new[some].hex(' ')}"


def same_large(old, new):
    with open(old, "rb") as a, open(new, "rb") as b:
        while True:
            one, two = a.read(1 << 22), b.read(1 << 22)
            if one != two:
                return False
            if not one:
                return True


# Units in the last place.


def ordered(value, single):
    """A number's place among all numbers of its type."""
    code, signed, high = ("f", "i", 1 << 31) if single else ("d", "q", 1 << 63)
    try:
        bits = struct.unpack("<" + signed, struct.pack("<" + code, value))[0]
    except OverflowError:
        return ordered(math.copysign(math.inf, value), single)
    return bits if bits >= 0 else -high - bits


def ulps(a, b, single):
    if a == b or (a != a and b != b):
        return 0
    if a != a or b != b:
        return math.inf
    return abs(ordered(a, single) - ordered(b, single))


def last_place(texts, value):
    """What the last digit of a number counts that was printed with few digits; 0 where all are there."""
    digits = max(len(re.sub(r"[eE].*|[-+.]", "", text).lstrip("0")) for text in texts)
    if digits >= 15 or value == 0 or not math.isfinite(value):
        return 0.0
    return 10.0 ** (math.floor(math.log10(value)) - digits + 1)


def near_texts(old, new, most, single, report):
    """Whether two texts differ in their numbers alone, and these by so many units in the last place at most.

    A number of a report may be a difference of two results: it may be off by a unit of the largest number there is beside
    it, or of 1. A number that was printed with few digits may be off by one in the last of them.
    """
    old, new = (data.decode("utf-8", "replace") for data in (old, new))
    a, b = ALONE.findall(old), ALONE.findall(new)
    words = [ALONE.sub("#", text).split() for text in (old, new)]
    if len(a) != len(b) or (words[0] != words[1] and not report):
        return False
    pairs = [(float(x), float(y), (x, y)) for x, y in zip(a, b)]
    finite = [abs(value) for x, y, _ in pairs for value in (x, y) if math.isfinite(value)]
    unit = most * 2.0 ** (-23 if single else -52) * max([1.0, *finite]) if report else 0.0

    def near(x, y, texts):
        return ulps(x, y, single) <= most or abs(x - y) <= max(unit, 1.01 * last_place(texts, max(abs(x), abs(y))))

    return all(near(*pair) for pair in pairs)


def numbers_of_npy(data):
    """The header and the numbers of a .npy file of floating-point numbers."""
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    code = "f" if b"<f4" in data[:begin] else "d"
    return data[:begin], array.array(code, data[begin:]), code == "f"


def near_files(name, old, new, most, single):
    """Whether a file's numbers are within so many units in the last place of another's."""
    if name.endswith(".npy"):
        (a, xs, single), (b, ys, _) = numbers_of_npy(old), numbers_of_npy(new)
        return a == b and len(xs) == len(ys) and all(ulps(x, y, single) <= most for x, y in zip(xs, ys))
    if name.endswith(".npz"):
        a, b = zipfile.ZipFile(io.BytesIO(old)), zipfile.ZipFile(io.BytesIO(new))
        names = a.namelist()
        return names == b.namelist() and all(near_files(n, a.read(n), b.read(n), most, single) for n in names)
    return near_texts(old, new, most, single, report=name.endswith(PICTURES))


@dataclasses.dataclass
class Difference:
    """What differs between the outcomes of a case; `allowed` where it is within the units in the last place that are."""

    what: str
    where: str
    allowed: bool = False


def file_difference(name, old, new):
    """Where the contents of a file differ; None where they do not."""
    form = "numbers" if name.endswith(PICTURES) else "exact"
    if same_form(old, new, form):
        return None
    where = first_difference(old, new, form) if name.endswith((".json", ".csv", *PICTURES)) else first_byte(old, new)
    if name.endswith((".svg", ".html")):
        inside = [ALONE.findall(re.sub(r"<[^>]*>", "\n", data.decode("utf-8", "replace"))) for data in (old, new)]
        layout = "the same: the layout differs" if inside[0] == inside[1] else "not the same"
        where += f"\n      the numbers between tags are {layout}"
    return where


def differences(case, old, new, options):
    allowance = options.max_ulp if case.layers() & options.ulp_functions and case.precision() != "exact" else 0
    single = case.precision() == "f32"
    found = []
    for a, b in zip(old.outputs, new.outputs):
        if a.status != b.status:
            found.append(Difference(f"exit status of {a.command}", f"old {a.status}, new {b.status}"))
        if not same_form(a.stdout, b.stdout, a.form):
            report = a.form in ("report", "steps", "numbers", "document")
            near = allowance > 0 and near_texts(a.stdout, b.stdout, allowance, single, report)
            where = first_difference(a.stdout, b.stdout, a.form)
            found.append(Difference(f"standard output of {a.command}", where, near))
    for name in sorted(old.files.keys() | new.files.keys()):
        a, b = old.files.get(name), new.files.get(name)
        if a is None or b is None:
            found.append(Difference(f"file {name}", f"written by {'new' if a is None else 'old'} only"))
            continue
        if isinstance(a, pathlib.Path) and isinstance(b, pathlib.Path) and same_large(a, b):
            continue
        a, b = (file.read_bytes() if isinstance(file, pathlib.Path) else file for file in (a, b))
        where = file_difference(name, a, b)
        if where is not None:
            found.append(Difference(f"file {name}", where, allowance > 0 and near_files(name, a, b, allowance, single)))
    return found


def kind_of(outcome):
    """How closely a case is compared: by the weakest of its outputs and files."""
    kinds = {"numbers" for name in outcome.files if name.endswith(PICTURES)}
    for output in outcome.outputs:
        if output.form in ("numbers", "report", "steps") and output.stdout:
            kinds.add("numbers")
        elif any(type(line) is list for line in normal(output.stdout, output.form) if line):
            kinds.add("headings")
    return "numbers" if "numbers" in kinds else "headings" if kinds else "exact"


# ---------------------------------------------------------------- reporting


@dataclasses.dataclass
class Result:
    """What came of a case: enough to report it, without its files."""

    number: str
    group: str
    # The lines as one would type them, and each single command.
    lines: list
    commands: list
    kind: str
    statuses: list
    found: list
    seconds: list
    # The beginning of what the old program wrote to standard error, of each command.
    said: list

    @property
    def differs(self):
        return any(not difference.allowed for difference in self.found)

    @property
    def status(self):
        """One status of all commands: one that is none of nnlayer's, else an error, else that of the last."""
        strange = [status for status in self.statuses if status not in (0, 1, 2, 3)]
        return strange[0] if strange else 2 if 2 in self.statuses else self.statuses[-1] if self.statuses else 0


def judge(case, options, keep=None):
    """Runs a case with both programs. `keep` is where its folder is noted that is not to be removed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="same-results-"))
    try:
        outcomes, seconds = [], []
        for name, program in (("old", options.old), ("new", options.new)):
            begin = time.monotonic()
            outcomes.append(execute(program, case, folder / name))
            seconds.append(time.monotonic() - begin)
        old, new = outcomes
        found = differences(case, old, new, options)
        if keep is not None:
            write_down(case, outcomes, folder)
            keep.append(folder)
        said = [output.stderr[:300].decode("utf-8", "replace").split("\n")[0] for output in old.outputs]
        statuses = [output.status for output in old.outputs]
        commands = [output.command for output in old.outputs]
        return Result(case.number, case.group, list(case.lines()), commands, kind_of(old), statuses, found, seconds, said)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def write_down(case, outcomes, folder):
    """The commands of a case and what both programs printed, beside the folders that they ran in."""
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
        row["differ" if result.differs else "allowed" if result.found else "same"] += 1
        row[result.kind] += 1
        row["status 0" if result.status == 0 else str(result.status) if result.status in (1, 2, 3) else "other"] += 1
        row["seconds"] += sum(result.seconds)
    drawn = [row for name, row in groups.items() if name in GROUPS]
    totals = {"random": drawn} if 1 < len(drawn) < len(groups) else {}
    totals = {name: {c: sum(row[c] for row in rows) for c in COLUMNS} for name, rows in (totals | {"all": groups.values()}).items()}
    width = max(map(len, [*groups, *totals])) + 2
    print(f"{'group':{width}}" + "".join(f"{name:>{max(len(name), 5) + 2}}" for name in COLUMNS))
    for name, row in [*groups.items(), *totals.items()]:
        print(f"{name:{width}}" + "".join(f"{row[column]:>{max(len(column), 5) + 2}.0f}" for column in COLUMNS))


def shortened(text, most):
    return text if len(text) <= most else text[:most] + " …"


def print_differences(results, options):
    for allowed in (True, False):
        for result in results:
            found = [difference for difference in result.found if difference.allowed == allowed]
            if not found:
                continue
            seed = f"--seed {options.seed} " if result.number.isdigit() else ""
            title = "within the allowance" if allowed else "DIFFERENT"
            print(f"\n{title}: {result.group}, number {result.number} (again: {seed}--only-command {result.number})")
            for line in result.lines:
                print(f"  $ {shortened(line, 1000)}")
            for difference in found[:3]:
                print(f"    {shortened(difference.what, 200)}: {difference.where}")
            if not allowed and len(found) < len(result.found):
                print("    other results of this command are within the allowance: the difference may follow from them")


def print_more(results):
    """Commands that did not end with status 0, and cases that took long."""
    for result in results:
        for line, status, said in zip(result.commands, result.statuses, result.said):
            if status != 0:
                print(f"{result.group} {result.number}: status {status}: {shortened(line, 300)}\n    {said}")
        if max(result.seconds) > 2:
            old, new = result.seconds
            print(f"{result.group} {result.number}: {old:.1f} s and {new:.1f} s: {shortened(result.lines[0], 200)}")


def find_cases(options):
    """All cases that are asked for, each as a function that makes it."""
    wanted = options.only_command
    if wanted and wanted.isdigit():
        return [functools.partial(random_case, options.seed, int(wanted))]
    numbers = [] if wanted else [n for n in range(options.commands) if not options.group or group_of(n) in options.group]
    made = fixture_cases() if options.fixtures or wanted else []
    if options.large or (wanted or "").startswith("large"):
        made += large_cases(options.scratch)
    if wanted:
        made = [case for case in made if case.number == wanted]
    elif options.group:
        made = [case for case in made if case.group in options.group]
    if wanted and not made:
        sys.exit(f"there is no command {wanted}")
    return [functools.partial(random_case, options.seed, n) for n in numbers] + [lambda case=case: case for case in made]


def parse_options():
    epilog = "The head of this file says how outputs are compared."
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=epilog)
    parser.add_argument("old", metavar="OLD", help="the program that is right")
    parser.add_argument("new", metavar="NEW", help="the program that has to give the same")
    parser.add_argument("--commands", type=int, default=2000, metavar="N", help="random commands (default 2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random commands (default 1)")
    parser.add_argument("--verbose", action="store_true", help="show what did not end with status 0, and what was slow")
    parser.add_argument("--only-command", metavar="NUMBER", help="run one and keep its folder: 17, fixture-17, large-3")
    parser.add_argument("--group", action="append", metavar="NAME", help="run this group only; may be given again")
    parser.add_argument("--no-fixtures", dest="fixtures", action="store_false", help="leave out fixtures and documents")
    parser.add_argument("--large", action="store_true", help="add commands on files of about 70 MB")
    parser.add_argument("--max-ulp", type=int, default=0, metavar="N", help="how far --ulp-functions may differ")
    parser.add_argument("--ulp-functions", default="", metavar="NAMES", help="layers with that allowance: tanh,sigmoid")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="commands at a time (default 2)")
    options = parser.parse_args()
    options.ulp_functions = set(filter(None, options.ulp_functions.split(",")))
    for name in options.ulp_functions - set(LAYERS):
        parser.error(f"{name} is no layer: {', '.join(LAYERS)}")
    for name in ("old", "new"):
        path = shutil.which(getattr(options, name))
        if path is None:
            parser.error(f"{getattr(options, name)} is no program")
        setattr(options, name, os.path.abspath(path))
    return options


def run_all(cases, options, keep):
    """The results of all cases, some at a time."""
    results = []
    shown = sys.stderr.isatty()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda make: judge(make(), options, keep), cases):
            results.append(result)
            if shown and len(results) % 20 == 0:
                print(f"\r{len(results)} of {len(cases)}", end="", file=sys.stderr, flush=True)
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr)
    return results


def main():
    options = parse_options()
    keep = [] if options.only_command else None
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="same-results-large-") as scratch:
        options.scratch = pathlib.Path(scratch)
        results = run_all(find_cases(options), options, keep)
    if not results:
        sys.exit("there is no such command")
    if options.verbose:
        print_more(results)
    print_table(results)
    print_differences(results, options)
    for result in results:
        if result.status not in (0, 1, 2, 3):
            how = "ended by a signal, a panic or the time-out"
            print(f"\n{how}: {result.group}, number {result.number}: {result.statuses}")
    differ = sum(result.differs for result in results)
    runs = sum(len(result.statuses) for result in results)
    print(f"\n{len(results)} cases, {runs} commands by each program, {time.monotonic() - begin:.0f} s: {differ} differ")
    for folder in keep or []:
        print(f"kept in {folder}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
