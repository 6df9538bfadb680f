"""Results of nnlayer.run, with and without NumPy."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import nnlayer


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def test_results_are_arrays_by_name():
    x = np.array([[1.0, 2.0, 4.0], [0.0, -3.0, 0.5]])
    dout = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    results = nnlayer.run("softmax", x=x, dout=dout, axis=0)
    y = softmax(x, 0)
    np.testing.assert_allclose(results["y"], y, rtol=1e-15)
    np.testing.assert_allclose(results["dx"], y * (dout - (dout * y).sum(0)), rtol=1e-13)
    assert list(nnlayer.run("softmax", x=x, forward=True)) == ["y"]
    assert list(nnlayer.run("affine", x=x, w=np.ones((3, 2)), only=["dw"])) == ["dw"]


@pytest.mark.parametrize("value", [2, 2.5, [1, 2], (1.0,), [[1, 2]], [[1], [2]], [[[1.5]]], "1,2", np.float32(3), [True]])
def test_operands_of_every_form_keep_their_shape(value):
    y = nnlayer.run("relu", x=value, forward=True)["y"]
    expected = [1, 2] if value == "1,2" else value
    assert np.shape(y) == np.shape(expected)
    np.testing.assert_array_equal(y, np.asarray(expected, float))


def test_arrays_in_any_order_and_type_are_read():
    x = np.arange(6.0).reshape(2, 3)
    for array in [x.T, np.asfortranarray(x), x[::-1, ::2], x.astype(np.float32), x.astype(np.int8), x > 2]:
        np.testing.assert_array_equal(nnlayer.run("relu", x=array, forward=True)["y"], array.astype(float))
    assert nnlayer.run("relu", x=np.zeros((0, 3)), forward=True)["y"].shape == (0, 3)


def test_settings_are_numbers_words_lists_and_flags():
    x = np.arange(8.0).reshape(1, 2, 4)
    assert nnlayer.run("softmax", x=[0.0, -700.0], log=True, forward=True)["y"][1] == -700
    assert nnlayer.run("softmax", x=[0.0, -700.0], log=False, forward=True)["y"][0] == 1
    assert nnlayer.run("transpose", x=x, axes=[2, 0, 1], forward=True)["y"].shape == (4, 1, 2)
    image = np.arange(16.0).reshape(1, 1, 4, 4)
    assert nnlayer.run("maxpool2d", x=image, kernel=2, stride=(2, 1), forward=True)["y"].shape == (1, 1, 2, 3)
    pool = {"kernel": 2, "padding": [[0, 1], [1, 0]], "forward": True}
    means = [nnlayer.run("avgpool2d", x=image, count_include_pad=flag, **pool)["y"][0, 0, 0, 0] for flag in (True, False)]
    assert means == [1.0, 2.0]
    assert nnlayer.run("softmax-xent", x=[1.0, 2.0], t=0, label_smoothing=None)["loss"].shape == ()


def test_precision_is_an_option():
    x = np.array([1e16, 1.0, -1e16])
    assert nnlayer.run("affine", x=x, w=[[1], [0.1], [1]], precision="exact", forward=True)["y"] == [0.1]


def test_errors_have_a_code_an_option_and_a_tip():
    with pytest.raises(nnlayer.Error) as caught:
        nnlayer.run("affine", x=np.ones((2, 3)), w=np.ones((2, 3)))
    error = caught.value
    assert (error.code, error.option) == ("shape-mismatch", "w")
    assert "expected 3 rows" in error.message and "out-in" in error.tip and "tip: " in str(error)
    with pytest.raises(nnlayer.Error, match="softmax"):
        nnlayer.run("sofmax", x=1)
    with pytest.raises(nnlayer.Error) as caught:
        nnlayer.run("softmax", y=[1.0])
    assert caught.value.code == "unknown-option"
    with pytest.raises(TypeError, match="array of numbers"):
        nnlayer.run("softmax", x=np.array([object()]))


def test_warnings_are_warnings_and_errors_with_strict():
    with pytest.warns(nnlayer.NnlayerWarning, match="y: row 0 sums to 0.7"):
        nnlayer.run("xent", y=[0.5, 0.2], t=0)
    with pytest.raises(nnlayer.Error, match="sums to 0.7"):
        nnlayer.run("xent", y=[0.5, 0.2], t=0, strict=True)


def test_the_program_is_on_the_path_and_beside_the_package():
    version = subprocess.run([nnlayer.find_program(), "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("nnlayer ")
    assert "softmax" in nnlayer.layers()


def test_without_numpy_results_are_nested_lists():
    script = """
import sys
sys.modules["numpy"] = None  # its import fails
import json, nnlayer
y = nnlayer.run("relu", x=[[1.0, float("nan")], [-2.0, float("inf")]], forward=True)["y"]
empty = nnlayer.run("relu", x="[[],[]]", forward=True)["y"]
relu = lambda x: [[max(v, 0.0) for v in row] for row in x]
slope = lambda dout, x: [[d * (v > 0) for d, v in zip(*rows)] for rows in zip(dout, x)]
verdict = nnlayer.check(relu, "relu", backward=slope).verdict
print(json.dumps([y, empty, verdict, nnlayer.run("mse", x=[1.0], t=[0.0], only=["loss"])["loss"]]))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    y, empty, verdict, loss = json.loads(ran.stdout)
    assert y[0][0] == 1.0 and math.isnan(y[0][1]) and y[1] == [0.0, math.inf]
    assert (empty, verdict, loss) == ([[], []], "PASS", 1.0)
