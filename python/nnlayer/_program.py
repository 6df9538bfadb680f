"""The nnlayer program: where it is, and how its messages become exceptions and warnings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

NAME = "nnlayer.exe" if os.name == "nt" else "nnlayer"


class Error(Exception):
    """An error of nnlayer.

    ``code`` is a stable word such as ``"shape-mismatch"``, ``option`` the keyword that is wrong, or None, ``message`` one
    sentence, ``facts`` further lines, such as shapes, and ``tip`` what to do about it, or None.
    """

    def __init__(
        self, code: str, message: str, option: str | None = None, facts: Sequence[str] = (), tip: str | None = None
    ) -> None:
        self.code, self.message, self.option, self.facts, self.tip = code, message, option, tuple(facts), tip
        super().__init__(describe({"message": message, "option": option, "facts": facts, "tip": tip}))


class NnlayerWarning(UserWarning):
    """A warning of nnlayer, such as rows of targets that do not sum to 1."""


def _folders() -> Iterable[str]:
    yield sysconfig.get_path("scripts")
    user = sysconfig.get_preferred_scheme("user") if sys.version_info >= (3, 10) else f"{os.name}_user"
    yield sysconfig.get_path("scripts", user)
    # `pip install --target` puts it beside the packages.
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")


def find_program() -> str:
    """Returns the path of the nnlayer program: that of this package, or else the one on the path."""
    for folder in _folders():
        path = os.path.join(folder, NAME)
        if os.path.isfile(path):
            return path
    found = shutil.which("nnlayer")
    if found is None:
        raise FileNotFoundError("the nnlayer program is not beside this package and not on the path")
    return found


def option(name: str) -> str:
    """Returns the option of a keyword: ``pos_weight`` is ``--pos-weight``."""
    return "--" + name.replace("_", "-")


def describe(message: dict[str, Any]) -> str:
    """Returns the text of an error or a warning."""
    lines = [f"{message['option']}: {message['message']}" if message.get("option") else message["message"]]
    lines += [f"  {fact}" for fact in message.get("facts", ())]
    return "\n".join(lines + ([f"tip: {message['tip']}"] if message.get("tip") else []))


def raise_messages(stderr: str, status: int) -> None:
    """Issues the warnings and notes that the program wrote as lines of JSON, and raises its error."""
    for line in stderr.splitlines():
        try:
            ((kind, message),) = json.loads(line).items()
        except (ValueError, AttributeError):
            continue
        message["option"] = (message.get("option") or "").lstrip("-").replace("-", "_") or None
        if kind == "error" and status == 2:
            raise Error(message["code"], message["message"], message["option"], message["facts"], message["tip"])
        warnings.warn(describe(message), NnlayerWarning, stacklevel=4)
    if status not in (0, 1, 3):
        raise Error("crash", f"nnlayer ended with status {status}: {stderr.strip()[-300:]}")


def execute(arguments: Sequence[str]) -> str:
    """Runs the program without input, and returns its standard output."""
    command = [find_program(), *arguments, "--error-format", "json"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
    raise_messages(ran.stderr, ran.returncode)
    return ran.stdout
