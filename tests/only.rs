//! `--only` selects results and changes no bit of them.

use crate::support::{cases, fixture, nnlayer};
use nnlayer::layer::LAYERS;
use serde_json::Value;

#[test]
fn a_result_alone_has_the_bits_that_it_has_among_all() {
    for spec in LAYERS {
        let folder = spec.name.replace('-', "_");
        let text = std::fs::read_to_string(fixture(&format!("{folder}/cases.json"))).unwrap();
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        for case in all.iter().step_by(all.len().div_ceil(6)) {
            let line = cases::arguments(spec.name, &case["options"]);
            for precision in ["f64", "f32", "exact"] {
                let run = |only: &[&str]| {
                    let line: Vec<&str> = line.iter().map(String::as_str).collect();
                    let ran = nnlayer(&[&line, &["--precision", precision][..], only].concat());
                    let text = ran.text().to_owned();
                    text.trim_start_matches('{').trim_end_matches("}\n").to_owned()
                };
                let whole = run(&[]);
                let names: Vec<String> = serde_json::from_str::<Value>(&format!("{{{whole}}}"))
                    .unwrap()
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect();
                let each: Vec<(usize, String)> = names
                    .iter()
                    .map(|name| run(&["--only", name]))
                    .map(|alone| (whole.find(&alone).unwrap_or_else(|| panic!("{line:?} {precision}: {alone}")), alone))
                    .collect();
                let length: usize = each.iter().map(|(_, alone)| alone.len() + 1).sum();
                assert_eq!(length, whole.len() + 1, "{line:?} {precision}");
            }
        }
    }
}

#[test]
fn an_unknown_result_is_refused_with_the_names_of_all_results() {
    for (only, there) in [("db", "y, dx, dw"), ("z", "y, dx, dw"), ("dw,loss", "y, dx, dw")] {
        let ran = nnlayer(&["affine", "--x", "1,2", "--w", "1;2", "--only", only]);
        assert!(ran.refusal().contains(&format!("tip: use one or more of {there}\n")), "{}", ran.stderr);
    }
}
