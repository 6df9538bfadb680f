//! Results as text of any rank, against NumPy's own.

use crate::support::{fixture, nnlayer, numbers};
use ndarray::{ArrayD, Axis, Slice};
use nnlayer::core::name::Name;
use nnlayer::format::ArrayStream;
use nnlayer::report::{Digits, ResultHeader, format_array, text};
use serde_json::Value;
use std::borrow::Cow;

/// An array in chunks of at most this number of rows.
struct Chunked<'a> {
    array: &'a ArrayD<f64>,
    rows: usize,
    next: Option<usize>,
}

impl ArrayStream for Chunked<'_> {
    fn next_array(&mut self) -> std::io::Result<Option<(Name, Vec<usize>)>> {
        Ok(Some((Name::X, self.array.shape().to_vec())))
    }

    fn next_rows(&mut self) -> std::io::Result<Option<Cow<'_, ArrayD<f64>>>> {
        let Some(begin) = self.next else { return Ok(None) };
        if self.array.ndim() == 0 {
            self.next = None;
            return Ok(Some(Cow::Borrowed(self.array)));
        }
        let count = self.array.shape()[0];
        let end = count.min(begin + self.rows);
        self.next = (end < count).then_some(end);
        Ok(Some(Cow::Owned(self.array.slice_axis(Axis(0), Slice::from(begin..end)).to_owned())))
    }
}

fn array(case: &Value) -> ArrayD<f64> {
    let shape: Vec<usize> =
        case["shape"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap() as usize).collect();
    let values = match case["step"].as_f64() {
        Some(step) => (0..shape.iter().product()).map(|n: usize| n as f64 * step).collect(),
        None => numbers(&case["data"]),
    };
    ArrayD::from_shape_vec(shape, values).unwrap()
}

/// Expected texts are by NumPy; fixtures/text/make.py has the script.
#[test]
fn arrays_of_any_rank_are_printed_as_numpy_prints_them() {
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(fixture("text/cases.json")).unwrap()).unwrap();
    assert!(cases.len() > 200);
    for case in &cases {
        let digits = case["digits"].as_u64().map_or(Digits::Numpy, |digits| Digits::Significant(digits as usize));
        let (array, expected) = (array(case), case["expected"].as_str().unwrap());
        let what = format!("{} {digits:?}", case["shape"]);
        assert_eq!(format_array(&array, digits), expected, "{what}");
        for rows in [1, 2, 5] {
            let header = ResultHeader { name: Name::X, formula: "f".to_owned(), before: None };
            let mut written = Vec::new();
            let mut chunks = Chunked { array: &array, rows, next: Some(0) };
            text::write(&[header], &mut chunks, digits, &mut written).unwrap();
            let written = String::from_utf8(written).unwrap();
            let (heading, body) = written.split_once('\n').unwrap();
            let shape: Vec<String> = array.shape().iter().map(ToString::to_string).collect();
            assert_eq!(heading, format!("x = f  ({})", shape.join("×")));
            assert_eq!(body, format!("{expected}\n"), "{what} in chunks of {rows} rows");
        }
    }
}

#[test]
fn digits_are_1_to_17() {
    let y = |digits: &str| nnlayer(&["softmax", "--x", "0,1", "--forward", "--digits", digits]);
    assert_eq!(y("3").quiet(), "y = softmax(x)  (2)\n[0.269 0.731]\n");
    assert_eq!(y("17").quiet(), "y = softmax(x)  (2)\n[0.2689414213699951 0.7310585786300049]\n");
    let scalar = nnlayer(&["softmax-xent", "--x", "0,1", "--t", "1", "--only", "loss", "--digits", "4"]);
    assert_eq!(scalar.quiet().lines().nth(1), Some("0.3133"));
    for digits in ["0", "18", "-1", "1.5", "many", ""] {
        let refused = y(digits);
        assert!(refused.refusal().starts_with("error: --digits"), "{}", refused.stderr);
        assert!(refused.stderr.contains("1 to 17"), "{}", refused.stderr);
    }
}
