//! Real input: handwritten digits through a pipe, against scikit-learn and NumPy.

use crate::support::{fixture, numbers, shell};
use serde_json::Value;

#[test]
fn loss_accuracy_and_gradients_of_a_hundred_digits() {
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(fixture("digits/expected.json")).unwrap()).unwrap();
    let logits =
        "nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --b fixtures/digits/b.npy --only y --json";
    let loss = format!("{logits} | nnlayer softmax-xent --t fixtures/digits/t.npy --json");
    let json = shell(&loss).json();
    near(&json["loss"], &expected["loss_sum"]);
    near(&json["dx"][0], &expected["dx_logits_first_row"]);

    let rows = json["y"].as_array().unwrap();
    let correct = rows.iter().zip(labels()).filter(|(row, label)| largest(&numbers(row)) == *label).count();
    assert_eq!(correct as u64, expected["correct"].as_u64().unwrap());

    let mean = shell(&format!("{loss} --reduction mean --only loss")).json();
    near(&mean["loss"], &expected["loss_mean"]);

    let back = format!(
        "{loss} | nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --b fixtures/digits/b.npy --dout -#dx --json"
    );
    let json = shell(&back).json();
    near(&json["dw"], &expected["dw"]);
    near(&json["db"], &expected["db"]);
}

/// Returns the labels of `t.npy`: 100 integers of 8 bytes at its end.
fn labels() -> Vec<usize> {
    let bytes = std::fs::read(fixture("digits/t.npy")).unwrap();
    bytes[bytes.len() - 800..].as_chunks::<8>().0.iter().map(|label| i64::from_le_bytes(*label) as usize).collect()
}

fn largest(row: &[f64]) -> usize {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
}

/// Compares to 1e-12 of the largest entry, because scikit-learn and NumPy compute in plain doubles.
#[track_caller]
fn near(got: &Value, want: &Value) {
    let (got, want) = (numbers(got), numbers(want));
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0.0, |a, b| f64::max(a, b.abs()));
    for (got, want) in got.iter().zip(&want) {
        assert!((got - want).abs() <= 1e-12 * largest, "{got} {want}");
    }
}
