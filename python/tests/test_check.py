"""Verdicts of nnlayer.check on functions of this process."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import nnlayer


def layernorm(x, gamma=None, beta=None, eps=1e-5):
    xhat = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return xhat * (1 if gamma is None else gamma) + (0 if beta is None else beta)


def layernorm_backward(dout, x, gamma, beta, eps=1e-5):
    r = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)
    xhat = (x - x.mean(-1, keepdims=True)) * r
    g = dout * gamma
    dx = r * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    axes = tuple(range(x.ndim - 1))
    return dx, (dout * xhat).sum(axes), dout.sum(axes)


SHAPES = {"x": (3, 4, 6), "gamma": (6,), "beta": (6,)}


@pytest.mark.parametrize("precision", [None, "f64", "f32"])
def test_a_right_function_passes_in_its_type(precision):
    seen = set()

    def forward(x, gamma, beta, eps):
        seen.add((x.dtype.name, eps))
        return layernorm(x, gamma, beta, eps)

    report = nnlayer.check(
        forward, "layernorm", backward=layernorm_backward, shapes=SHAPES, precision=precision, eps=1e-3
    )
    assert report and report.verdict == "PASS" and report.mistakes == ()
    assert seen == {({"f32": "float32"}.get(precision, "float64"), 1e-3)}
    assert str(report).endswith("PASS: y, dx, dgamma, dbeta of layernorm are correct\n")


def test_a_mistake_is_named():
    def backward(dout, x, gamma, beta):
        dx, dgamma, dbeta = layernorm_backward(dout, x, gamma, beta)
        return {"dx": dx, "dgamma": -dgamma, "dbeta": dbeta}

    report = nnlayer.check(layernorm, "layernorm", backward=backward, shapes=SHAPES)
    assert not report and report.verdict == "FAIL"
    assert {mistake.result for mistake in report.mistakes} == {"dgamma"}
    assert any("sign" in mistake.kind for mistake in report.mistakes), report.mistakes
    assert "FAIL dgamma" in report.text


def test_an_object_has_both_functions_and_absent_operands_are_none():
    class Affine:
        def forward(self, x, w, b=None):
            return x @ w + (0 if b is None else b)

        def backward(self, dout, x, w, b=None):
            return dout @ w.T, x.T @ dout, *([] if b is None else [dout.sum(0)])

    x, w = np.array([[1.0, 2.0], [3.0, 5.0], [0.5, -1.0]]), np.array([[1.0, 0.0, 2.0], [0.5, 1.0, -1.0]])
    assert nnlayer.check(Affine(), "affine")
    report = nnlayer.check(Affine(), "affine", x=x, w=w)
    assert [finding["result"] for finding in report.findings] == ["y", "dx", "dw", "db"]

    def forward(x, t, weight, pos_weight):
        assert weight is None
        return (np.logaddexp(0, x) * (1 - t) + np.logaddexp(0, -x) * t * pos_weight).sum()

    def backward(dout, x, t, weight, pos_weight):
        p = 1 / (1 + np.exp(-x))
        return dout * ((1 - t) * p - t * pos_weight * (1 - p))

    at = {"x": np.array([0.5, -1.25, 2.0]), "t": np.array([1.0, 0.0, 1.0]), "pos_weight": np.array([2.0, 1.0, 0.5])}
    assert nnlayer.check(forward, "bce-logits", backward=backward, **at)


def test_integers_come_as_integers_and_losses_are_losses():
    def forward(ids, w):
        assert ids.dtype == np.int64
        return w[ids]

    def backward(dout, ids, w):
        dw = np.zeros_like(w)
        np.add.at(dw, ids, dout)
        return dw

    assert nnlayer.check(forward, "embedding", backward=backward)

    def mse(x, t, reduction):
        return ((x - t) ** 2).mean()

    report = nnlayer.check(mse, "mse", backward=lambda dout, x, t, reduction: 2 * dout * (x - t) / x.size, reduction="mean")
    assert report.verdict in ("PASS", "FAIL") and "dx" in report.text


def test_a_custom_layer_has_the_operands_of_its_shapes():
    def forward(q, k):
        return np.sin(q) @ k.T

    def backward(dout, q, k):
        return np.cos(q) * (dout @ k), dout.T @ np.sin(q)

    assert nnlayer.check(forward, backward=backward, shapes={"q": (4, 3), "k": (5, 3)})
    q, k = np.array([[1.0, 0.5]]), np.array([[0.25, 2.0], [1.0, -1.0]])
    assert nnlayer.check(forward, backward=backward, q=q, k=k)
    wrong = nnlayer.check(forward, backward=lambda *at: backward(*at)[::-1], shapes={"q": (4, 3), "k": (4, 3)})
    assert wrong.verdict == "FAIL"


def test_an_exception_of_the_function_is_raised_here():
    def forward(x):
        raise ZeroDivisionError("in the layer")

    with pytest.raises(ZeroDivisionError, match="in the layer"):
        nnlayer.check(forward, "relu", backward=lambda dout, x: dout)
    with pytest.raises(TypeError, match="dx, dw, db, got 2"):
        nnlayer.check(lambda x, w, b: x @ w + b, "affine", backward=lambda dout, *at: (dout, dout))
    with pytest.raises(TypeError, match="backward is required"):
        nnlayer.check(np.tanh, "tanh")


def test_errors_of_the_program_are_raised():
    with pytest.raises(nnlayer.Error) as caught:
        nnlayer.check(np.tanh, "tanh", backward=lambda dout, x: dout, shapes={"w": (2,)})
    assert caught.value.option == "shape"


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_framework_differentiates(framework):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    if framework == "torch":
        import torch

        functions = {"softmax": lambda x: torch.softmax(x, -1), "affine": lambda x, w, b: x @ w + b}
    else:
        import jax

        functions = {"softmax": jax.nn.softmax, "affine": lambda x, w, b: x @ w + b}
    for name, function in functions.items():
        assert nnlayer.check(function, name, framework=framework, precision="f32"), name
    wrong = nnlayer.check(lambda x, w, b: x @ w + b * b, "affine", framework=framework, precision="f32")
    assert wrong.verdict == "FAIL" and "FAIL y" in wrong.text


def test_the_fixture_passes(nnlayer_check):
    report = nnlayer_check(lambda x: np.maximum(x, 0), "relu", backward=lambda dout, x: dout * (x > 0))
    assert report.verdict == "PASS"
    nnlayer_check(lambda x: x, "relu", backward=lambda dout, x: dout, verdict="FAIL")


def test_the_fixture_fails_a_test_with_the_report(tmp_path):
    test = tmp_path / "test_mine.py"
    test.write_text(
        "import numpy as np\n"
        "def test_relu(nnlayer_check):\n"
        "    nnlayer_check(lambda x: np.maximum(x, 0), 'relu', backward=lambda dout, x: -dout * (x > 0))\n"
    )
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", str(test)], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "expected PASS" in ran.stdout and "FAIL dx (4×3)" in ran.stdout and "Traceback" not in ran.stdout
