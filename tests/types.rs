//! Files that NumPy, ml_dtypes and safetensors wrote have the values that these libraries read.

use crate::support::fixture;
use data_encoding::BASE64;
use nnlayer::core::error::Code;
use nnlayer::format::{LoadedArray, Selector, Source, find_by_extension};
use nnlayer::numeric::{E4M3FN, E5M2, FloatType};
use serde_json::Value;

fn cases() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("types/cases.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(number).collect()
}

fn read(case: &Value, format: &str) -> Result<LoadedArray, nnlayer::core::error::Error> {
    let bytes = BASE64.decode(case["bytes"].as_str().unwrap().as_bytes()).unwrap();
    let select = Selector::parse(case["select"].as_str().unwrap_or_default());
    find_by_extension(format).unwrap().read(Source::bytes("file", &bytes), &select, &[])
}

/// Returns true if two numbers have the same bits, or both are NaN.
fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn every_type_and_rank_is_read_as_it_was_written() {
    let cases = cases();
    let files = cases["files"].as_array().unwrap();
    assert!(files.len() > 60);
    for case in files {
        let found = read(case, case["format"].as_str().unwrap()).unwrap();
        let shape: Vec<usize> = numbers(&case["shape"]).iter().map(|side| *side as usize).collect();
        assert_eq!(found.value.shape(), shape, "{case}");
        assert!(found.value.iter().zip(numbers(&case["values"])).all(|(a, b)| is_same(*a, b)), "{case}");
        let element = [FloatType::E4m3fn, FloatType::E5m2].into_iter().chain(FloatType::ALL);
        let element = element.into_iter().find(|element| element.name() == case["element"]);
        assert_eq!(Some(found.element), element, "{case}");
    }
}

#[test]
fn descriptions_of_real_types_are_read_as_numpy_reads_them() {
    for case in cases()["descriptions"].as_array().unwrap() {
        match read(case, "npy") {
            Ok(found) => assert!(case["is_real"] == true && found.value[[0]] == 1.0, "{case}"),
            Err(error) => assert!(case["is_real"] == false && error.code == Code::Dtype, "{case} {error:?}"),
        }
    }
}

#[test]
fn types_of_eight_bits_are_decoded_and_rounded_as_by_ml_dtypes() {
    let cases = cases();
    for (float_type, float8) in [(FloatType::E4m3fn, E4M3FN), (FloatType::E5m2, E5M2)] {
        let case = &cases["eight_bits"][float_type.name()];
        let decoded = numbers(&case["decoded"]);
        assert_eq!(decoded.len(), 256);
        for (bits, value) in (0..=255).zip(decoded) {
            assert!(is_same(float8.decode(bits), value), "{bits} {value} {}", float8.decode(bits));
            assert!(!value.is_finite() || is_same(float_type.round(value), value), "{value}");
        }
        for pair in case["rounded"].as_array().unwrap() {
            let (value, rounded) = (number(&pair[0]), number(&pair[1]));
            assert!(is_same(float_type.round(value), rounded), "{value} {rounded} {}", float_type.round(value));
        }
    }
}
