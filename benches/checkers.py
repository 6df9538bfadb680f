#!/usr/bin/env python3
"""Compares the verdicts of nnlayer gradcheck with those of two other gradient checkers on the programs of tests/corpus.

    cargo build --release && python3 benches/checkers.py                      # 600 programs, 3 seeds; ten minutes
    python3 benches/checkers.py --sample 60 --seeds 1                         # fewer
    python3 benches/checkers.py --write                                       # also write the table of docs/gradcheck.md

The sample is evenly spaced among the programs in f64, and in f32, that nnlayer runs as `--layer custom`, so that each checker knows
only the program. Each gets the same inputs. Needs numpy and jax (`pip install numpy jax`).

- JAX: `jax.test_util.check_vjp` itself, the comparison that `jax.test_util.check_grads` makes for reverse mode, with its defaults
  for the type. It compares one number, along one random direction.
- PyTorch: the rule of `torch.autograd.gradcheck` in NumPy, not the function itself. Its documentation gives the defaults
  eps=1e-6, atol=1e-5, rtol=1e-3, nondet_tol=0
  (https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html), and the note on its mechanics the
  comparison (https://docs.pytorch.org/docs/stable/notes/gradcheck.html): the whole Jacobian by central differences, and by one
  backward pass for each output. The backward pass must also give the same numbers twice, and zeros for a zero dout. The
  documentation says that the defaults are designed for double precision and will likely fail with less.
"""
import argparse, importlib.metadata, json, pathlib, subprocess, sys
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gradcheck.md"
BEGIN, END = "<!-- checkers -->\n", "<!-- end of checkers -->"
sys.path.insert(0, str(ROOT / "tests" / "corpus"))
import rounded
import run
from arrays import each, round_to_digits
from command_line import Check, checks, evenly_spaced, operands
from program import Program

TYPES = {"f64": np.float64, "f32": np.float32}
EPS, ATOL, RTOL = 1e-6, 1e-5, 1e-3


class Comparison(Check):
    """A check whose inputs are all given, so that every checker has the same."""

    def inputs(self, seed):
        """Returns name → array, rounded to the type of the program."""
        values = operands(self.layer, self.case, seed)
        return {name: np.array(value, TYPES[self.precision]) for name, value in values.items()}

    def options(self, seed, detect_precision=False):
        inputs = self.inputs(seed)
        replaced = tuple(f"--shape={name}=" for name in inputs) + tuple(f"--{name}=" for name in inputs)
        others = [option for option in super().options(seed, detect_precision) if not option.startswith(replaced)]
        return others + [f"--input={name}={json.dumps(value.tolist())}" for name, value in inputs.items()]


class Function:
    """A program as a function of the inputs that it has gradients for, and its backward pass."""

    def __init__(self, check, seed):
        rounded.use(check.precision)
        self.program = Program(check.layer, check.variant, check.precision)
        self.type, self.digits = TYPES[check.precision], check.case.digits
        self.inputs = check.inputs(seed)
        output = self.output_of(self.inputs)
        gradients = Program(check.layer, "right" if check.layer.right else check.variant, check.precision).gradients(
            self.numbers(self.inputs), each(rounded.number, np.ones_like(output).tolist())
        )
        self.names = [name for name in self.inputs if f"d{name}" in gradients]
        self.arguments = tuple(self.inputs[name] for name in self.names)

    @staticmethod
    def numbers(inputs):
        return {name: each(rounded.number, value.tolist()) for name, value in inputs.items()}

    def array(self, value):
        return np.array(round_to_digits(value, self.digits), self.type)

    def output_of(self, inputs):
        outputs = self.program.outputs(self.numbers(inputs))
        return self.array(outputs["loss"] if "loss" in outputs else outputs["y"])

    def __call__(self, *arguments):
        return self.output_of({**self.inputs, **dict(zip(self.names, arguments))})

    def backward(self, dout):
        """Returns the gradients, in the order of the arguments."""
        gradients = self.program.gradients(self.numbers(self.inputs), each(rounded.number, dout.tolist()))
        return tuple(self.array(gradients[f"d{name}"]) for name in self.names)


def passes_jax(function):
    from jax.test_util import check_vjp

    try:
        check_vjp(function, lambda *arguments: (function(*arguments), function.backward), function.arguments)
    except (AssertionError, ValueError):  # numbers that differ; shapes that do not fit
        return False
    return True


