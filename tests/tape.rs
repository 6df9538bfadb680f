//! Tapes: layers that extend each other's document over a pipe, and `nnlayer backward` at the end.

use crate::support::{folder, nnlayer, numbers, piped, shell};
use proptest::prelude::*;
use serde_json::{Value, json};

/// x = (1, 2) through W₁, b₁, a relu, W₂, b₂ to equal logits; the expected numbers are computed by hand.
const CHAIN: &str = "nnlayer affine --x 1,2 --w '1,-1;0,1' --b 0,-3 --tape | nnlayer relu | \
                     nnlayer affine --w '1,3;5,7' --b 2,0 | nnlayer softmax-xent --t 0";

fn tape() -> Value {
    let ran = shell(CHAIN);
    ran.quiet();
    ran.json()
}

fn backward(tape: &Value, args: &[&str]) -> crate::support::RunOutput {
    piped(tape.to_string(), &[&["backward"], args].concat())
}

#[test]
fn backward_gives_the_gradients_of_a_piped_chain_computed_by_hand() {
    let ran = shell(&format!("{CHAIN} | nnlayer backward --json"));
    ran.quiet();
    assert_eq!(
        ran.json(),
        json!({
            "affine1": {"dx": [1.0, 0.0], "dw": [[1.0, 0.0], [2.0, 0.0]], "db": [1.0, 0.0]},
            "relu1": {"dx": [1.0, 0.0]},
            "affine2": {"dx": [1.0, 1.0], "dw": [[-0.5, 0.5], [0.0, 0.0]], "db": [-0.5, 0.5]},
            "softmax-xent1": {"dx": [-0.5, 0.5]},
        })
    );
}

#[test]
fn the_example_in_help_prints_what_it_shows() {
    let help = nnlayer(&["backward", "--help"]);
    let (_, example) = help.quiet().split_once("  $ ").unwrap();
    let (command, prints) = example.split_once('\n').unwrap();
    let prints: Vec<&str> = prints.lines().map(|line| line.strip_prefix("  ").unwrap()).collect();
    assert_eq!(shell(command).quiet().lines().collect::<Vec<_>>(), prints);
}

