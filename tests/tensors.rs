//! Layers on arrays of any rank, through the library.

use crate::support::cases::{Within, near};
use crate::support::{fixture, folder, nnlayer, numbers, shape};
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

/// Writes doubles to a .npy file.
fn write_npy(path: &std::path::Path, value: &ArrayD<f64>) {
    let lengths: Vec<String> = value.shape().iter().map(usize::to_string).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}", lengths.join(","));
    header += &" ".repeat(127 - 10 - header.len());
    let mut bytes = [b"\x93NUMPY\x01\x00".as_slice(), &118u16.to_le_bytes(), header.as_bytes(), b"\n"].concat();
    value.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn files_of_three_axes_are_computed_in_chunks_along_the_first() {
    let folder = folder();
    let shape = [300, 20, 30];
    let x = logits(&shape);
    let classes = (0..300 * 30).map(|n| (n % 20) as f64).collect();
    let t = ArrayD::from_shape_vec(&[300, 30][..], classes).unwrap();
    let w = logits(&[30, 4]);
    for (name, value) in [("x", &x), ("t", &t), ("w", &w)] {
        write_npy(&folder.path().join(format!("{name}.npy")), value);
    }
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    type Command<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, f64);
    let commands: [Command<'_>; 6] = [
        ("softmax", &[("axis", "1")], "y", 0.0),
        ("softmax", &[("axis", "1"), ("log", "true")], "dx", 0.0),
        ("affine", &[], "y", 0.0),
        ("affine", &[], "dw", 1e-12),
        ("softmax-xent", &[("reduction", "none")], "loss", 0.0),
        ("softmax-xent", &[("reduction", "mean")], "dx", 0.0),
    ];
    for (name, settings, result, tolerance) in commands {
        let spec = layer::find(name).unwrap();
        let mut arguments: Vec<String> = [name, "--x", &path("x.npy"), "--only", result].map(str::to_owned).to_vec();
        arguments.extend(["--out".to_owned(), path("out.npy")]);
        let (mut chosen, mut at) = (Settings::default(), Tensors::new().with(Name::X, x.clone()));
        for slot in spec.slots.iter().filter(|slot| [Name::W, Name::T].contains(&slot.name)) {
            at.insert(slot.name.clone(), if slot.name == Name::W { w.clone() } else { t.clone() });
            arguments.extend([format!("--{}", slot.name), path(&format!("{}.npy", slot.name))]);
        }
        for (setting, text) in settings {
            let setting = spec.settings.iter().find(|known| known.name == *setting).unwrap();
            chosen.set(setting.name, setting.parse(text).unwrap());
            let flag = format!("--{}", setting.name);
            arguments.extend(if *text == "true" { vec![flag] } else { vec![flag, (*text).to_owned()] });
        }
        let ran = nnlayer(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        let layer = (spec.build)(&chosen).unwrap();
        let dout = ArrayD::from_elem(layer.output_shape(&at), 1.0);
        let outcome = layer::compute(layer.as_ref(), &at, Some(&dout), Precision::F64);
        let all: Tensors<f64> = outcome.results.into_iter().chain(outcome.gradients).collect();
        let expected = all.known(&Name::new(result));
        let bytes = std::fs::read(path("out.npy")).unwrap();
        let numbers = bytes[bytes.len() - 8 * expected.len()..].as_chunks().0;
        for (number, expected) in numbers.iter().zip(expected) {
            let found = f64::from_le_bytes(*number);
            assert!((found - expected).abs() <= tolerance * expected.abs(), "{arguments:?}: {found} {expected}");
        }
    }
}

#[test]
fn commands_take_any_rank_and_name_lanes_by_their_full_index() {
    let softmax = nnlayer(&["softmax", "--x", "[[[0,0],[0,0]],[[1,2],[1,2]]]", "--axis", "1", "--forward", "--json"]);
    assert_eq!(softmax.quiet(), "{\"y\":[[[0.5,0.5],[0.5,0.5]],[[0.5,0.5],[0.5,0.5]]]}\n");
    let scalars = nnlayer(&["affine", "--x", "2", "--w", "3", "--b", "1", "--json"]);
    assert_eq!(scalars.quiet(), "{\"y\":7.0,\"dx\":3.0,\"dw\":2.0,\"db\":1.0}\n");
    let infinite = nnlayer(&["softmax", "--x", "[[[0,0]],[[1,\"Infinity\"]]]"]);
    assert!(infinite.refusal().contains("row [1,0] contains +inf"), "{}", infinite.stderr);
    let x = "[[[0,1],[2,3]],[[4,5],[6,7]]]";
    let masked = nnlayer(&["softmax-xent", "--x", "[[[0,\"-Infinity\"],[2,\"-Infinity\"]]]", "--t", "[[0,1]]"]);
    assert!(masked.refusal().contains("slice [0,:,1] contains only -inf"), "{}", masked.stderr);
    let class = nnlayer(&["softmax-xent", "--x", x, "--t", "[[0,1],[2,0]]"]);
    assert!(class.refusal().contains("class index 2 in slice [1,:,0] is out of range"), "{}", class.stderr);
    let ambiguous = nnlayer(&["softmax-xent", "--x", x, "--t", "[[0,1],[1,0]]"]);
    assert!(ambiguous.stderr.contains("use --axis -1 if the last axis has the classes"), "{}", ambiguous.stderr);
    assert_eq!(nnlayer(&["softmax-xent", "--x", x, "--t", "[[0,1],[1,0]]", "--axis", "1"]).stderr, "");
    for name in ["xent --y", "softmax-xent --x"] {
        let (layer, option) = name.split_once(' ').unwrap();
        let y = "[[[0.25,0.5],[0.75,0.5]]]";
        for arguments in [["--t", "[[0,1]]"], ["--t", "[[[0.5,0.25],[0.5,0.75]]]"]] {
            let check = nnlayer(&[&[layer, option, y, "--check"][..], &arguments].concat());
            assert_eq!(check.status, 0, "{name}: {}{}", check.text(), check.stderr);
        }
    }
    let drawn = nnlayer(&["gradcheck", "--layer", "xent", "--shape", "y=2x4x3"]);
    assert_eq!(drawn.status, 0, "{}{}", drawn.text(), drawn.stderr);
}
