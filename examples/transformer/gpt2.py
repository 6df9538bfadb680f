"""A block of GPT-2's shapes (12 heads, width 768) with random weights: nnlayer's gradients in f32 beside JAX's.

Both are compared with the gradients of JAX in 64-bit arithmetic. An f32 result of a sum of n terms may be off by about n units
roundoff of the sum of their magnitudes; the bound of each array is that for n = 768 at its largest entry. The network and its weights
are written to a folder, which is kept if its name is given: python3 gpt2.py [FOLDER].

Needs: pip install jax numpy, and nnlayer in PATH. It takes about half a minute.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
LENGTH, WIDTH, HEADS = 64, 768, 12
rng = np.random.default_rng(2)

shapes = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "o": (WIDTH, WIDTH), "up": (WIDTH, 4 * WIDTH),
          "down": (4 * WIDTH, WIDTH)}
params = {}
for name, (inputs, outputs) in shapes.items():
    params[f"{name}.w"] = rng.normal(0, 0.02, (inputs, outputs)).astype("f4")
    params[f"{name}.b"] = rng.normal(0, 0.02, outputs).astype("f4")
for name in ("ln1", "ln2"):
    params[f"{name}.gamma"] = rng.normal(1, 0.1, WIDTH).astype("f4")
    params[f"{name}.beta"] = rng.normal(0, 0.1, WIDTH).astype("f4")
x, dout = (rng.normal(size=(1, LENGTH, WIDTH)).astype("f4") for _ in range(2))


def layernorm(p, name, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5) * p[f"{name}.gamma"] + p[f"{name}.beta"]


def affine(p, name, x):
    return x @ p[f"{name}.w"] + p[f"{name}.b"]


def block(p, x):
    ln1 = layernorm(p, "ln1", x)
    q, k, v = (affine(p, name, ln1).reshape(1, LENGTH, HEADS, -1).swapaxes(1, 2) for name in "qkv")
    scores = jnp.where(np.tril(np.ones((LENGTH, LENGTH), bool)), q @ k.swapaxes(-1, -2) / 8, -jnp.inf)
    attended = (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(1, LENGTH, WIDTH)
    res1 = affine(p, "o", attended) + x
    hidden = jax.nn.gelu(affine(p, "up", layernorm(p, "ln2", res1)), approximate=True)
    return affine(p, "down", hidden) + res1


def gradients(dtype):
    p, x0, upstream = jax.tree.map(lambda value: jnp.asarray(value, dtype), (params, x, dout))
    grads, dx = jax.jit(jax.grad(lambda p, x: (block(p, x) * upstream).sum(), argnums=(0, 1)))(p, x0)
    return {**{name: np.asarray(value, float) for name, value in grads.items()}, "x": np.asarray(dx, float)}


def layer(kind, name, settings=None, parameters=(), inputs=None):
    entry = {"kind": kind, "name": name, "settings": settings or {}}
    entry["params"] = {parameter: f"params.npz#{name}.{parameter}" for parameter in parameters}
    if inputs:
        entry["inputs"] = {operand: {"from": source} for operand, source in inputs.items()}
    return entry


layers = [
    layer("layernorm", "ln1", parameters=("gamma", "beta")),
    *(layer("affine", name, parameters=("w", "b"), inputs={"x": "ln1.y"}) for name in "qkv"),
    layer("attention", "attention", {"heads": HEADS, "causal": "top-left"}, inputs={"q": "q.y", "k": "k.y", "v": "v.y"}),
    layer("affine", "o", parameters=("w", "b")),
    layer("add", "res1", inputs={"x2": "x"}),
    layer("layernorm", "ln2", parameters=("gamma", "beta")),
    layer("affine", "up", parameters=("w", "b")),
    layer("gelu", "gelu", {"approximate": "tanh"}),
    layer("affine", "down", parameters=("w", "b")),
    layer("add", "res2", inputs={"x2": "res1.y"}),
]


def nnlayer(folder):
    (folder / "net.json").write_text(json.dumps({"nnlayer-tape": 1, "layers": layers}), encoding="utf-8")
    np.savez(folder / "params.npz", **params)
    np.save(folder / "x.npy", x)
    np.save(folder / "dout.npy", dout)
    files = ["net", "net.json", "--x", "x.npy", "--dout", "dout.npy", "--precision", "f32", "--out", "results.npz"]
    begin = time.perf_counter()
    subprocess.run(["nnlayer", *files], cwd=folder, check=True)
    seconds = time.perf_counter() - begin
    results = np.load(folder / "results.npz")
    names = {name: "{}.d{}".format(*name.split(".")) for name in params} | {"x": "x.dx"}
    return {name: np.asarray(results[key], float) for name, key in names.items()}, seconds


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        folder.mkdir(exist_ok=True)
        ours, seconds = nnlayer(folder)
    truth, theirs = gradients(jnp.float64), gradients(jnp.float32)
    print(f"nnlayer: {seconds:.1f} s, reading and writing included. Largest errors, in units of the largest entry:")
    failed = False
    for name, exact in truth.items():
        largest = np.abs(exact).max()
        # The gradient of k's bias is 0: its terms cancel, and are as large as those of its weights.
        scale = np.abs(truth["k.w"]).max() if name == "k.b" else largest
        bound = WIDTH * 2.0 ** -24
        own, other = (np.abs(value[name] - exact).max() / scale for value in (ours, theirs))
        failed |= bool(own > bound)
        print(f"  d{name:<10} nnlayer {own:.1e}  JAX {other:.1e}  bound {bound:.1e}{'  FAIL' if own > bound else ''}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
