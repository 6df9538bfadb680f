//! Cases of `fixtures/LAYER/cases.json`: options in, values from an independent source out.

use super::{fixture, nnlayer, numbers, shape, ulps};
use serde_json::Value;

/// Tolerance of a result.
pub enum Within {
    /// Units in the last place of each entry.
    Ulps(u64),
    /// Ten roundings, 10·2⁻⁵³, of the sum of these magnitudes.
    Roundings(f64),
}

/// Runs every case of a layer; `within` says how far each result may be off.
pub fn run(command: &str, folder: &str, within: impl Fn(&str, &Value) -> Within) {
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(fixture(&format!("{folder}/cases.json"))).unwrap()).unwrap();
    assert!(cases.len() >= 12);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let ran = nnlayer(&arguments(command, &case["options"]).iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.status, 0, "{command}: {name}: {}", ran.stderr);
        let got = ran.json();
        for (result, want) in case["expected"].as_object().unwrap() {
            let got = got.get(result).unwrap_or_else(|| panic!("{command}: {name}: no {result}"));
            assert_eq!(shape(got), shape(want), "{command}: {name}: shape of {result}");
            near(&numbers(got), &numbers(want), &within(result, case), &format!("{command}: {name}: {result}"));
        }
    }
}

/// Asserts that each number is within its tolerance of the expected one.
#[track_caller]
pub fn near(got: &[f64], want: &[f64], within: &Within, what: &str) {
    for (n, (&got, &want)) in got.iter().zip(want).enumerate() {
        let near = match within {
            Within::Ulps(most) => ulps(got, want) <= *most,
            Within::Roundings(magnitudes) => {
                ulps(got, want) == 0 || (got - want).abs() <= 10.0 * magnitudes * f64::EPSILON / 2.0
            }
        };
        assert!(near, "{what} entry {n}: {got} is not {want} ({} ulps)", ulps(got, want));
    }
}

/// The largest finite magnitude of an option; 0 where it is not given.
pub fn largest(case: &Value, option: &str) -> f64 {
    magnitude(&case["options"][option])
}

/// The largest finite magnitude that is expected of a result.
pub fn largest_result(case: &Value, result: &str) -> f64 {
    magnitude(&case["expected"][result])
}

fn magnitude(value: &Value) -> f64 {
    let all = if value.is_null() { vec![] } else { numbers(value) };
    all.into_iter().filter(|v| v.is_finite()).fold(0.0, |a, b| f64::max(a, b.abs()))
}

/// The command line of a case, everything as one would type it.
pub fn arguments(command: &str, options: &Value) -> Vec<String> {
    let mut arguments = vec![command.to_owned(), "--json".to_owned()];
    for (name, value) in options.as_object().unwrap() {
        match value {
            Value::Bool(true) => arguments.push(format!("--{name}")),
            Value::String(word) => arguments.extend([format!("--{name}"), word.clone()]),
            value => arguments.extend([format!("--{name}"), value.to_string()]),
        }
    }
    arguments
}
