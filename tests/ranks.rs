//! Every way to show a layer, for operands of three and more axes.

use crate::support::{folder, has_program, nnlayer, piped, shape, shell_in};
use serde_json::Value;

/// Shows, checks and differentiates layers of tensors; expected words are by hand.
#[test]
fn every_mode_takes_operands_of_three_axes() {
    let relu = ["relu", "--x", "[[[1,2],[3,-4]]]"];
    let affine = ["affine", "--x", "[[[1,2]],[[3,4]]]", "--w", "1;2", "--b", "1"];
    let loss = ["softmax-xent", "--x", "[[[1,2],[3,4]]]", "--t", "[[0,1]]", "--axis", "1"];
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&relu, &["--forward"], "y = max(x, 0)  (1×2×2)\n[[[1 2]\n  [3 0]]]"),
        (&relu, &["--check"], "PASS dx (1×2×2): all 4 entries agree"),
        (&relu, &["--jacobian"], "(4×4)\n[[1 0 0 0]\n [0 1 0 0]\n [0 0 1 0]\n [0 0 0 0]]"),
        (&relu, &["--graph"], "x[0,1,1]─"),
        (&relu, &["--graph", "--level", "tensor"], "dx (1×2×2)"),
        (&relu, &["--steps"], "y[0,1,1] = max(-4, 0) = 0"),
        (&affine, &["--forward"], "y = x·W + b  (2×1×1)\n[[[ 6]]\n\n [[12]]]"),
        (&affine, &["--check"], "PASS db (1)"),
        (&affine, &["--graph", "--level", "tensor"], "x·W (2×1×1)"),
        (&affine, &["--steps"], "y[1,0,0] = 3·1 + 4·2 + 1 = 12"),
        (&affine, &["--steps"], "dw[0,0] = 1·1 + 3·1 = 4"),
        (&affine, &["--jacobian"], "(2×4)\n[[1 2 0 0]\n [0 0 1 2]]"),
        (&loss, &["--check"], "PASS dx (1×2×2)"),
        (&loss, &["--steps"], "max[0,1] = max(2, 4) = 4"),
        (&loss, &["--graph"], "x[0,1,1]─"),
        (&loss, &["--jacobian"], "(1×4)\n[[-0.88079708  0.11920292  0.88079708 -0.11920292]]"),
    ];
    for (command, mode, expected) in cases {
        let ran = nnlayer(&[*command, *mode].concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{command:?} {mode:?}");
        // Where the locale has no UTF-8, graphs are drawn in ASCII.
        let [text, expected] = [ran.text(), expected].map(|text| text.replace('─', "-").replace(['×', '·'], "*"));
        assert!(text.contains(&expected), "{command:?} {mode:?}\n{text}");
    }
}

#[test]
fn gradcheck_takes_shapes_of_eight_axes() {
    for line in ["tanh --shape x=2x1x3x1x2x1x1x2", "affine --shape x=2x3x4 w=4x2", "softmax-xent --shape x=2x3x4 t=2x4"]
    {
        let args: Vec<&str> = ["gradcheck", "--layer"].into_iter().chain(line.split(' ')).collect();
        assert_eq!(nnlayer(&args).status, 0, "{line}\n{}", nnlayer(&args).text());
    }
    let nine = nnlayer(&["gradcheck", "--layer", "tanh", "--shape", "x=1x1x1x1x1x1x1x1x1"]);
    assert!(nine.refusal().starts_with("error: --shape"), "{}", nine.stderr);
}

