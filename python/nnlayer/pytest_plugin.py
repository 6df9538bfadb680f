"""The fixture ``nnlayer_check`` of pytest."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from ._check import Report, check


class Checker(Protocol):
    """What the fixture is: :func:`nnlayer.check`, which fails the test if the verdict is another one."""

    def __call__(self, fn: Any, layer: str = ..., *, verdict: str = ..., **options: Any) -> Report: ...


@pytest.fixture
def nnlayer_check() -> Checker:
    """Checks a layer as :func:`nnlayer.check` does, and fails the test with the report unless the verdict is ``verdict``, PASS.

    >>> def test_softmax(nnlayer_check):
    ...     nnlayer_check(my_softmax, "softmax", backward=my_softmax_backward, precision="f32")
    """

    def checker(fn: Any, layer: str = "custom", *, verdict: str = "PASS", **options: Any) -> Report:
        __tracebackhide__ = True
        report = check(fn, layer, **options)
        if report.verdict != verdict:
            pytest.fail(f"expected {verdict}\n{report}", pytrace=False)
        return report

    return checker
