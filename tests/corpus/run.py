"""Runs the corpus: `nnlayer gradcheck` on right and wrong programs, over several seeds.

    python3 tests/corpus/run.py --nnlayer target/release/nnlayer --seeds 3 --sample 100

It prints a line for each program and the totals. The exit status is 1 if a wrong program passed, a right one
failed, or a check ended with an error.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from command_line import checks, evenly_spaced
from corpus import PRECISIONS
from forked import forked

PROGRAM = Path(__file__).parent / "program.py"

# Kind of mistake in the corpus → the kinds that nnlayer may report for it. A kind that is absent here may be
# reported in any words.
KINDS = {
    "sign": "sign|factor",
    "factor": "factor|setting|divided|mean",
    "zero": "zero",
    "dout": "dout|upstream",
    "transposed": "transpos|shape",
    "transposed-weight": "Wᵀ|transpos",
    "rows": "rows? |permut|order",
    "columns": "columns? |permut|order",
    "entry": "entry|entries",
    "row": "row",
    "column": "column",
    "tail": "tail|last|remainder|one row",
    "unsummed": "not summed|shape",
    "accumulated": "accumul|state|call",
    "stale": "stale|previous|cache|call|state",
    "integers": "integer|whole",
    "precision": "precision|f32|f16|single|half",
    "eps": "setting",
    "axis": "axis|setting",
    "diagonal": "diagonal",
    "setting": "setting|factor|mean|label|weight|log",
    "forward": "",
}

FALSE = {"false pass", "false accusation", "error"}
STATEFUL = ("accumulated", "stale", "noise")


class Outcome:
    """The verdict of one run, and the kinds of mistake that it reported; `command` repeats it."""

    def __init__(self, command, verdict, seconds, kinds=(), wrong_results=(), detail=""):
        self.command = command
        self.verdict = verdict
        self.seconds = seconds
        self.kinds = sorted(set(kinds))
        self.wrong_results = sorted(set(wrong_results))
        self.detail = detail


def run_check(check, seed, options):
    arguments = check.arguments()
    gradcheck = [options.nnlayer, "gradcheck", *check.options(seed, options.detect_precision)]
    if options.accumulate and check.precision != "f64":
        arguments += ["--accumulate", options.accumulate]
        gradcheck.append(f"--accumulate={options.accumulate}")
    program = [options.python, str(PROGRAM)]
    if options.one_start_a_request:
        command = [*gradcheck, "--", *program, *arguments]
        return run_nnlayer(check, options, shlex.join(command), command)
    gradcheck.append("--persistent")
    shown = shlex.join([*gradcheck, "--", *program, *arguments])
    with forked(program, arguments) as start:
        return run_nnlayer(check, options, shown, [*gradcheck, "--", *start])


def run_nnlayer(check, options, shown, command):
    command[2:2] = ["--format=json", "--no-stdin", "--error-format=json"]
    start = time.monotonic()
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout)
    except subprocess.TimeoutExpired:
        return Outcome(shown, "ERROR", time.monotonic() - start, detail=f"no verdict within {options.timeout} s")
    seconds = time.monotonic() - start
    try:
        report = json.loads(result.stdout.splitlines()[-1])
        findings = report["findings"]
    except (IndexError, KeyError, ValueError):
        # A program whose reply depends on the points before is also found out if nnlayer refuses it for that.
        verdict = "UNSTEADY" if '"reply-unsteady"' in result.stderr and check.kind in STATEFUL else "ERROR"
        return Outcome(shown, verdict, seconds, detail=result.stderr.strip()[:300])
    failed = [finding for finding in findings if finding["verdict"] == "FAIL"]
    return Outcome(
        shown,
        report["verdict"],
        seconds,
        kinds=[diagnosis["kind"] for finding in failed for diagnosis in finding["diagnoses"]],
        wrong_results=[finding["result"] for finding in failed],
    )


def refused_precisions(options):
    """Returns the precisions that this nnlayer has no option for."""
    refused = set()
    if options.detect_precision:
        return refused
    for precision in ("f32", "f16", "bf16"):
        command = [options.nnlayer, "gradcheck", "--layer=relu", "--x=1", "--no-stdin", f"--precision={precision}"]
        text = subprocess.run([*command, "--", options.python, str(PROGRAM), "relu", "right", precision], capture_output=True, text=True).stderr
        if "invalid value" in text or "not one of" in text:
            refused.add(precision)
    return refused


def problems(check, outcome):
    """Returns the words for what is wrong with an outcome, and for what is missing in it."""
    if outcome.verdict == "ERROR":
        return ["error"]
    if outcome.verdict == "UNSTEADY":
        return ["no kind"]
    if outcome.verdict == "INCONCLUSIVE":
        return ["undecided"]
    if check.is_right:
        return ["false accusation"] if outcome.verdict == "FAIL" else []
    if outcome.verdict == "PASS":
        return ["false pass"]
    if check.kind == "forward":
        outputs = {"y", "loss"}
        return [] if outputs & set(outcome.wrong_results) else ["wrong kind"]
    pattern = KINDS.get(check.kind)
    if pattern is None:
        return []
    if not outcome.kinds:
        return ["no kind"]
    return [] if any(re.search(pattern, reported, re.IGNORECASE) for reported in outcome.kinds) else ["wrong kind"]


def select(options):
    chosen = checks()
    if options.only:
        chosen = [check for check in chosen if check.layer.name in options.only]
    if options.variant:
        chosen = [check for check in chosen if check.variant in options.variant]
    if options.precision:
        chosen = [check for check in chosen if check.precision in options.precision]
    return evenly_spaced(chosen, options.sample)


def split_by_precision(options):
    """Returns the selected checks in precisions that this nnlayer has no option for, and the others."""
    chosen = select(options)
    refused = refused_precisions(options)
    return [check for check in chosen if check.precision in refused], [check for check in chosen if check.precision not in refused]


class Worker:
    """A process that runs checks; it selects them again, since the functions of a layer cannot be sent to it."""

    @staticmethod
    def prepare(options):
        Worker.options = options
        Worker.checks = split_by_precision(options)[1]

    @staticmethod
    def run(number):
        """Returns the outcomes of a check, one for each seed."""
        options = Worker.options
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        return [run_check(Worker.checks[number], seed, options) for seed in seeds]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnlayer", default="nnlayer", help="the binary to run")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the programs")
    parser.add_argument("--only", action="append", help="name of a layer; may be repeated")
    parser.add_argument("--variant", action="append", help="name of a variant, such as right; may be repeated")
    parser.add_argument("--precision", action="append", help="f64, f32, f16 or bf16; may be repeated")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds (default 1)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--sample", type=int, help="run only this many programs, evenly spaced")
    parser.add_argument("--jobs", type=int, default=1, help="checks to run at once (default 1)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one check")
    parser.add_argument("--accumulate", help="carry the sums of programs below f64 in this type, as in f32")
    parser.add_argument("--detect-precision", action="store_true", help="leave out --precision, so that nnlayer finds it")
    parser.add_argument("--one-start-a-request", action="store_true", help="start the program for each request")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="print only programs with a problem")
    parser.add_argument("--list", action="store_true", help="print the programs and run none")
    parser.add_argument("--table", action="store_true", help="print a table of the layers and run none")
    return parser.parse_args()


def describe(check):
    case = f" [{check.case_name}]" if check.case_name else ""
    return f"{check.precision:4} {check.layer.name} --layer {check.known_as}: {check.variant}{case}"


def main():
    options = parse_arguments()
    chosen = select(options)
    if options.list:
        for check in chosen:
            print(describe(check))
        return 0

    if options.table:
        print(table(chosen))
        return 0

    skipped, chosen = split_by_precision(options)
    totals = Counter()
    records = []
    with ProcessPoolExecutor(options.jobs, initializer=Worker.prepare, initargs=(options,)) as pool:
        for check, outcomes in zip(chosen, pool.map(Worker.run, range(len(chosen)))):
            found = [problem for outcome in outcomes for problem in problems(check, outcome)]
            totals.update(found)
            totals["runs"] += len(outcomes)
            totals["failed with a known kind"] += sum(outcome.verdict == "FAIL" and check.kind in KINDS for outcome in outcomes)
            records.append(record(check, outcomes, found))
            if found or not options.quiet:
                print(line(check, outcomes, found), flush=True)
            if options.quiet and len(records) % 200 == 0:
                print(f"{len(records)} of {len(chosen)} programs", file=sys.stderr, flush=True)

    print(summary(chosen, skipped, totals))
    if options.json:
        Path(options.json).write_text(json.dumps({"totals": totals, "programs": records}, ensure_ascii=False, indent=1) + "\n")
    return 1 if any(totals[words] for words in FALSE) else 0


def table(chosen):
    """Returns a Markdown table of the layers and the number of programs: one row for each file of layers/."""
    programs = {(check.layer.name, check.variant, check.precision): check for check in chosen}.values()
    lines = [f"| family | layers | right | wrong | {' | '.join(PRECISIONS)} |", "|---|---|" + "---:|" * (2 + len(PRECISIONS))]
    for family in sorted({check.layer.family for check in programs}):
        members = [check for check in programs if check.layer.family == family]
        layers = ", ".join(dict.fromkeys(check.layer.name for check in members))
        lines.append(f"| {family.replace('_', ' ')} | {layers} | {counts(members)} |")
    lines.append(f"| all | {len({check.layer.name for check in programs})} layers | {counts(programs)} |")
    return "\n".join(lines)


def counts(programs):
    """Returns the numbers of right programs, wrong programs, and programs in each precision."""
    right = sum(check.is_right for check in programs)
    each = [sum(check.precision == precision for check in programs) for precision in PRECISIONS]
    return " | ".join(f"{number:,}" for number in [right, len(programs) - right, *each])


def record(check, outcomes, found):
    return {
        "layer": check.layer.name,
        "as": check.known_as,
        "variant": check.variant,
        "precision": check.precision,
        "case": check.case_name,
        "expected": "PASS" if check.is_right else "FAIL",
        "kind": check.kind,
        "verdicts": [outcome.verdict for outcome in outcomes],
        "kinds": [outcome.kinds for outcome in outcomes],
        "wrong results": [outcome.wrong_results for outcome in outcomes],
        "problems": found,
        "errors": [outcome.detail for outcome in outcomes if outcome.detail],
        "seconds": [round(outcome.seconds, 3) for outcome in outcomes],
    }


def line(check, outcomes, found):
    verdicts = " ".join(f"{verdict}×{count}" for verdict, count in Counter(outcome.verdict for outcome in outcomes).items())
    kinds = ", ".join(sorted({kind for outcome in outcomes for kind in outcome.kinds}))
    seconds = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
    words = ", ".join(f"{problem}×{count}" for problem, count in Counter(found).items())
    errors = "".join(f"\n    {outcome.detail}" for outcome in outcomes[:1] if outcome.verdict == "ERROR")
    commands = "".join(f"\n    {outcome.command}" for outcome in outcomes if FALSE & set(problems(check, outcome)))
    return f"{describe(check)}: {verdicts}{f' ({kinds})' if kinds else ''} {seconds:.2f} s{f'  <- {words}' if words else ''}{errors}{commands}"


def summary(chosen, skipped, totals):
    right = sum(check.is_right for check in chosen)
    layers = len({check.layer.name for check in chosen})
    text = [
        f"{len(chosen)} programs of {layers} layers, {right} right and {len(chosen) - right} wrong, {totals['runs']} runs",
        f"false passes: {totals['false pass']}, false accusations: {totals['false accusation']}, errors: {totals['error']}",
        f"undecided: {totals['undecided']}, wrong kinds: {totals['wrong kind']}, failed without a kind: {totals['no kind']}"
        f" (of {totals['failed with a known kind']} runs that failed for a mistake of a known kind)",
    ]
    if skipped:
        text.append(f"skipped, as nnlayer has no such precision: {len(skipped)}")
    return "\n".join(text)


if __name__ == "__main__":
    sys.exit(main())