#[test]
fn an_array_without_entries_is_typed_as_json_writes_it() {
    let empty = r#"{"shape":[0,3],"data":[]}"#;
    let written = format!("{{\"y\":{empty},\"dx\":{empty}}}\n");
    assert_eq!(nnlayer(&["relu", "--x", empty, "--json"]).quiet(), written);
    let shaped = r#" {"shape":[2,1],"data":[-1,2]} "#;
    assert_eq!(nnlayer(&["relu", "--x", shaped, "--forward", "--json"]).quiet(), "{\"y\":[[0.0],[2.0]]}\n");
    assert!(nnlayer(&["relu", "--x", r#"{"x":[1]}"#]).refusal().contains("expected a number, got an object"));
}

#[test]
fn shards_of_every_rank_are_summed() {
    let shard = r#"{"loss":1,"dw":[[[1,2]],[[3,4]]],"db":{"shape":[0,3],"data":[]}}"#;
    let summed = piped(format!("{shard}\n{shard}\n"), &["sum", "--json"]);
    assert_eq!(
        summed.quiet(),
        "{\"loss\":2.0,\"dw\":[[[2.0,4.0]],[[6.0,8.0]]],\"db\":{\"shape\":[0,3],\"data\":[]}}\n"
    );
}

const NETWORK: &str = r#"{"nnlayer-tape":1,"layers":[
  {"kind":"affine","name":"fc1","params":{"w":[[1,-1],[0.5,1]],"b":[0,-3]}},{"kind":"tanh"},
  {"kind":"affine","name":"fc2","params":{"w":[[1,3,0.25],[0.5,0.75,-1]],"b":[2,0,1]}},
  {"kind":"softmax-xent","settings":{"axis":-1}}]}"#;

/// x and t of three and of two axes with the same entries.
const OF_THREE_AXES: [&str; 2] = ["[[[1,2],[3,4]],[[0.5,-1],[2,0]],[[0,1],[-2,1]]]", "[[0,1],[2,0],[1,1]]"];
const OF_ROWS: [&str; 2] = ["[[1,2],[3,4],[0.5,-1],[2,0],[0,1],[-2,1]]", "[0,1,2,0,1,1]"];

#[test]
fn a_network_of_three_axes_equals_that_of_its_rows() {
    let folder = folder();
    std::fs::write(folder.path().join("net.json"), NETWORK).unwrap();
    let run = |[x, t]: [&str; 2], line: &str| {
        shell_in(folder.path(), &line.replace("NET", &format!("nnlayer net net.json --x '{x}' --t '{t}'")))
    };
    let tape = "NET --tape | nnlayer backward --tape";
    for line in ["NET --json", "NET --tape | nnlayer backward --json", &format!("{tape} | nnlayer step --lr 0.5")] {
        let [tensors, rows] = [OF_THREE_AXES, OF_ROWS].map(|operands| run(operands, line).json());
        assert_eq!(entries(&tensors), entries(&rows), "{line}");
    }
    let results = run(OF_THREE_AXES, "NET --json").json();
    for (layer, name, expected) in [
        ("fc1", "dx", vec![3, 2, 2]),
        ("fc1", "dw", vec![2, 2]),
        ("fc2", "db", vec![3]),
        ("softmax-xent1", "y", vec![3, 2, 3]),
        ("softmax-xent1", "loss", vec![]),
    ] {
        assert_eq!(shape(&results[layer][name]), expected, "{layer} {name}");
    }
    for check in ["NET --check", "NET --tape | nnlayer backward --check"] {
        assert!(run(OF_THREE_AXES, check).quiet().contains("PASS fc1.dx (3×2×2)"), "{check}");
    }
    let train = "nnlayer train net.json --epochs 2 --lr 0.1 --batch 6 --out trained.json";
    let trained = |[x, t]: [&str; 2]| {
        let ran = shell_in(folder.path(), &format!("{train} --x '{x}' --t '{t}'"));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        serde_json::from_slice::<Value>(&std::fs::read(folder.path().join("trained.json")).unwrap()).unwrap()
    };
    assert_eq!(trained(OF_THREE_AXES)["layers"], trained(OF_ROWS)["layers"]);
}

/// Returns the numbers in a document, in order.
fn entries(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(entries).collect(),
        Value::Object(keys) => keys.values().flat_map(entries).collect(),
        number => number.as_f64().into_iter().collect(),
    }
}