def passes_pytorch_rule(function):
    output = function(*function.arguments)
    if any(gradient.any() for gradient in function.backward(np.zeros_like(output))):
        return False
    numerical = numerical_jacobians(function)
    twice = [[function.backward(unit.reshape(output.shape)) for unit in np.eye(output.size, dtype=output.dtype)] for _ in range(2)]
    for k, argument in enumerate(function.arguments):
        if any(gradients[k].shape != argument.shape for rows in twice for gradients in rows):
            return False
        first, second = (np.array([gradients[k].ravel() for gradients in rows]) for rows in twice)
        if (np.abs(first - second) > 0).any() or not np.allclose(first, numerical[k], rtol=RTOL, atol=ATOL):
            return False
    return True


def numerical_jacobians(function):
    """Returns for each argument the derivative of each output (rows) by each entry (columns), in the type of the program."""
    jacobians = []
    for k, argument in enumerate(function.arguments):
        columns = []
        for entry in range(argument.size):
            sides = []
            for step in (-EPS, EPS):
                moved = argument.copy()
                moved.flat[entry] += step
                sides.append(function(*function.arguments[:k], moved, *function.arguments[k + 1 :]))
            columns.append((sides[1] - sides[0]).ravel() / function.type(2 * EPS))
        jacobians.append(np.array(columns).T)
    return jacobians


def nnlayer_verdict(check, seed, options):
    outcome = run.run_check(check, seed, options)
    return "PASS" if outcome.verdict == "PASS" else "FAIL" if outcome.verdict in ("FAIL", "UNSTEADY") else outcome.verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnlayer", default=str(ROOT / "target" / "release" / "nnlayer"), help="the binary to run")
    parser.add_argument("--sample", type=int, default=300, help="number of programs in each type (default 300)")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--write", action="store_true", help="write the table to docs/gradcheck.md")
    options = parser.parse_args()
    as_run = argparse.Namespace(
        nnlayer=options.nnlayer, python=sys.executable, timeout=120, accumulate=None, detect_precision=False, one_start_a_request=False
    )
    chosen = []
    for precision in TYPES:
        comparable = [check for check in checks() if check.known_as == "custom" and check.precision == precision]
        chosen += [Comparison(**vars(check)) for check in evenly_spaced(comparable, options.sample)]
    runs = [(check, seed) for check in chosen for seed in range(1, options.seeds + 1)]

    # nnlayer first: its programs are forked, and JAX starts threads.
    verdicts = {"nnlayer": []}
    for n, (check, seed) in enumerate(runs):
        verdicts["nnlayer"].append(nnlayer_verdict(check, seed, as_run))
        if (n + 1) % 200 == 0:
            print(f"{n + 1} of {len(runs)} runs", file=sys.stderr, flush=True)
    import jax

    jax.config.update("jax_enable_x64", True)
    for name, passes in (("JAX `check_vjp`", passes_jax), ("rule of PyTorch's gradcheck", passes_pytorch_rule)):
        with np.errstate(all="ignore"):
            verdicts[name] = ["PASS" if passes(Function(check, seed)) else "FAIL" for check, seed in runs]

    section = f"{introduction(options, runs)}\n\n{table(runs, verdicts)}\n"
    print(section)
    if options.write:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + section + END + rest.split(END)[1])


def introduction(options, runs):
    version = subprocess.run([options.nnlayer, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("jax", "numpy"))
    return (
        f"Measured by `python3 benches/checkers.py --sample {options.sample} --seeds {options.seeds}` ({version}, {versions})."
    )


def table(runs, verdicts):
    lines = ["| checker | type | wrong, passed | right, failed | undecided wrong | undecided right |", "|---|---|---:|---:|---:|---:|"]
    for precision in TYPES:
        for name, given in verdicts.items():
            cells = []
            for words in (("PASS",), ("FAIL",)), (("INCONCLUSIVE", "ERROR"),) * 2:
                for is_right, counted in zip((False, True), words):
                    of_these = [v for (check, _), v in zip(runs, given) if check.precision == precision and check.is_right == is_right]
                    cells.append(f"{sum(v in counted for v in of_these):,} of {len(of_these):,}")
            lines.append(f"| {name} | {precision} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
