//! Rules that every layer keeps.

use crate::support::{fixture, nnlayer};
use nnlayer::layer::{Kind, LAYERS, LayerSpec, Role, Values};
use proptest::prelude::*;
use std::collections::HashSet;

#[test]
fn names_of_layers_operands_and_settings_are_unique() {
    let mut seen = HashSet::new();
    for spec in LAYERS {
        assert!(seen.insert(spec.name), "{}", spec.name);
        let mut options: HashSet<String> = HashSet::new();
        for option in spec
            .slots
            .iter()
            .map(|slot| slot.name.to_string())
            .chain(spec.settings.iter().map(|setting| setting.name.to_owned()))
        {
            assert!(options.insert(option.clone()), "{}: {option}", spec.name);
        }
    }
}

#[test]
fn every_layer_has_its_file_test_fixture_and_a_line_of_tests() {
    let tests = std::fs::read_to_string(format!("{}/tests/tests.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for spec in LAYERS {
        let word = spec.name.replace('-', "_");
        assert!(exists(&format!("{word}/cases.json")), "{word}");
        let family = family(spec);
        for path in [format!("../tests/{family}.rs"), format!("{family}/make.py")] {
            assert!(exists(&path), "{path}");
            let text = std::fs::read_to_string(fixture(&path)).unwrap();
            assert!(family == word || text.contains(&format!("\"{}\"", spec.name)), "{path}: {word}");
        }
        assert!(tests.contains(&format!("mod {family};")), "{word}");
    }
}

fn exists(path: &str) -> bool {
    std::path::Path::new(&fixture(path)).exists()
}

/// The name of a layer's file: its own, or that of the table in which it is a row.
fn family(spec: &LayerSpec) -> String {
    let own = spec.name.replace('-', "_");
    let has_row = |family: &&&str| {
        let files = [format!("../src/layer/{family}/rows.rs"), format!("../src/layer/{family}.rs")];
        let rows = files.iter().filter_map(|path| std::fs::read_to_string(fixture(path)).ok()).collect::<String>();
        rows.contains(&format!("name: \"{}\"", spec.name))
    };
    let families = ["broadcast", "losses", "norms", "pointwise", "rearrange", "windows"];
    let table = || (*families.iter().find(has_row).unwrap()).to_owned();
    if exists(&format!("../src/layer/{own}.rs")) { own } else { table() }
}

#[test]
fn every_layer_file_has_a_header_of_six_entries() {
    for spec in LAYERS {
        let text = std::fs::read_to_string(fixture(&format!("../src/layer/{}.rs", family(spec)))).unwrap();
        let mut from = 0;
        for word in ["- Forward:", "- Backward:", "- Shapes:", "- Refuses:", "- Accuracy:", "- Source:"] {
            let at = text[from..].find(word).unwrap_or_else(|| panic!("{}: {word}", spec.name));
            from += at;
        }
    }
}

#[test]
fn every_layer_has_an_input_an_output_and_the_formulas_of_its_gradients() {
    for spec in LAYERS {
        assert!(spec.slots.iter().any(|slot| slot.role == Role::Input), "{}", spec.name);
        assert!(spec.formula(&spec.output).is_some(), "{}", spec.name);
        for slot in spec.slots {
            let has_gradient = match slot.role {
                Role::Input | Role::Parameter => Some(slot.values == Values::Numbers),
                // Tables and additive masks have one, running statistics have none.
                Role::Constant => None,
                Role::Target => Some(false),
            };
            assert!(has_gradient.is_none_or(|has| has == slot.gradient.is_some()), "{}: {}", spec.name, slot.name);
        }
    }
}

/// `nnlayer sum` adds the gradients of parameters, and a shard does not name its layer.
#[test]
fn a_name_is_that_of_a_parameter_in_every_layer_or_in_none() {
    let parameters: HashSet<_> = LAYERS.iter().flat_map(|spec| spec.parameters()).map(|slot| &slot.name).collect();
    for slot in LAYERS.iter().flat_map(|spec| spec.slots).filter(|slot| slot.role != Role::Parameter) {
        assert!(!parameters.contains(&slot.name), "{}", slot.name);
    }
}

/// Draws a scalar, vector or matrix of a few numbers, among them special ones, as JSON.
fn operand() -> impl Strategy<Value = String> {
    let special =
        ["0", "-0.0", "1", "2", "0.5", "0.25", "-1", "1e308", "5e-324", "\"NaN\"", "\"Infinity\"", "\"-Infinity\""];
    let numbers = prop::collection::vec(prop::sample::select(special.to_vec()), 9);
    (0..4usize, 0..4usize, 0..3usize, numbers).prop_map(|(rows, columns, rank, numbers)| {
        let row =
            |n: usize| format!("[{}]", (0..columns).map(|k| numbers[(3 * n + k) % 9]).collect::<Vec<_>>().join(","));
        match rank {
            0 => numbers[0].to_owned(),
            1 => row(0),
            _ => format!("[{}]", (0..rows).map(row).collect::<Vec<_>>().join(",")),
        }
    })
}

fn some_settings(spec: &LayerSpec, pick: usize) -> Vec<String> {
    let mut options = Vec::new();
    for (n, setting) in spec.settings.iter().enumerate().filter(|(n, _)| pick >> n & 1 == 1) {
        options.push(format!("--{}", setting.name));
        match setting.kind {
            Kind::Flag => {}
            Kind::Integer => options.push(["0", "1", "-1", "7"][(pick + n) % 4].to_owned()),
            Kind::Number(_) => options.push(["0", "0.5", "1", "-1", "nan"][(pick + n) % 5].to_owned()),
            Kind::Choice(words) => options.push(words[(pick + n) % words.len()].to_owned()),
            Kind::Integers | Kind::IntegerRows(_) => options.push(["1", "2", "1,2"][(pick + n) % 3].to_owned()),
        }
    }
    options
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_shapes_or_values_make_a_layer_panic(
        layer in 0..LAYERS.len(),
        operands in prop::collection::vec(operand(), 4),
        pick: usize,
        dout in proptest::option::of(operand()),
    ) {
        let spec = LAYERS[layer];
        let mut args = vec![spec.name.to_owned(), "--json".to_owned()];
        for (slot, text) in spec.slots.iter().zip(operands) {
            if !slot.optional || pick & 64 == 0 {
                args.extend([format!("--{}", slot.name), text]);
            }
        }
        args.extend(some_settings(spec, pick));
        args.extend(dout.into_iter().flat_map(|dout| ["--dout".to_owned(), dout]));
        let ran = nnlayer(&args.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert!(ran.status == 0 || ran.status == 2, "{args:?}");
        prop_assert_eq!(ran.status == 2, ran.stdout.is_empty());
    }
}

#[test]
fn layers_lists_every_operand_setting_and_result() {
    let listed = nnlayer(&["layers"]).json();
    let names = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&listed["layers"]), LAYERS.iter().map(|spec| spec.name).collect::<Vec<_>>());
    for (spec, layer) in LAYERS.iter().zip(listed["layers"].as_array().unwrap()) {
        let settings: Vec<_> = spec.settings.iter().map(|setting| setting.name).collect();
        let operands: Vec<_> = spec.slots.iter().map(|slot| slot.name.as_str()).collect();
        let results: Vec<_> = spec.results().map(|(name, _)| name.as_str().to_owned()).collect();
        assert_eq!(names(&layer["operands"]), operands, "{}", spec.name);
        assert_eq!(names(&layer["settings"]), settings, "{}", spec.name);
        assert_eq!(names(&layer["results"]), results, "{}", spec.name);
        let choices = spec.settings.iter().filter(|setting| matches!(setting.kind, Kind::Choice(_))).count();
        let words = layer["settings"].as_array().unwrap().iter().filter(|setting| setting["kind"] == "choice");
        assert!(words.clone().all(|setting| !setting["words"].as_array().unwrap().is_empty()), "{}", spec.name);
        assert_eq!(words.count(), choices, "{}", spec.name);
    }
}
