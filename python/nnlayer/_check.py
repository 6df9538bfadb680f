"""Checks functions of this process with ``nnlayer gradcheck``."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from typing import Any

from . import _frameworks
from ._arrays import decode, encode
from ._program import find_program, option, raise_messages
from ._run import find_layer, operand_arguments, setting_arguments

HELLO = {"nnlayer": 2, "arrays": "base64"}
BRIDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_bridge.py")
CUSTOM: dict[str, Any] = {"name": "custom", "output": "y", "operands": [], "settings": [], "results": []}


@dataclass(frozen=True)
class Mistake:
    """A mistake that the check found by name."""

    #: The result that is wrong: ``"y"``, ``"dgamma"``.
    result: str
    #: Its kind, such as ``"wrong sign"``.
    kind: str
    #: A sentence about it.
    words: str


@dataclass(frozen=True)
class Report:
    """The report of a check. It is true if the verdict is PASS, and its text is that of the command."""

    #: ``"PASS"``, ``"FAIL"`` or ``"INCONCLUSIVE"``.
    verdict: str
    #: The report as ``nnlayer gradcheck`` prints it.
    text: str
    #: The mistakes that were found by name.
    mistakes: tuple[Mistake, ...]
    #: What was found for each result, as in the report that ``--json`` writes.
    findings: tuple[dict[str, Any], ...]

    def __bool__(self) -> bool:
        return self.verdict == "PASS"

    def __str__(self) -> str:
        return self.text

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> Report:
        """Returns the report that ``nnlayer gradcheck --json`` wrote."""
        findings = tuple(report["findings"])
        diagnoses = [(finding["result"], diagnosis) for finding in findings for diagnosis in finding["diagnoses"]]
        mistakes = tuple(Mistake(result, diagnosis["kind"], diagnosis["words"]) for result, diagnosis in diagnoses)
        return cls(report["verdict"], report["text"], mistakes, findings)


def check(
    fn: Any,
    layer: str = "custom",
    *,
    backward: Callable[..., Any] | None = None,
    framework: str = "numpy",
    shapes: Mapping[str, Sequence[int]] | None = None,
    precision: str | None = None,
    accumulate: str | None = None,
    seed: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    nondet_tol: float | None = None,
    timeout: float | None = None,
    **operands_and_settings: Any,
) -> Report:
    """Checks the forward and backward pass of a layer of your own, and returns the report.

    ``fn`` is the forward pass, ``fn(x, …, **settings)``, and ``backward(dout, x, …, **settings)`` the backward pass; or ``fn``
    is an object that has both as ``forward`` and ``backward``. The operands come in the order of ``nnlayer help LAYER``;
    optional ones that are not given are left out at the end, and are None before others. Only settings that are given here are
    passed on. The forward pass returns the output, a tuple of outputs, or a dict of them by name. The backward pass
    returns the gradients of the operands that have one: a single one, a tuple, or a dict with names such as ``"dx"``.

    ``framework`` is ``"numpy"``, ``"torch"`` or ``"jax"``: the library of the arrays that the functions get. With the last two,
    ``backward`` may be absent: the gradients are then those of ``torch.autograd`` or ``jax.vjp`` through ``fn``.

    ``layer`` is the name of a layer, or ``"custom"``: its gradients are compared with numerical differentiation of its own forward
    pass, and its operands are those of ``shapes``, ``{"q": (4, 3), "k": (5, 3)}``, or given as keywords.
    Other operands and settings are keywords as in :func:`nnlayer.run`; operands that are absent are drawn at random by ``seed``.
    The rest are options of ``nnlayer gradcheck``, as its help describes them; ``timeout`` is in seconds for each call.

    >>> check(np.tanh, "tanh", backward=lambda dout, x: dout * (1 - np.tanh(x)) ** 2).mistakes
    (Mistake(result='dx', kind=…), …)

    An exception of the functions is raised here. Raises :class:`nnlayer.Error` where the command ends with an error.
    """
    row = CUSTOM if layer == "custom" else find_layer(layer)
    given = dict(operands_and_settings)
    with tempfile.TemporaryDirectory(prefix="nnlayer-") as folder:
        if layer == "custom":
            operands = {name: operand_arguments([name], {name: value}, folder)[0] for name, value in given.items()}
            arguments = [f"--input={text[2:]}" for text in operands.values()]
            names = [*(shapes or {}), *(name for name in operands if name not in (shapes or {}))]
            row = {**row, "operands": [{"name": name, "gradient": f"d{name}", "values": "numbers"} for name in names]}
            given = {}
        else:
            names = [operand["name"] for operand in row["operands"]]
            arguments = operand_arguments([*names, "dout"], given, folder)
            arguments += setting_arguments(row, given)
        for name, shape in (shapes or {}).items():
            arguments += ["--shape", f"{name.replace('_', '-')}={'x'.join(map(str, shape)) or 1}"]
        options = {"precision": precision, "accumulate": accumulate, "seed": seed, "rtol": rtol, "atol": atol}
        options.update({"nondet_tol": nondet_tol, "timeout": timeout})
        arguments += [f"{option(name)}={value}" for name, value in options.items() if value is not None]
        function = Function(row, fn, backward, given, _frameworks.find(framework, precision))
        stdout, stderr, status = serve(["gradcheck", "--layer", layer, *arguments, "--persistent", "--json"], function)
    raise_messages(stderr, status)
    return Report.from_json(json.loads(stdout))


class Function:
    """The functions under test, as they answer a request."""

    def __init__(
        self,
        row: dict[str, Any],
        fn: Any,
        backward: Callable[..., Any] | None,
        settings: dict[str, Any],
        framework: _frameworks.Framework,
    ) -> None:
        is_object = backward is None and hasattr(fn, "backward")
        self.forward: Callable[..., Any] = fn.forward if is_object else fn
        self.backward: Callable[..., Any] | None = fn.backward if is_object else backward
        self.row, self.settings, self.framework = row, settings, framework
        if self.backward is None and framework.differentiate is None:
            raise TypeError("backward is required: a function, or a method of the object; or framework='torch' or 'jax'")

    def try_to_answer(self, line: bytes) -> tuple[bytes | None, Exception | None]:
        """Returns the reply to a request, or the exception of a function under test."""
        try:
            return self.answer(line), None
        except Exception as error:
            return None, error

    def answer(self, line: bytes) -> bytes:
        """Returns the reply to a request."""
        request = json.loads(line)
        reply = {"points": [self.compute(point) for point in request["points"]]} if request["points"] else HELLO
        return json.dumps(reply).encode() + b"\n"

    def compute(self, point: dict[str, Any]) -> dict[str, Any]:
        inputs = {name: decode(array) for name, array in point["inputs"].items()}
        operands = list(self.row["operands"])
        while operands and operands[-1]["name"] not in inputs:
            operands.pop()
        arrays = [self.framework.convert(inputs.get(operand["name"]), operand["values"]) for operand in operands]
        outputs = self.name_outputs(self.forward(*arrays, **self.settings))
        reply = {"outputs": {name: encode(value) for name, value in outputs.items()}}
        if "dout" in point:
            dout = self.framework.convert(decode(point["dout"]), "numbers")
            present = [operand for operand in operands if operand["gradient"] and operand["name"] in inputs]
            if self.backward is not None:
                gradients = self.name_gradients(self.backward(dout, *arrays, **self.settings), present)
            else:
                computed = self.differentiate(dout, arrays, [operands.index(operand) for operand in present])
                gradients = self.name_gradients(tuple(computed), present)
            reply["gradients"] = {name: encode(value) for name, value in gradients.items()}
        return reply

    def differentiate(self, dout: Any, arrays: list[Any], positions: list[int]) -> Sequence[Any]:
        """Returns the gradients that the framework computes at the arrays of these positions."""

        def output(*variables: Any) -> Any:
            at = list(arrays)
            for position, variable in zip(positions, variables):
                at[position] = variable
            return self.name_outputs(self.forward(*at, **self.settings))[self.row["output"]]

        assert self.framework.differentiate is not None
        return self.framework.differentiate(output, [arrays[position] for position in positions], dout)

    def name_outputs(self, outputs: Any) -> dict[str, Any]:
        if isinstance(outputs, dict):
            return outputs
        if not isinstance(outputs, tuple):
            return {self.row["output"]: outputs}
        names = [result["name"] for result in self.row["results"] if not result["is_gradient"]]
        return assign(names, outputs, "outputs")

    def name_gradients(self, gradients: Any, present: list[dict[str, Any]]) -> dict[str, Any]:
        if isinstance(gradients, dict):
            return gradients
        names = [operand["gradient"] for operand in present]
        return assign(names, gradients if isinstance(gradients, tuple) else (gradients,), "gradients")


def assign(names: list[str], values: tuple[Any, ...], what: str) -> dict[str, Any]:
    """Returns the values by name; those that are None are left out."""
    if len(values) != len(names):
        raise TypeError(f"expected the {what} {', '.join(names)}, got {len(values)}; return a dict to name them")
    return {name: value for name, value in zip(names, values) if value is not None}


def serve(arguments: list[str], function: Function) -> tuple[str, str, int]:
    """Runs the program, answers its requests in this thread, and returns its output, its messages and its exit status."""
    key = os.urandom(32)
    with Listener(authkey=key) as listener:
        address = str(listener.address)
        command = [find_program(), *arguments, "--error-format", "json", "--", sys.executable, "-I", BRIDGE, address]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "NNLAYER_BRIDGE_KEY": key.hex()},
        )
        written: list[str] = []

        def wait() -> None:
            written.extend(process.communicate())
            # An empty message ends the loop below, unless an exception has.
            with contextlib.suppress(OSError, EOFError), Client(address, authkey=key) as connection:
                connection.send_bytes(b"")

        waiter = threading.Thread(target=wait)
        waiter.start()
        failure: Exception | None = None
        has_ended = False
        try:
            while not has_ended:
                # A program that ends while it is connected is started again, and connects again.
                with contextlib.suppress(OSError, EOFError), listener.accept() as connection:
                    while request := connection.recv_bytes():
                        reply, failure = function.try_to_answer(request) if failure is None else (None, failure)
                        if reply is None:
                            break
                        connection.send_bytes(reply)
                    else:
                        has_ended = True
        finally:
            process.kill()
            listener.close()
            waiter.join()
    if failure is not None:
        raise failure
    return written[0], written[1], process.returncode
