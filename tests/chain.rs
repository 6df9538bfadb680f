//! `--check` of a chain: end to end, and which layer is wrong.

use crate::support::{nnlayer, piped, shell_in};
use serde_json::{Value, json};

const NET: &str = r#"{"nnlayer-tape":1,"layers":[
  {"kind":"affine","name":"fc1","params":{"w":[[0.5,-1,0.25],[0.125,1,-0.75]],"b":[0,-0.5,0.375]}},
  {"kind":"relu"},
  {"kind":"affine","name":"fc2","params":{"w":[[1,3],[5,-7],[-2,0.5]],"b":2}},
  {"kind":"sigmoid"},
  {"kind":"softmax-xent","settings":{"reduction":"mean"}}]}"#;

/// Returns a tape with gradients.
fn tape(net: &str) -> Value {
    let run = piped(net, &["net", "-", "--x", "1,2;-0.5,1.5;2,-1", "--t", "0,1,1", "--tape"]);
    serde_json::from_str(run.text()).unwrap()
}

fn check(tape: &Value) -> (i32, Value, String) {
    let ran = piped(tape.to_string(), &["backward", "--check", "--json"]);
    let text = piped(tape.to_string(), &["backward", "--check"]).text().to_owned();
    (ran.status, serde_json::from_str(ran.text()).unwrap(), text)
}

fn failed(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["verdict"] == "FAIL").map(|finding| finding["result"].as_str().unwrap()).collect()
}

/// Returns a·b.
fn product(a: &Value, b: &Value) -> Value {
    let (a, b): (Vec<Vec<f64>>, Vec<Vec<f64>>) =
        (serde_json::from_value(a.clone()).unwrap(), serde_json::from_value(b.clone()).unwrap());
    let entry = |row: &Vec<f64>, m: usize| row.iter().zip(&b).map(|(a, row)| a * row[m]).sum::<f64>();
    json!(a.iter().map(|row| (0..b[0].len()).map(|m| entry(row, m)).collect::<Vec<_>>()).collect::<Vec<_>>())
}

fn transposed(a: &Value) -> Value {
    let a: Vec<Vec<f64>> = serde_json::from_value(a.clone()).unwrap();
    json!((0..a[0].len()).map(|m| a.iter().map(|row| row[m]).collect::<Vec<_>>()).collect::<Vec<_>>())
}

#[test]
fn a_correct_chain_passes_end_to_end() {
    for precision in ["f64", "f32"] {
        let args = ["net", "-", "--x", "1,2;-0.5,1.5;2,-1", "--t", "0,1,1", "--precision", precision, "--check"];
        let ran = piped(NET, &args);
        assert_eq!(ran.status, 0, "{}", ran.text());
        for gradient in ["fc1.dx", "fc1.dw", "fc1.db", "fc2.dw", "fc2.db"] {
            assert!(ran.text().contains(&format!("PASS {gradient} ")), "{gradient}: {}", ran.text());
        }
    }
    let (status, report, _) = check(&tape(NET));
    assert_eq!((status, &report["verdict"], &report["notes"]), (0, &json!("PASS"), &json!([])));
    let mut without = tape(NET);
    for layer in without["layers"].as_array_mut().unwrap() {
        layer.as_object_mut().unwrap().remove("gradients");
    }
    assert_eq!(check(&without).0, 0);
}

#[test]
fn the_wrong_layer_is_named_and_the_layers_before_it_are_not() {
    let mut wrong = tape(NET);
    // ReLU passes its upstream gradient on unmasked, and fc1 continues from it correctly.
    let dout = wrong["layers"][2]["gradients"]["dx"].clone();
    wrong["layers"][1]["gradients"]["dx"] = dout.clone();
    let x = wrong["layers"][0]["inputs"]["x"].clone();
    let w = wrong["layers"][0]["params"]["w"].clone();
    let rows: Vec<Vec<f64>> = serde_json::from_value(dout.clone()).unwrap();
    let sums: Vec<f64> = (0..3).map(|m| rows.iter().map(|row| row[m]).sum()).collect();
    wrong["layers"][0]["gradients"] =
        json!({"dx": product(&dout, &transposed(&w)), "dw": product(&transposed(&x), &dout), "db": sums});
    let (status, report, text) = check(&wrong);
    assert_eq!(status, 1);
    assert_eq!(failed(&report), ["relu1.dx", "fc1.dx", "fc1.dw", "fc1.db"]);
    assert!(text.contains("\nthe layer that is wrong is relu1: the values of the others follow from their inputs and upstream gradients\n"), "{text}");
}

#[test]
fn a_mistake_in_a_layer_of_a_chain_is_diagnosed() {
    let mut wrong = tape(NET);
    let dw: Vec<Vec<f64>> = serde_json::from_value(wrong["layers"][2]["gradients"]["dw"].clone()).unwrap();
    let tripled: Vec<Vec<f64>> = dw.iter().map(|row| row.iter().map(|v| v * 3.0).collect()).collect();
    wrong["layers"][2]["gradients"]["dw"] = json!(tripled);
    let (status, report, text) = check(&wrong);
    assert_eq!((status, failed(&report)), (1, vec!["fc2.dw"]));
    assert!(text.contains("it is the correct gradient times 3"), "{text}");
    assert!(text.contains("the layer that is wrong is fc2"), "{text}");
}

#[test]
fn an_inner_gradient_that_no_other_depends_on_is_checked() {
    let mut wrong = tape(NET);
    wrong["layers"][3]["gradients"]["dx"][0][1] = json!(0.5);
    let (status, report, text) = check(&wrong);
    // The gradients of fc2 were computed from the right value, before it was changed.
    assert_eq!((status, failed(&report)), (1, vec!["sigmoid1.dx"]));
    assert!(text.contains("the layer that is wrong is sigmoid1:"), "{text}");
}

#[test]
fn a_changed_output_is_found_in_its_layer() {
    let mut wrong = tape(NET);
    wrong["layers"][2]["outputs"]["y"][1][0] = json!(0.5);
    let (status, report, text) = check(&wrong);
    assert_eq!(status, 1);
    assert_eq!(failed(&report), ["fc2.y"]);
    assert!(text.contains("the layer that is wrong is fc2:"), "{text}");
}

#[test]
fn a_chain_without_a_loss_is_checked_for_its_dout() {
    let folder = crate::support::folder();
    let chain = "nnlayer affine --x '1,2;3,4' --w '1,0.5;-0.25,1' --b 0.5 --tape | nnlayer tanh | nnlayer backward";
    let run = |line: &str| shell_in(folder.path(), line);
    assert_eq!(run(&format!("{chain} --dout '1,-2;0.5,3' --check")).status, 0);
    let other = run(&format!("{chain} --dout '1,-2;0.5,3' --tape | nnlayer backward --check"));
    assert_eq!(other.status, 1);
    let same = run(&format!("{chain} --dout '1,-2;0.5,3' --tape | nnlayer backward --dout '1,-2;0.5,3' --check"));
    assert_eq!(same.status, 0, "{}", same.text());
}

#[test]
fn options_that_check_replaces_are_refused() {
    for args in [&["backward", "--check", "--tape"][..], &["net", "-", "--check", "--out", "y.json"]] {
        assert_eq!(nnlayer(args).status, 2);
    }
}
