//! Layers on arrays of any rank, through the library.

use crate::support::cases::{Within, near};
use crate::support::{fixture, numbers, shape};
use ndarray::{ArrayD, arr0};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer::{self, Given, Precision, Settings};
use serde_json::Value;

fn cases(file: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(fixture(file)).unwrap()).unwrap()
}

fn array(value: &Value) -> ArrayD<f64> {
    ArrayD::from_shape_vec(shape(value), numbers(value)).unwrap()
}

/// Computes a layer; options that are no settings are operands.
fn compute(layer: &str, options: &Value, precision: Precision) -> Tensors<f64> {
    let spec = layer::find(layer).unwrap();
    let (mut settings, mut at, mut dout) = (Settings::default(), Tensors::new(), None);
    for (name, value) in options.as_object().unwrap() {
        match spec.settings.iter().find(|setting| setting.name == name) {
            Some(setting) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                settings.set(setting.name, setting.parse(text.trim_end_matches(".0")).unwrap());
            }
            None if name == "dout" => dout = Some(array(value)),
            None => at.insert(Name::new(name.clone()), array(value)),
        }
    }
    let layer = (spec.build)(&settings).unwrap();
    layer::admit(layer.as_ref(), &Given { at: &at, rounding: &|_| 0.0, x_was_y: false }).unwrap();
    let dout = dout.unwrap_or_else(|| arr0(1.0).into_dyn());
    let dout = if dout.ndim() == 0 { ArrayD::from_elem(layer.output_shape(&at), dout[[]]) } else { dout };
    let outcome = layer::compute(layer.as_ref(), &at, Some(&dout), precision);
    outcome.results.into_iter().chain(outcome.gradients).collect()
}

#[test]
fn results_of_every_rank_equal_the_formula_in_high_precision() {
    let cases = cases("tensors/cases.json");
    assert!(cases.len() > 60);
    for case in cases {
        let (name, options) = (case["layer"].as_str().unwrap(), &case["options"]);
        for precision in [Precision::F64, Precision::Exact] {
            let found = compute(name, options, precision);
            for (result, expected) in case["expected"].as_object().unwrap() {
                let (value, what) = (found.known(&Name::new(result.clone())), format!("{name} {options} {result}"));
                assert_eq!(value.shape(), shape(expected), "{what}");
                let within = if precision == Precision::Exact { Within::Ulps(0) } else { Within::Roundings(8.0) };
                near(&value.iter().copied().collect::<Vec<_>>(), &numbers(expected), &within, &what);
            }
        }
    }
}

#[test]
fn all_of_onnx_cases_of_softmax_cross_entropy_pass() {
    let cases = cases("tensors/onnx.json");
    assert_eq!(cases.len(), 34);
    for case in cases {
        let (options, expected) = (&case["options"], &case["expected"]);
        let check = |found: &ArrayD<f64>, expected: &Value| {
            let what = format!("{}", case["name"]);
            assert_eq!(found.shape(), shape(expected), "{what}");
            let values = found.iter().copied().collect::<Vec<_>>();
            near(&values, &numbers(expected), &Within::Roundings(400.0), &what);
        };
        check(compute("softmax-xent", options, Precision::F64).known(&Name::LOSS), &expected["loss"]);
        if let Some(log_prob) = expected.get("log_prob") {
            let log = serde_json::json!({"x": options["x"], "axis": 1, "log": true});
            check(compute("softmax", &log, Precision::F64).known(&Name::Y), log_prob);
        }
    }
}

