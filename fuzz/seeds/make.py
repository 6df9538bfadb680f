"""Writes the seeds that every fuzz target starts from. Needs NumPy; run in this folder."""

import io
import json
import pathlib
import struct

import numpy as np


def put(target, **seeds):
    folder = pathlib.Path(__file__).parent / target
    folder.mkdir(exist_ok=True)
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed.encode() if isinstance(seed, str) else seed)


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), version=version)
    return out.getvalue()


def npz(save, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def safetensors(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


MATRIX = np.array([[1.5, -0.0], [np.nan, 5e-324]])

put(
    "literal",
    scalar="2", vector="1,2", row="1,2;", column="1;2", matrix="1 2;3 4", words="nan,-inf +1 .5 5. 1e-3",
    json="[[1,2],[3]]", stdin="-#/x", file="@w.npz#/fc1/w", fraction="1/3", grouped="1,000",
)
put(
    "json",
    matrix="[[1,-0.0],[2.5e-3,1E400]]", words='[NaN,"Infinity",-Infinity]', object='{"x":[1,2],"w":[[1],[2]],"s":"\\u00e9\\ud83d\\ude00\\n"}',
    twice='{"a":1,"a":2}', mixed='[1,[2,"x"],null,true,{}]', deep="[" * 70 + "]" * 70, blank=" [ 1 , 2 ]\r\n\t", ragged="[[1,2],[3]]",
)
put(
    "npy",
    f8=npy(MATRIX), f2=npy(MATRIX.astype(">f2")), fortran=npy(np.asfortranarray(np.arange(6.0).reshape(2, 3))),
    i8=npy(np.array([1, -2])), u1=npy(np.arange(3, dtype="u1"), (2, 0)), scalar=npy(np.float32(0.1), (3, 0)), cube=npy(np.zeros((1, 1, 1), "?")),
)
put(
    "npz",
    stored=npz(np.savez, x=MATRIX, w=np.arange(3)), deflated=npz(np.savez_compressed, w=np.zeros((20, 5), "u1"), y=MATRIX),
    empty=npz(np.savez), nested=npz(np.savez, **{"layers/0/w": [1.0]}),
)
put("csv", matrix="1,2\n3,4\n", column="\ufeff1\r\n2\r\n", quoted='"1", nan\n-inf,1e-3\n', header="a,b\n1,2\n", macs="1,2\r3,4\r", empty="1,\n", lines='"a\nb","c"",d"\n"1\n",2\n',
    blanks="# a b\n1 2\n3\t4 # c\n")
put("idx", vector=b"\0\0\x08\x01\0\0\0\x02\x01\x02", cube=b"\0\0\x0d\x03" + b"\0\0\0\x01" * 3 + b"\x3f\x80\0\0")
put(
    "safetensors",
    two=safetensors({
        "__metadata__": {"by": "me"},
        "w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "x": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]},
    }, struct.pack("<ff", 1, 2) + b"\x80?\x00\xc0"),
    bools=safetensors({"w": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}}, b"\x00\x01\x01"),
    cube=safetensors({"w": {"dtype": "F64", "shape": [1, 1, 1], "data_offsets": [0, 8]}}, bytes(8)),
)
CHAIN = {
    "nnlayer-tape": 1,
    "layers": [
        {"kind": "affine", "name": "fc1", "params": {"w": [[1, 2], [3, 4]], "b": 1}, "inputs": {"x": [1, 1]}, "outputs": {"y": [5, 7]}},
        {"kind": "softmax-xent", "name": "loss", "settings": {"reduction": "mean"}, "inputs": {"x": {"from": "fc1.y"}, "t": 0},
         "outputs": {"y": [0.11920292202211755, 0.8807970779778824], "loss": 2.1269280110429727, "divisor": 1}},
    ],
}
NETWORK = {"nnlayer-tape": 1, "precision": "f32", "layers": [{"kind": "affine", "name": "a", "params": {"w": [[1], [2]]}}, {"kind": "relu", "name": "r"}]}
put("tape", chain=json.dumps(CHAIN), network=json.dumps(NETWORK), old='{"nnlayer-tape": 2}', none="{}")
put(
    "ndjson",
    record='{"x":[1,2],"t":0,"id":"a\\u0062","note":{"k":[1,"x",null]}}\n', bare="[1,2]", twice='{"x":1,"x":2}', escaped='{"\\u0078":[1],"y":NaN}',
    alike='{"id":1,"x":[1,-0.5,12.25],"t":0}\n{"id":"b","x":[0.0625,2,1e-3],"t":1}',
    blanks=' { "id" : -0.0e1 , "x" : [ [ 1 ] , [ 2 ] ] } \r\n', behind='{"x":1}x', many="{" + ",".join(f'"k{n}":{n}' for n in range(20)) + "}",
)