#[test]
fn records_of_every_rank_are_computed_as_on_their_own() {
    let folder = folder();
    std::fs::write(folder.path().join("net.json"), NETWORK).unwrap();
    // Records of one shape are computed together, and those of another in between on their own.
    let vector = [r#"{"x":[1,2],"t":0}"#; 40].join("\n");
    let others = [
        r#"{"x":[[[1,2],[3,4]],[[5,6],[7,8]]],"t":[[0,1],[1,0]]}"#,
        r#"{"x":[[1,2],[3,4]],"t":[0,1]}"#,
        r#"{"x":[[[[5,2]]]],"t":[[[0]]]}"#,
        r#"{"x":{"shape":[0,3,2],"data":[]},"t":{"shape":[0,3],"data":[]}}"#,
    ];
    let stream = others.iter().map(|other| format!("{vector}\n{other}\n")).collect::<String>() + &vector;
    let network = folder.path().join("net.json");
    let commands: [&[&str]; 4] = [
        &["net", network.to_str().unwrap()],
        &["softmax-xent", "--axis", "-1"],
        &["affine", "--w", "1,0,2;0,1,-1", "--only", "y,dx"],
        &["softmax", "--axis", "-1", "--log"],
    ];
    for command in commands {
        let together = piped(&stream, &[command, &["--ndjson", "-"]].concat());
        let lines: Vec<&str> = together.quiet().lines().collect();
        assert_eq!(lines.len(), 204);
        let alone = |record: &str| piped(record, &[command, &["--ndjson", "-"]].concat()).quiet().to_owned();
        let of_vector = alone(stream.lines().next().unwrap());
        for (n, line) in lines.iter().enumerate() {
            let expected = if n % 41 == 40 { &alone(others[n / 41]) } else { &of_vector };
            assert_eq!(format!("{line}\n"), *expected, "{command:?} {n}");
        }
    }
}

/// A program that squares each entry, and answers in the form of arrays that its argument names.
const SQUARE: &str = r#"
import base64, json, struct, sys
is_base64 = sys.argv[1] == "base64"
def read(array):
    if is_base64:
        text = base64.b64decode(array["base64"])
        kind = array["dtype"][1:] == "64"
        return array["shape"], list(struct.unpack("<%d%s" % (len(text) // (8 if kind else 4), "d" if kind else "f"), text))
    shape, entries = [], array
    while isinstance(entries, list):
        shape.append(len(entries))
        entries = entries[0]
    entries = array
    for _ in shape[1:]:
        entries = [entry for row in entries for entry in row]
    return shape, entries
def write(shape, entries):
    if is_base64:
        text = base64.b64encode(struct.pack("<%dd" % len(entries), *entries)).decode()
        return {"shape": shape, "dtype": "f64", "base64": text}
    for side in reversed(shape[1:]):
        entries = [entries[n:n + side] for n in range(0, len(entries), side)]
    return entries
for line in sys.stdin:
    points = []
    for point in json.loads(line)["points"]:
        shape, q = read(point["inputs"]["q"])
        reply = {"outputs": {"y": write(shape, [v * v for v in q])}}
        if "dout" in point:
            of_dout, dout = read(point["dout"])
            assert of_dout == shape
            reply["gradients"] = {"dq": write(shape, [2 * v * d for v, d in zip(q, dout)])}
        points.append(reply)
    print(json.dumps({"nnlayer": 2, "arrays": sys.argv[1], "points": points}), flush=True)
"#;

#[test]
fn programs_are_checked_with_arrays_of_four_axes_in_both_forms() {
    if !has_program("python3") {
        return;
    }
    let folder = folder();
    let program = folder.path().join("square.py");
    std::fs::write(&program, SQUARE).unwrap();
    for form in ["lists", "base64"] {
        let arguments = ["gradcheck", "--layer", "custom", "--shape", "q=2x4x3x2", "--persistent", "--"];
        let checked = nnlayer(&[&arguments[..], &["python3", program.to_str().unwrap(), form]].concat());
        assert!(checked.quiet().contains("PASS dq (2×4×3×2): all 48 entries"), "{form} {}", checked.text());
    }
}
