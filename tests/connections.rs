//! Networks whose layers read the outputs of any earlier layer, or the network's input.

use crate::support::{fixture, folder, nnlayer, numbers, shell};
use nnlayer::format::{Source, find_by_extension};
use serde_json::{Value, json};

/// Both layers read x; the second layer is the last, so dx is that of one path only in `a`.
fn two_readers() -> Value {
    let affine = |name: &str, w: Value, from: &str| json!({"kind": "affine", "name": name, "params": {"w": w}, "inputs": {"x": {"from": from}}});
    json!({"nnlayer-tape": 1, "layers": [
        {"kind": "affine", "name": "a", "params": {"w": [[1, 2], [0, 1]]}},
        affine("unread", json!([[1, 0], [1, 1]]), "x"),
        affine("b", json!([[1, 0], [1, 1]]), "a.y"),
    ]})
}

fn run(network: &Value, args: &[&str]) -> String {
    let folder = folder();
    let file = folder.path().join("net.json");
    std::fs::write(&file, network.to_string()).unwrap();
    let ran = nnlayer(&[&["net", file.to_str().unwrap()], args].concat());
    assert!(ran.status == 0, "{}", ran.stderr);
    ran.text().to_owned()
}

fn result(network: &Value, args: &[&str]) -> Value {
    serde_json::from_str(&run(network, &[args, &["--json"]].concat())).unwrap()
}

#[test]
fn an_input_from_an_earlier_layer_passes_its_gradient_to_that_layer() {
    // y = x·A·B, and the layer that nothing reads has the gradient 0.
    let found = result(&two_readers(), &["--x", "1,2"]);
    assert_eq!(numbers(&found["b"]["y"]), [5.0, 4.0]);
    assert_eq!(numbers(&found["a"]["dw"]), [1.0, 2.0, 2.0, 4.0]);
    assert_eq!(numbers(&found["unread"]["dw"]), [0.0; 4]);
    assert_eq!(numbers(&found["x"]["dx"]), [5.0, 2.0]);
}

#[test]
fn a_check_of_a_network_follows_every_path() {
    for precision in ["f64", "f32", "exact"] {
        let checked = run(&two_readers(), &["--x", "1,2", "--check", "--precision", precision]);
        assert!(checked.contains("PASS: dx, a.dw"), "{checked}");
    }
}

#[test]
fn a_pipe_and_a_network_give_the_same() {
    let pipe = "nnlayer affine --x 1,2 --w '1,2;0,1' --tape --name a | nnlayer affine --x %x --w '1,0;1,1' --name unread \
                | nnlayer affine --x %a.y --w '1,0;1,1' --name b | nnlayer backward --json";
    let piped: Value = serde_json::from_str(shell(pipe).quiet()).unwrap();
    let mut network = result(&two_readers(), &["--x", "1,2"]);
    for layer in ["a", "unread", "b"] {
        network[layer].as_object_mut().unwrap().remove("y");
    }
    assert_eq!(piped, network);
    let kept = "nnlayer affine --x 1,2 --w '1,2;0,1' --tape --name a | nnlayer affine --x %x --w '1,0;1,1' --name unread --tape";
    let tape: Value = serde_json::from_str(shell(kept).quiet()).unwrap();
    assert_eq!(tape["layers"][1]["inputs"], json!({"x": {"from": "x"}}));
    // Written again without values, it is the network.
    let again = run(&two_readers(), &["--x", "1,2", "--tape"]);
    let folder = folder();
    let file = folder.path().join("tape.json");
    std::fs::write(&file, again).unwrap();
    let stepped: Value = serde_json::from_str(nnlayer(&["step", file.to_str().unwrap(), "--lr", "0"]).quiet()).unwrap();
    let inputs = |network: &Value| -> Vec<Value> {
        network["layers"].as_array().unwrap().iter().map(|layer| layer["inputs"].clone()).collect()
    };
    assert_eq!(inputs(&stepped), [Value::Null, json!({"x": {"from": "x"}}), json!({"x": {"from": "a.y"}})]);
}

#[test]
fn names_that_are_later_or_unknown_are_refused() {
    let refused = |from: Value| {
        let mut network = two_readers();
        network["layers"][1]["inputs"]["x"]["from"] = from;
        let folder = folder();
        let file = folder.path().join("net.json");
        std::fs::write(&file, network.to_string()).unwrap();
        nnlayer(&["net", file.to_str().unwrap(), "--x", "1,2"]).refusal().to_owned()
    };
    // A cycle would need the output of a later layer.
    assert!(refused(json!("b.y")).contains("no earlier layer has the output \"b.y\""));
    assert!(refused(json!("unread.y")).contains("no earlier layer has the output \"unread.y\""));
    assert!(refused(json!("ay")).contains("did you mean a.y?"));
    assert!(refused(json!(3)).contains("expected the name of an output"));
}

#[test]
fn records_run_through_a_network_whose_input_is_read_twice() {
    let folder = folder();
    std::fs::write(folder.path().join("net.json"), two_readers().to_string()).unwrap();
    let file = folder.path().join("net.json");
    let command = format!(
        "printf '{{\"x\":[1,2]}}\\n{{\"x\":[0,1]}}\\n' | nnlayer net {} --ndjson - --only y,dx,a.dw",
        file.display()
    );
    let ran = shell(&command);
    let lines: Vec<Value> = ran.quiet().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"y": [5.0, 4.0], "dx": [5.0, 2.0], "a.dw": [[1.0, 2.0], [2.0, 4.0]]}));
    assert_eq!(lines[1]["dx"], json!([5.0, 2.0]));
}

/// The block of fixtures/transformer/make.py.
fn transformer(more: &[&str]) -> crate::support::RunOutput {
    let input = |name: &str| format!("{}#{name}", fixture("transformer/inputs.npz"));
    let args = ["net", &fixture("transformer/net.json"), "--x", &input("x"), "--t", &input("t")];
    nnlayer(&[&args[..], more].concat())
}

#[test]
fn every_gradient_of_a_transformer_block_is_that_of_jax() {
    let found = transformer(&["--json"]).json();
    let bytes = std::fs::read(fixture("transformer/expected.npz")).unwrap();
    let expected = find_by_extension("npz").unwrap().read_all_arrays(Source::bytes("expected.npz", &bytes)).unwrap();
    assert_eq!(expected.len(), 20);
    for array in expected {
        let (layer, result) = array.pointer.split_once('.').unwrap();
        let got = numbers(&found[layer][result]);
        assert_eq!(got.len(), array.value.len(), "{layer}.{result}");
        // The gradient of k's bias is 0: softmax does not change where all scores of a query do.
        let largest = array.value.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
        for (got, expected) in got.iter().zip(&array.value) {
            assert!((got - expected).abs() <= 1e-10 * largest, "{layer}.{result}: {got} {expected}");
        }
    }
}

#[test]
fn a_transformer_block_is_drawn_with_its_branches() {
    let layers = transformer(&["--graph"]);
    assert!(layers.quiet().contains("(attention)") && layers.text().contains("= q.dx + k.dx"), "{}", layers.text());
    let operations = transformer(&["--graph", "--level", "tensor"]);
    assert!(operations.quiet().contains("(softmax)"), "{}", operations.text());
}
