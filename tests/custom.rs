//! `nnlayer gradcheck --input`: operands by name, of custom layers and of known ones.

use crate::support::{folder, nnlayer, piped, shell};
use serde_json::{Value, json};

/// Returns the operands of the first request to a program under test, which then exits.
fn request_inputs(stdin: &str, options: &[&str]) -> Value {
    let folder = folder();
    let request = folder.path().join("request");
    let script = format!("cat >'{}'; exit 1", request.display());
    let ran = piped(stdin, &[&["gradcheck"], options, &["--", "sh", "-c", &script]].concat());
    let text = std::fs::read_to_string(request).unwrap_or_else(|_| panic!("{}", ran.stderr));
    serde_json::from_str::<Value>(&text).unwrap()["points"][0]["inputs"].take()
}

#[test]
fn inputs_of_a_custom_layer_come_from_files_numbers_and_standard_input() {
    let folder = folder();
    let file = folder.path().join("gamma.json");
    std::fs::write(&file, r#"{"gamma": [[1.5, 2]], "beta": [3]}"#).unwrap();
    let path = file.to_str().unwrap();
    let (gamma, beta, scale) = (format!("gamma={path}"), format!("b-1=@{path}#/beta"), "scale=-2");
    let options =
        ["--layer", "custom", "--x", "1", "--input", &gamma, &beta, "--input", scale, "mask=-", "--shape", "w=2"];
    let mut inputs = request_inputs("[1, 0]", &options);
    let drawn = inputs["w"].take();
    assert_eq!(drawn.as_array().unwrap().len(), 2);
    let expected = json!({"x": 1.0, "gamma": [[1.5, 2.0]], "b-1": [3.0], "scale": -2.0, "mask": [1.0, 0.0], "w": null});
    assert_eq!(inputs, expected);
}

#[test]
fn operands_of_a_known_layer_may_be_given_by_name_too() {
    let inputs = request_inputs("", &["--layer", "affine", "--input", "x=1,2", "b=3,4,5"]);
    assert_eq!((&inputs["x"], &inputs["b"]), (&json!([1.0, 2.0]), &json!([3.0, 4.0, 5.0])));
    assert_eq!(inputs["w"][1].as_array().unwrap().len(), 3, "w is drawn to fit");
    let by_option = nnlayer(&["gradcheck", "--layer", "softmax", "--x", "1,2,3"]);
    assert_eq!(nnlayer(&["gradcheck", "--layer", "softmax", "--input", "x=1,2,3"]).quiet(), by_option.quiet());
}

#[test]
fn the_report_names_the_inputs() {
    // y = x·gamma; the gradient of gamma lacks x.
    let script = "import json, sys\n\
        def point(p):\n\
        \x20   x, g, d = p['inputs']['x'], p['inputs']['gamma'], p.get('dout')\n\
        \x20   r = {'outputs': {'y': [a * b for a, b in zip(x, g)]}}\n\
        \x20   return r | ({'gradients': {'dx': [a * b for a, b in zip(d, g)], 'dgamma': d}} if d else {})\n\
        print(json.dumps({'points': [point(p) for p in json.load(sys.stdin)['points']]}))";
    if !crate::support::has_program("python3") {
        return;
    }
    let folder = folder();
    let path = folder.path().join("scale.py");
    std::fs::write(&path, script).unwrap();
    let command = format!("nnlayer gradcheck --layer custom --input x=3,5 gamma=0.5,2 -- python3 {}", path.display());
    let ran = shell(&command);
    assert_eq!(ran.status, 1, "{}{}", ran.text(), ran.stderr);
    assert!(ran.text().contains("PASS dx (2)") && ran.text().contains("FAIL dgamma (2)"), "{}", ran.text());
}
