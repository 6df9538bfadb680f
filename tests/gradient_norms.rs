//! `backward --norms` and `net --norms`: the norms of the gradients of each layer.

use crate::support::{nnlayer, piped};
use serde_json::{Value, json};

/// Returns a network of affine layers without b, each with a weight of one number.
fn scalar_layers(weights: &[&str]) -> String {
    let layer = |w: &&str| format!(r#"{{"kind":"affine","params":{{"w":[[{w}]]}}}}"#);
    format!(r#"{{"nnlayer-tape":1,"layers":[{}]}}"#, weights.iter().map(layer).collect::<Vec<_>>().join(","))
}

fn norms_of(network: &str, options: &[&str]) -> Value {
    piped(network, &[&["net", "-", "--norms", "--json"], options].concat()).json()
}

/// Returns the findings as layer, kind and finding.
fn findings(report: &Value) -> Vec<[String; 3]> {
    let words = |finding: &Value| ["layer", "kind", "finding"].map(|key| finding[key].as_str().unwrap().to_owned());
    report["findings"].as_array().unwrap().iter().map(words).collect()
}

#[test]
fn norms_are_those_of_the_gradients() {
    // By hand: dout is [[1, 1]], dw = xᵀ·dout = [[3, 3], [-4, -4]], db = [1, 1], dx = dout·Wᵀ = [3, 7].
    let net = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":[[1,2],[3,4]],"b":[0,0]}}]}"#;
    let report = norms_of(net, &["--x", "3,-4;"]);
    let norm = |gradient: &str, kind: &str, shape: Value, l2: f64, max: f64| json!({"layer": "affine1", "gradient": gradient, "kind": kind, "shape": shape, "l2": l2, "max": max});
    assert_eq!(
        report["norms"],
        json!([
            norm("dx", "inputs", json!([1, 2]), 58f64.sqrt(), 7.0),
            norm("dw", "parameters", json!([2, 2]), 50f64.sqrt(), 4.0),
            norm("db", "parameters", json!([2]), 2f64.sqrt(), 1.0),
        ])
    );
    assert_eq!(report["findings"], json!([]));
    let tape = piped(net, &["net", "-", "--x", "3,-4;", "--tape"]).stdout;
    assert_eq!(piped(&tape, &["backward", "--norms", "--json"]).json(), report);
}

#[test]
fn gradients_that_vanish_explode_or_are_zero_are_named() {
    // The gradients of the inputs are w³, w² and w, and each dw is w² where x is 1.
    let inputs = |layer: &str, finding: &str| [layer.to_owned(), "inputs".to_owned(), finding.to_owned()];
    let report = norms_of(&scalar_layers(&["1e-4"; 3]), &["--x", "1;"]);
    assert_eq!(findings(&report), [inputs("affine1", "vanishing"), inputs("affine2", "vanishing")]);
    let report = norms_of(&scalar_layers(&["1e4"; 3]), &["--x", "1;"]);
    assert_eq!(findings(&report), [inputs("affine1", "exploding"), inputs("affine2", "exploding")]);
    assert!((report["findings"][0]["ratio"].as_f64().unwrap() - 1e8).abs() < 1.0);
    // A ratio of exactly 1e-3 is within the limits.
    assert!(findings(&norms_of(&scalar_layers(&["0.001953125", "0.5"]), &["--x", "1;"])).is_empty());
    let dead = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":[[-1]]}},{"kind":"relu"},{"kind":"affine","params":{"w":[[1]],"b":[1]}}]}"#;
    let report = norms_of(dead, &["--x", "1;"]);
    let zero = |layer: &str, kind: &str| [layer, kind, "zero"].map(str::to_owned);
    assert_eq!(findings(&report), [zero("affine1", "parameters"), zero("affine1", "inputs"), zero("relu1", "inputs")]);
    let report = norms_of(&scalar_layers(&["1e200", "1e200"]), &["--x", "1;"]);
    assert_eq!(report["norms"][0]["l2"], "Infinity");
    assert!(findings(&report).contains(&inputs("affine1", "not-finite")));
    // The squares of these overflow, their norm does not.
    assert_eq!(norms_of(&scalar_layers(&["3e200"]), &["--x", "1;1"])["norms"][0]["max"], 3e200);
}

#[test]
fn the_input_of_a_network_that_several_layers_read_has_a_norm() {
    let net = r#"{"nnlayer-tape":1,"layers":[{"kind":"relu"},{"kind":"add","inputs":{"x2":{"from":"x"}}}]}"#;
    let report = norms_of(net, &["--x", "3;"]);
    let last = report["norms"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last, json!({"layer": "x", "gradient": "dx", "kind": null, "shape": [1, 1], "l2": 2.0, "max": 2.0}));
}

#[test]
fn text_fits_eighty_columns() {
    let long = "a_layer_with_a_name_that_is_longer_than_its_column";
    let layer = |n: usize| format!(r#"{{"kind":"sigmoid","name":"{long}{n}"}}"#);
    let layers: Vec<String> = (0..12).map(layer).collect();
    let net = format!(r#"{{"nnlayer-tape":1,"layers":[{}]}}"#, layers.join(","));
    let ran = piped(&net, &["net", "-", "--x", "[[[[[[-3.25,1e-5]]]]]]", "--norms"]);
    assert!(ran.quiet().contains("vanish: a_layer_wi"), "{}", ran.text());
    for line in ran.text().lines().filter(|line| !line.starts_with("the gradients")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for options in [&["--norms", "--tape"][..], &["--norms", "--only", "dw"], &["--norms", "--out", "n.json"]] {
        nnlayer(&[&["net", "net.json", "--x", "1"], options].concat()).refusal();
    }
}