#[test]
fn a_tape_has_the_inputs_params_and_outputs_of_each_layer() {
    let tape = tape();
    assert_eq!(tape["nnlayer-tape"], 1);
    let layers = tape["layers"].as_array().unwrap();
    let kinds: Vec<&str> = layers.iter().map(|layer| layer["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["affine", "relu", "affine", "softmax-xent"]);
    assert_eq!(layers[0]["outputs"]["y"], json!([1.0, -2.0]));
    assert_eq!(layers[1]["inputs"]["x"], json!({"from": "affine1.y"}));
    assert_eq!(layers[2]["params"]["b"], json!([2.0, 0.0]));
    assert_eq!(layers[3]["inputs"]["t"], 0.0);
    assert_eq!(layers[3]["outputs"]["loss"], std::f64::consts::LN_2);
}

#[test]
fn text_and_only_name_results_by_their_layer() {
    let tape = tape();
    assert_eq!(
        backward(&tape, &["--only", "affine2.dw"]).quiet(),
        "affine2.dw = xᵀ·dout  (2×2)\n[[-0.5  0.5]\n [ 0.   0. ]]\n"
    );
    let all = backward(&tape, &[]);
    assert!(all.quiet().starts_with("loss = 0.6931471805599453, of softmax-xent1\n\naffine1.dx = "), "{}", all.text());
    assert_eq!(
        backward(&tape, &["--only", "db", "--json"]).text(),
        "{\"affine1\":{\"db\":[1.0,0.0]},\"affine2\":{\"db\":[-0.5,0.5]}}\n"
    );
    let pretty = backward(&tape, &["--pretty"]).json();
    assert_eq!(pretty, backward(&tape, &["--json"]).json());
}

#[test]
fn gradients_go_to_a_file_or_back_into_the_tape() {
    let (tape, folder) = (tape(), folder());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    backward(&tape, &["--out", &file("g.npz")]).quiet();
    let dw = nnlayer(&["relu", "--x", &format!("{}#affine2.dw", file("g.npz")), "--only", "y", "--json"]).json();
    assert_eq!(dw["y"], json!([[0.0, 0.5], [0.0, 0.0]]));
    backward(&tape, &["--tape", "--out", &file("g.json")]).quiet();
    let with: Value = serde_json::from_str(&std::fs::read_to_string(file("g.json")).unwrap()).unwrap();
    assert_eq!(with["layers"][0]["gradients"]["dw"], json!([[1.0, 0.0], [2.0, 0.0]]));
    // The document can be named in place of a pipe, and its gradients are of no matter to another run.
    assert_eq!(nnlayer(&["backward", &file("g.json"), "--json"]).json(), backward(&tape, &["--json"]).json());
}

#[test]
fn without_a_loss_the_upstream_gradient_is_ones_or_dout() {
    let line = "nnlayer affine --x 1,2 --w '1,0;0,1' --tape | nnlayer backward";
    let ran = shell(line);
    assert!(ran.quiet().starts_with("dout = ones: the gradients of L = Σy\n\naffine1.dx"), "{}", ran.text());
    assert_eq!(shell(&format!("{line} --dout 3,4 --json")).json()["affine1"]["dw"], json!([[3.0, 4.0], [6.0, 8.0]]));
    assert_eq!(shell(&format!("{line} --dout ones --json")).json()["affine1"]["dx"], json!([1.0, 1.0]));
    for line in [format!("{line} --dout 1"), "nnlayer affine --x 1,2 --w '1,0;0,1' --tape --dout 1".to_owned()] {
        let refusal = shell(&line);
        assert!(refusal.refusal().contains("scales the local factors"), "{}", refusal.stderr);
        assert!(refusal.stderr.contains("ones"), "{}", refusal.stderr);
    }
}

#[test]
fn an_edited_parameter_is_used_with_a_warning() {
    let mut tape = tape();
    tape["layers"][2]["params"]["w"][0][0] = json!(2.0);
    let ran = backward(&tape, &["--json"]);
    assert!(
        ran.stderr.starts_with("warning: standard input: layer affine2: the saved y differs from what"),
        "{}",
        ran.stderr
    );
    // Logits (4, 3): the gradient at the first is y₁ − 1 = −1/(1 + e).
    let dx = numbers(&ran.json()["softmax-xent1"]["dx"]);
    assert!((dx[0] + 1.0 / (1.0 + 1f64.exp())).abs() < 1e-15);
    assert!(backward(&tape, &["--strict"]).refusal().contains("affine2"));
}

#[test]
fn layer_names_are_given_or_numbered_and_unique() {
    let named = "nnlayer affine --x 1,2 --w '1,0;0,1' --tape --name fc1";
    assert_eq!(shell(named).json()["layers"][0]["name"], "fc1");
    assert!(shell(&format!("{named} | nnlayer relu --name fc1")).refusal().contains("two layers are named fc1"));
    let three = shell(&format!("{named} | nnlayer relu --name relu2 | nnlayer relu | nnlayer relu")).json();
    let names: Vec<&str> = three["layers"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["fc1", "relu2", "relu1", "relu3"]);
    assert!(shell("nnlayer relu --x 1 --name r").refusal().contains("use --tape to start one"));
    assert!(shell("nnlayer relu --x 1 --tape --name 'a b'").refusal().contains("invalid layer name"));
}

#[test]
fn a_piped_tape_is_never_silently_ignored() {
    let tape = tape();
    let mut open = tape.clone();
    open["layers"].as_array_mut().unwrap().truncate(2);
    let open = open.to_string();
    let refused = |args: &[&str], part: &str| {
        let ran = piped(&open, args);
        assert!(ran.refusal().contains(part), "{args:?}: {}", ran.stderr);
    };
    refused(&["softmax-xent", "--x", "1,2"], "already provides x");
    refused(&["relu", "--x", "1,2", "--tape", "-"], "already provides x");
    refused(&["affine"], "--w is required");
    refused(&["relu", "--only", "y"], "cannot be used with a tape, which holds all results");
    refused(&["relu", "--precision", "f32"], "the tape is computed in f64");
    refused(&["relu", "--out", "y.npy"], "cannot hold a tape");
    assert!(piped(tape.to_string(), &["relu"]).refusal().contains("ends in the loss softmax-xent1"));
    // Only --tape - names this tape, since x is the only operand of the layer.
    assert_eq!(piped(&open, &["relu", "--tape", "-"]).json()["layers"][2]["name"], "relu2");
}

#[test]
fn settings_precision_and_nan_survive_the_pipe() {
    let line = "nnlayer affine --x '1,2;3,nan' --w '1,2;3,4' --w-layout out-in --tape | nnlayer softmax --axis -1 --log | nnlayer tanh";
    let tape = shell(line).json();
    assert_eq!(tape["layers"][0]["settings"], json!({"w-layout": "out-in"}));
    assert_eq!(tape["layers"][1]["settings"], json!({"axis": -1, "log": true}));
    assert_eq!(tape["layers"][0]["inputs"]["x"][1][1], "NaN");
    let ran = backward(&tape, &["--json"]);
    assert_eq!(ran.json()["affine1"]["dx"][1][0], "NaN");
    let single = shell("nnlayer relu --x 0.1 --tape --precision f32 | nnlayer tanh").json();
    assert_eq!(single["precision"], "f32");
    assert_eq!(single["layers"][1]["outputs"]["y"], f64::from(0.1f32.tanh()));
}

#[test]
fn a_damaged_tape_is_refused_by_layer_key_and_shape() {
    let edits: [(&str, Value, &str); 14] = [
        ("/nnlayer-tape", json!(2), "unsupported tape version 2"),
        ("/layers", json!([]), "expected a list of layers"),
        ("/layers/1/kind", json!("rule"), "unknown layer kind \"rule\""),
        (
            "/layers/0/params/w",
            json!([[1, 2, 3]]),
            "layer affine1: w: expected 2 rows to match the 2 inputs of x, got 1",
        ),
        ("/layers/0/params/w/1", json!([0, null]), "(/layers/0/params/w/1/1): layer affine1: null is not a number"),
        ("/layers/0/params", json!({"V": [[1]]}), "layer affine1: unknown key \"V\""),
        ("/layers/2/params/b", json!("b.npy"), "the string \"b.npy\" is not a number"),
        ("/layers/0/outputs/y", json!([1, 2, 3]), "layer affine1: y has shape (3), expected (2)"),
        ("/layers/0/outputs", json!({}), "layer affine1: the output y is missing"),
        ("/layers/1/inputs/x/from", json!("fc9.y"), "no earlier layer has the output \"fc9.y\""),
        (
            "/layers/1/inputs/x",
            json!([1, 2]),
            "expected {\"from\": \"affine1.y\"}, or another output of an earlier layer",
        ),
        ("/layers/3/inputs/t", json!(2), "layer softmax-xent1: t: class index 2"),
        ("/layers/3/settings", json!({"reduction": "max"}), "expected one of sum, mean, none, got \"max\""),
        ("/layers/1/name", json!("affine1"), "two layers are named affine1"),
    ];
    for (pointer, value, part) in edits {
        let mut tape = tape();
        match tape.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => tape["layers"][3]["settings"] = value,
        }
        let ran = backward(&tape, &[]);
        assert!(ran.refusal().contains(part), "{pointer}: {}", ran.stderr);
        assert!(ran.stderr.contains("tip: "), "{}", ran.stderr);
        assert!(ran.stderr.starts_with("error: standard input"), "{}", ran.stderr);
    }
    let mut missing = tape();
    missing["layers"][1].as_object_mut().unwrap().remove("inputs");
    assert!(backward(&missing, &[]).refusal().contains("layer relu1: its inputs are missing"));
    assert!(piped("", &["backward"]).refusal().contains("check that the command that writes it succeeds"));
    assert!(piped("{\"y\":[1]}", &["backward"]).refusal().contains("not a tape or network"));
    assert!(nnlayer(&["backward"]).refusal().contains("standard input is a terminal"));
}

/// Returns the loss of a tape after adding `offset` to the entry at `pointer`.
fn loss_at(tape: &Value, pointer: &str, offset: f64) -> f64 {
    let mut tape = tape.clone();
    let place = tape.pointer_mut(pointer).unwrap();
    *place = json!(place.as_f64().unwrap() + offset);
    let x = tape["layers"][0]["inputs"]["x"].to_string();
    let t = tape["layers"].as_array().unwrap().last().unwrap()["inputs"]["t"].to_string();
    for layer in tape["layers"].as_array_mut().unwrap() {
        for key in ["inputs", "outputs"] {
            layer.as_object_mut().unwrap().remove(key);
        }
    }
    let ran = piped(tape.to_string(), &["net", "-", "--x", &x, "--t", &t, "--forward", "--json"]);
    numbers(&ran.json().as_object().unwrap().values().find_map(|layer| layer.get("loss")).unwrap().clone())[0]
}

#[test]
fn gradients_through_every_kind_of_layer_equal_numerical_differentiation() {
    let line = "nnlayer affine --x '0.3,-1.2,0.7;-0.4,0.9,1.1' --w '0.5,-0.2,0.1;1,0.4,-0.3;0.2,0.8,-0.7' --b 0.1,0.2,-0.1 --tape \
                | nnlayer tanh | nnlayer affine --w '1.5,-1;0.3,0.7;-0.6,0.2' | nnlayer sigmoid | nnlayer relu | nnlayer softmax \
                | nnlayer xent --t '0.25,0.75;1,0' --reduction mean --eps 1e-3";
    let tape = shell(line).json();
    let gradients = backward(&tape, &["--json"]).json();
    let step = 1e-5;
    for (layer, name, param, gradient) in
        [(0, "affine1", "params/w", "dw"), (0, "affine1", "inputs/x", "dx"), (2, "affine2", "params/w", "dw")]
    {
        let value = tape.pointer(&format!("/layers/{layer}/{param}")).unwrap();
        for (n, row) in value.as_array().unwrap().iter().enumerate() {
            for k in 0..row.as_array().unwrap().len() {
                let pointer = format!("/layers/{layer}/{param}/{n}/{k}");
                let numeric = (loss_at(&tape, &pointer, step) - loss_at(&tape, &pointer, -step)) / (2.0 * step);
                let analytic = gradients[name][gradient][n][k].as_f64().unwrap();
                assert!((analytic - numeric).abs() < 1e-9, "{pointer}: {analytic} {numeric}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_tapes_do_not_panic(at: prop::sample::Index, put in "[\\[\\]{}:,\"0-9a-z.-]{0,3}", cut in 0..3usize) {
        const TAPE: &str = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","name":"fc","params":{"w":[[1,2],[3,4]],"b":[0,1]},"inputs":{"x":[[1,2]]},"outputs":{"y":[[7,11]]}},{"kind":"softmax-xent","settings":{"reduction":"mean"},"inputs":{"x":{"from":"fc.y"},"t":[1]},"outputs":{"y":[[0.1,0.9]],"loss":0.2}}]}"#;
        let at = at.index(TAPE.len() - 3);
        let text = format!("{}{put}{}", &TAPE[..at], &TAPE[at + cut..]);
        for args in [&["backward"][..], &["relu"], &["net", "-", "--x", "1,2"], &["step", "--lr", "1"]] {
            let ran = piped(&text, args);
            prop_assert!(ran.status == 0 || ran.status == 2, "{text}");
        }
    }
}
