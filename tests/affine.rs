//! `nnlayer affine`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};
use serde_json::Value;

#[test]
fn every_case_equals_exact_fractions() {
    // At most six terms a sum, none larger than the largest operands' product.
    let magnitudes = |result: &str, case: &Value| {
        let largest = |option| cases::largest(case, option);
        let dout = largest("dout").max(1.0);
        6.0 * match result {
            "y" => largest("x") * largest("w") + largest("b"),
            "dx" => dout * largest("w"),
            "dw" => dout * largest("x"),
            _ => dout,
        }
    };
    cases::run("affine", "affine", |result, case| Within::Roundings(magnitudes(result, case)));
}

#[test]
fn a_number_typed_as_dout_scales_the_local_factors_and_says_so() {
    let ran = nnlayer(&["affine", "--x", "2,4;2,1", "--w", "1,2,3;1,4,6", "--b", "2", "--dout", "3", "--json"]);
    assert!(ran.stderr.starts_with("note: --dout"), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!(numbers(&json["dx"]), [3., 3., 6., 12., 9., 18.]);
    assert_eq!(numbers(&json["dw"]), [6., 6., 12., 3.]);
    assert_eq!(json["db"], 3.0);
}

#[test]
fn a_number_in_brackets_or_a_file_fills_the_output() {
    let folder = crate::support::folder();
    let file = folder.path().join("one.json");
    std::fs::write(&file, "1").unwrap();
    let ran = nnlayer(&["affine", "--x", "2,4", "--w", "1,2,3;1,4,6", "--dout", file.to_str().unwrap(), "--json"]);
    assert_eq!(ran.stderr, "");
    assert_eq!(numbers(&ran.json()["dx"]), [6., 11.]);
}

#[test]
fn single_precision_rounds_inputs_and_results() {
    let json =
        nnlayer(&["affine", "--x", "[0.1]", "--w", "[[0.1]]", "--precision", "f32", "--forward", "--json"]).json();
    assert_eq!(numbers(&json["y"]), [f64::from(0.1f32 * 0.1f32)]);
}