#[test]
fn gradients_keep_their_digits_where_the_probability_of_the_target_is_nearly_one() {
    for case in cases("tensors/cancellation.json") {
        for (precision, most) in [(Precision::F64, 2), (Precision::Exact, 0)] {
            let found = compute("softmax-xent", &case["options"], precision);
            let dx: Vec<f64> = found.known(&Name::DX).iter().copied().collect();
            let what = format!("{} {}", precision.name(), case["options"]);
            for (n, (dx, expected)) in dx.iter().zip(numbers(&case["expected"]["dx"])).enumerate() {
                // The gradients of other classes are products of y and a sum.
                let most = if expected < 0.0 { most } else { 2 * most };
                near(&[*dx], &[expected], &Within::Ulps(most), &format!("{n} {what}"));
            }
        }
    }
}

#[test]
fn half_precisions_round_operands_and_each_result_once() {
    let cases = cases("tensors/half.json");
    assert_eq!(cases.len(), 6);
    for case in cases {
        let precision = Precision::named(case["precision"].as_str().unwrap()).unwrap();
        let found = compute(case["layer"].as_str().unwrap(), &case["options"], precision);
        for (result, expected) in case["expected"].as_object().unwrap() {
            let values: Vec<f64> = found.known(&Name::new(result.clone())).iter().copied().collect();
            assert_eq!(values, numbers(expected), "{} {result}", precision.name());
        }
    }
}

/// Returns the logits that fixtures/tensors/make.py computes as well.
fn logits(shape: &[usize]) -> ArrayD<f64> {
    let count: usize = shape.iter().product();
    let logit = |n: usize| f64::from((((n * 7919 % 10007) as f64 - 5000.0) / 400.0) as f32);
    ArrayD::from_shape_vec(shape, (0..count).map(logit).collect()).unwrap()
}

#[test]
fn single_precision_is_within_an_ulp_for_many_classes_along_any_axis_and_many_rows() {
    let is_near = |found: f64, expected: &Value| {
        let expected = expected.as_f64().unwrap();
        let float = expected.abs() as f32;
        (found - expected).abs() <= f64::from(float.next_up() - float)
    };
    for case in cases("tensors/many_classes.json") {
        let shape: Vec<usize> = numbers(&case["shape"]).into_iter().map(|length| length as usize).collect();
        let axis = case["axis"].as_u64().unwrap() as usize;
        let x = logits(&shape);
        let results = |layer: &str, settings: &[(&str, &str)], t: Option<ArrayD<f64>>| {
            let spec = layer::find(layer).unwrap();
            let mut chosen = Settings::default();
            for (name, text) in settings {
                let setting = spec.settings.iter().find(|setting| setting.name == *name).unwrap();
                chosen.set(setting.name, setting.parse(text).unwrap());
            }
            let mut at = Tensors::new().with(Name::X, x.clone());
            t.into_iter().for_each(|t| at.insert(Name::T, t));
            layer::compute((spec.build)(&chosen).unwrap().as_ref(), &at, None, Precision::F32).results
        };
        let axis_text = axis.to_string();
        let y = results("softmax", &[("axis", &axis_text)], None);
        let log = results("softmax", &[("axis", &axis_text), ("log", "true")], None);
        for (name, found) in [("y", &y), ("log", &log)] {
            for (n, expected) in numbers(&case["places"]).into_iter().zip(case[name].as_array().unwrap()) {
                let found = found.known(&Name::Y).as_slice().unwrap()[n as usize];
                assert!(is_near(found, expected), "{shape:?} {name} {n}: {found} {expected}");
            }
        }
        let mut lanes = shape.clone();
        lanes.remove(axis);
        let count = lanes.iter().product();
        let classes = (0..count).map(|n: usize| (n * 7919 % shape[axis]) as f64).collect();
        let t = ArrayD::from_shape_vec(lanes, classes).unwrap();
        for (reduction, name) in [("sum", "loss"), ("mean", "mean")] {
            let settings = [("axis", axis_text.as_str()), ("reduction", reduction)];
            let loss = results("softmax-xent", &settings, Some(t.clone())).known(&Name::LOSS)[[]];
            assert!(is_near(loss, &case[name]), "{shape:?} {name}: {loss} {}", case[name]);
        }
    }
}
