//! The node tests of ONNX for the operators that are layers, from fixtures/onnx/make.py.

use crate::support::{fixture, nnlayer, numbers, shape};
use ndarray::ArrayD;
use nnlayer::format::{Source, find_by_extension};
use serde_json::Value;
use std::collections::HashMap;

/// All arrays by name.
fn arrays() -> HashMap<String, ArrayD<f64>> {
    let bytes = std::fs::read(fixture("onnx/arrays.npz")).unwrap();
    let read = find_by_extension("npz").unwrap().read_all_arrays(Source::bytes("arrays.npz", &bytes)).unwrap();
    read.into_iter().map(|array| (array.pointer, array.value)).collect()
}

/// Returns an option for each array, which names it in the file of all arrays.
fn options(case: &Value) -> Vec<String> {
    let file = fixture("onnx/arrays.npz");
    let arrays = case["operands"].as_object().unwrap().iter();
    arrays.flat_map(|(name, key)| [format!("--{name}"), format!("{file}#{}", key.as_str().unwrap())]).collect()
}

/// Returns what is wrong with the results of a case.
fn mistake(case: &Value, arrays: &HashMap<String, ArrayD<f64>>) -> Option<String> {
    let args = case["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
    let args: Vec<String> = args.chain(["--forward", "--json"].map(str::to_owned)).chain(options(case)).collect();
    let ran = nnlayer(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let Ok(found) = serde_json::from_str::<Value>(ran.text()) else { return Some(ran.stderr) };
    let (rtol, atol) = (case["rtol"].as_f64().unwrap(), case["atol"].as_f64().unwrap());
    let is_close =
        |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= atol + rtol * b.abs();
    case["results"].as_object().unwrap().iter().find_map(|(result, key)| {
        let expected = &arrays[key.as_str().unwrap()];
        let same_shape = expected.is_empty() || shape(&found[result]) == expected.shape();
        let got = numbers(&found[result]);
        let same = got.len() == expected.len() && got.iter().zip(expected).all(is_close);
        (!same || !same_shape).then(|| format!("{result}: {got:?} is not {expected:?}"))
    })
}

#[test]
fn every_case_that_the_command_line_can_say_is_within_the_tolerance_of_onnx() {
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(fixture("onnx/cases.json")).unwrap()).unwrap();
    let (cases, arrays) = (cases["said"].as_array().unwrap(), arrays());
    assert!(cases.len() > 300);
    let is_known = |case: &&Value| nnlayer::layer::find(case["args"][0].as_str().unwrap()).is_some();
    let failed =
        cases.iter().filter(is_known).filter_map(|case| Some(format!("{}: {}", case["name"], mistake(case, &arrays)?)));
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
