//! Custom layers of one elementwise function: fast oscillations, noise, state between calls, kinks, entries of very different sizes,
//! and the type that is found from the replies.

use super::{kinds, outline};
use ndarray::{Array1, ArrayD};
use nnlayer::check;
use nnlayer::check::{Case, CheckOptions, CheckReport, Evaluation, Implementation, Point, Verdict};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::rng::SplitMix64;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::Settings;
use nnlayer::numeric::FloatType;

/// A program of y = f(x) with one state that lasts over all calls.
struct ElementwiseProgram<F> {
    state: Vec<f64>,
    /// Returns y, and dx for dout, given the state.
    compute: F,
}

impl<F: FnMut(&mut Vec<f64>, f64, f64) -> (f64, f64)> Implementation for ElementwiseProgram<F> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let evaluate = |point: &Point| {
            let x = point.operands.known(&Name::X);
            let dout = point.dout.clone().unwrap_or_else(|| x.mapv(|_| 1.0));
            let pairs: Vec<(f64, f64)> =
                x.iter().zip(&dout).map(|(&x, &dout)| (self.compute)(&mut self.state, x, dout)).collect();
            let array = |values: Vec<f64>| ArrayD::from_shape_vec(x.raw_dim(), values).unwrap();
            let outputs = Tensors::new().with(Name::Y, array(pairs.iter().map(|(y, _)| *y).collect()));
            let gradients = Tensors::new().with(Name::DX, array(pairs.iter().map(|(_, dx)| *dx).collect()));
            Evaluation { outputs, gradients: if point.dout.is_some() { gradients } else { Tensors::new() } }
        };
        Ok(points.iter().map(evaluate).collect())
    }
}

/// Checks a program at x, as a layer of nnlayer or a custom one.
fn check_layer(
    layer: Option<&str>,
    x: &[f64],
    compute: impl FnMut(&mut Vec<f64>, f64, f64) -> (f64, f64),
) -> CheckReport {
    let x = Array1::from(x.to_vec()).into_dyn();
    let dout = x.mapv(|x| 0.75 - 0.1 * x.signum());
    let operands = Tensors::new().with(Name::X, x);
    let case = match layer.and_then(layer::find) {
        Some(spec) => Case::new(spec, &Settings::default(), &operands, Some(&dout), FloatType::F64).unwrap(),
        None => Case::custom(operands, dout, Name::Y, &[Name::DX]),
    };
    let mut program = ElementwiseProgram { state: Vec::new(), compute };
    check::check(&mut program, &case, &CheckOptions::program(&case, 1, None)).unwrap()
}

fn check_custom(x: &[f64], compute: impl FnMut(&mut Vec<f64>, f64, f64) -> (f64, f64)) -> CheckReport {
    check_layer(None, x, compute)
}

#[test]
fn a_zero_gradient_of_a_fast_oscillation_fails_and_the_right_one_passes() {
    use std::f64::consts::PI;
    for x in [[0.25, -1.5, 2.0], [0.3, 0.7, -1.1]] {
        let zero = check_custom(&x, |_, x, _| ((4.0 * PI * x).sin(), 0.0));
        assert_eq!(zero.verdict(), Verdict::Fail, "{}", outline(&zero));
        let right = check_custom(&x, |_, x, dout| ((4.0 * PI * x).sin(), dout * 4.0 * PI * (4.0 * PI * x).cos()));
        assert_eq!(right.verdict(), Verdict::Pass, "{}", outline(&right));
    }
}

#[test]
fn a_sigmoid_by_tanh_is_not_accused() {
    let sigmoid = |x: f64| 0.5 + 0.5 * (0.5 * x).tanh();
    let single = |x: f64| FloatType::F32.round(x);
    let single_sigmoid = |x: f64| single(0.5 + single(0.5 * single((0.5 * x).tanh())));
    let x = [-709.0, -60.0, -34.0, -20.5, -9.0, -5.0, 0.25, 30.0];
    let doubles = [
        check_layer(Some("sigmoid"), &x, |_, x, dout| (sigmoid(x), dout * sigmoid(x) * (1.0 - sigmoid(x)))),
        check_layer(Some("silu"), &x, |_, x, dout| {
            let y = sigmoid(x);
            (x * y, dout * (y + x * y * (1.0 - y)))
        }),
    ];
    let singles = [
        check_layer(Some("sigmoid"), &x, |_, x, dout| {
            let y = single_sigmoid(x);
            (y, single(dout * single(y * single(1.0 - y))))
        }),
        check_layer(Some("silu"), &x, |_, x, dout| {
            let y = single_sigmoid(x);
            (single(x * y), single(dout * single(y + single(single(x * y) * single(1.0 - y)))))
        }),
    ];
    for report in doubles.into_iter().chain(singles) {
        assert_eq!(report.verdict(), Verdict::Pass, "{}", outline(&report));
    }
}

#[test]
fn outputs_that_are_noise_of_their_inputs_never_pass() {
    let noise = |x: f64| (SplitMix64::new(x.to_bits()).index(1 << 20) as f64) / 1e6;
    for slope in [0.0, 1.0] {
        let report = check_custom(&[0.3, -0.7], |_, x, dout| (noise(x), slope * dout));
        assert_ne!(report.verdict(), Verdict::Pass, "{}", outline(&report));
    }
}

#[test]
fn state_that_lasts_between_calls_fails_with_its_kind() {
    let relu = |x: f64| if x > 0.0 { x } else { 0.0 };
    let slope = |x: f64| if x > 0.0 { 1.0 } else { 0.0 };
    // The slope is that of the three inputs of the call before.
    let stale = check_custom(&[0.5, -1.0, -2.0], |state, x, dout| {
        state.push(x);
        let cached = state.len().checked_sub(4).map_or(x, |before| state[before]);
        (relu(x), dout * slope(cached))
    });
    assert!(kinds(&stale).contains(&"stale input of an earlier call"), "{}", outline(&stale));
    let mut calls = 0;
    let accumulated = check_custom(&[0.5, -1.0, 2.0], |state, x, dout| {
        let entry = calls % 3;
        calls += 1;
        state.resize(3, 0.0);
        state[entry] += dout * slope(x);
        (relu(x), state[entry])
    });
    assert!(kinds(&accumulated).contains(&"accumulated since the last call"), "{}", outline(&accumulated));
}

#[test]
fn a_mask_of_the_call_before_fails_whatever_the_signs_of_the_inputs() {
    for signs in 1_u32..(1 << 5) - 1 {
        let x: Vec<f64> =
            (0..5).map(|n| (0.3 + 0.2 * f64::from(n)) * if signs >> n & 1 == 1 { 1.0 } else { -1.0 }).collect();
        let stale = check_custom(&x, |state, x, dout| {
            state.push(x);
            let cached = state.len().checked_sub(6).map_or(x, |before| state[before]);
            (x.max(0.0), if cached > 0.0 { dout } else { 0.0 })
        });
        assert_eq!(stale.verdict(), Verdict::Fail, "{x:?}: {}", outline(&stale));
    }
}

#[test]
fn a_subgradient_at_a_kink_passes_and_another_value_fails() {
    let slope_at_zero = |at_zero: f64| {
        let slope = move |x: f64| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                0.01
            } else {
                at_zero
            }
        };
        check_custom(&[0.0, 1.0, -1.0], move |_, x, dout| (x.max(0.01 * x), dout * slope(x))).verdict()
    };
    let verdicts = [0.01, 0.5, 1.0, 1.5, -0.5].map(slope_at_zero);
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Fail, Verdict::Fail]);
}

#[test]
fn entries_of_very_different_sizes_do_not_hide_each_other() {
    let slope_at_zero = |layer, at_zero: f64| {
        let slope = move |x: f64| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                0.0
            } else {
                at_zero
            }
        };
        let x = [0.0, 0.0, 1.0, -0.0, 1e-300, 1e300];
        let report = check_layer(layer, &x, move |_, x, dout| (x.max(0.0), dout * slope(x)));
        (report.verdict(), outline(&report))
    };
    for layer in [None, Some("relu")] {
        for right in [0.0, 0.5, 1.0] {
            let (verdict, outline) = slope_at_zero(layer, right);
            assert_eq!(verdict, Verdict::Pass, "{outline}");
        }
        let (verdict, outline) = slope_at_zero(layer, 1.5);
        assert_ne!(verdict, Verdict::Pass, "{outline}");
    }
    // An output that the other entries reach, and are lost in: their right gradient must not fail, nor 0 pass.
    for (lost, verdict) in [(1.0, Verdict::Inconclusive), (0.0, Verdict::Inconclusive)] {
        let mut sum = Vec::new();
        let report = check_custom(&[1.0, 1e300], move |_, x, dout| {
            sum.push(x);
            let y = if sum.len() % 2 == 0 { sum[sum.len() - 2] + x } else { 0.0 };
            (y, if sum.len() % 2 == 0 { dout } else { lost * 0.65 })
        });
        assert_eq!(report.verdict(), verdict, "{lost}: {}", outline(&report));
    }
}

#[test]
fn the_type_is_found_from_few_replies_and_exact_ones() {
    let found = |report: &CheckReport, name: &str| {
        assert_eq!(report.verdict(), Verdict::Pass, "{name}: {}", outline(report));
        report.notes.iter().any(|note| note.ends_with(&format!("taken as {name}")))
    };
    for float_type in [FloatType::F64, FloatType::F32, FloatType::F16, FloatType::Bf16] {
        let r = move |v: f64| float_type.round(v);
        let x = [0.75, -1.5, 2.25, -0.375];
        let is_narrow = float_type != FloatType::F64;
        let square = check_custom(&x, move |_, x, dout| (r(r(x) * r(x)), r(r(2.0 * r(x)) * r(dout))));
        assert_eq!(found(&square, float_type.name()), is_narrow, "{:?}", square.notes);
        // Two results at each of a few points.
        let sigmoid = check_layer(Some("sigmoid"), &[11.7936], move |_, x, dout| {
            let y = r(1.0 / r(1.0 + r((-r(x)).exp())));
            (y, r(r(dout) * r(y * r(1.0 - y))))
        });
        assert_eq!(found(&sigmoid, float_type.name()), is_narrow, "{:?}", sigmoid.notes);
    }
    // Steps of a half are exact in every type, and tell of none.
    let steps = check_custom(&[0.3, -1.6, 2.2], |_, x, _| ((2.0 * x).round() / 2.0, 0.0));
    assert!(steps.notes.iter().all(|note| !note.contains("taken as")), "{:?}", steps.notes);
}

#[test]
fn small_functions_are_checked_as_large_ones_are() {
    for scale in [1e-3, 1e-12, 1e-20, 1e-300] {
        let check = |factor: f64| {
            check_custom(&[0.7, -1.5, 0.3, 2.0], move |_, x, dout| {
                (scale * x.tanh(), scale * dout * factor * (1.0 - x.tanh() * x.tanh()))
            })
        };
        let verdicts = [1.0, 1.01, -1.0, 0.0].map(|factor| check(factor).verdict());
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Fail, Verdict::Fail, Verdict::Fail], "{scale}");
    }
}

#[test]
fn small_gradients_of_saturated_functions_may_be_what_cancels() {
    // The terms of y − 1 and of 1 − y² are 1, also where the gradient is 1e-8.
    for x in [18.0, 30.0, 36.0] {
        let logistic = check_custom(&[x], |_, x, dout| ((-x).exp().ln_1p(), dout * (1.0 / (1.0 + (-x).exp()) - 1.0)));
        assert_ne!(logistic.verdict(), Verdict::Fail, "{x}: {}", outline(&logistic));
        let tanh = check_custom(&[x / 2.0, -x], |_, x, dout| (x.tanh(), dout * (1.0 - x.tanh() * x.tanh())));
        assert_ne!(tanh.verdict(), Verdict::Fail, "{x}: {}", outline(&tanh));
    }
}

#[test]
fn right_gradients_pass_or_stay_undecided_where_steps_mislead() {
    let never_fails = |name: &str, report: &CheckReport| {
        assert_ne!(report.verdict(), Verdict::Fail, "{name}: {}", outline(report));
    };
    // Steps that see single oscillations are below what the argument is rounded to.
    never_fails("sin 1e12x", &check_custom(&[0.3, -1.7], |_, x, d| ((1e12 * x).sin(), d * 1e12 * (1e12 * x).cos())));
    // An iteration that stops at 1e-9 has stairs of that size, and slope 1 on each.
    let stairs = |x: f64| 3.0 * x + (x / 1e-9 - (x / 1e-9).floor()) * 1e-9;
    never_fails("stairs", &check_custom(&[0.3, -1.7], |_, x, dout| (stairs(x), 3.0 * dout)));
    // The singularity is much nearer than the usual size of inputs.
    for float_type in [FloatType::F64, FloatType::F32, FloatType::F16, FloatType::Bf16] {
        let r = move |v: f64| float_type.round(v);
        for near in [0.002, 1e-6, 1e-20] {
            let x = [near, 0.5, 1.0, -2.0].map(r);
            let root = check_custom(&x, move |_, x, dout| {
                let root = r(r(x).abs().sqrt());
                (root, if x == 0.0 { 0.0 } else { r(dout * x.signum() / (2.0 * root)) })
            });
            never_fails(&format!("√|x| in {} at {near}", float_type.name()), &root);
        }
    }
    // A table has stairs, and the gradient of the smooth function.
    let table = |x: f64| ((x * 4096.0).round() / 4096.0).sin();
    never_fails("table", &check_custom(&[0.3, -1.7, 0.9], |_, x, dout| (table(x), dout * x.cos())));
    // Beyond the largest number of f16.
    let r = |v: f64| FloatType::F16.round(v);
    let reciprocal = check_custom(&[0.001, 0.5, 1.0, -2.0].map(r), |_, x, dout| (r(1.0 / x), r(-dout / (x * x))));
    never_fails("1/x", &reciprocal);
    // The forward pass approximates its function to 1e-10.
    let approximate = check_custom(&[0.3, -1.7], |_, x, dout| (x.sin() * (1.0 + 1e-10), dout * x.cos()));
    assert_eq!(approximate.verdict(), Verdict::Inconclusive, "{}", outline(&approximate));
    let wrong = check_custom(&[0.3, -1.7], |_, x, dout| (x.sin() * (1.0 + 1e-8), dout * x.cos()));
    assert_eq!(wrong.verdict(), Verdict::Fail, "{}", outline(&wrong));
}

#[test]
fn a_flat_output_has_gradient_0() {
    let bump = |x: f64| if x.abs() < 1.0 { (-1.0 / (1.0 - x * x)).exp() } else { 0.0 };
    for (slope, verdict) in [(0.0, Verdict::Pass), (1.0, Verdict::Fail)] {
        let report = check_custom(&[2.0, -3.0, 1.5], |_, x, dout| (bump(x), slope * dout));
        assert_eq!(report.verdict(), verdict, "{}", outline(&report));
    }
}

#[test]
fn infinity_is_no_right_result_where_the_textbook_formula_overflows() {
    let slope = |x: f64| 1.0 / (1.0 + (-x).exp());
    let naive = check_layer(Some("softplus"), &[800.0, 1.0], |_, x, dout| ((1.0 + x.exp()).ln(), dout * slope(x)));
    assert_eq!(naive.verdict(), Verdict::Fail, "{}", outline(&naive));
    let stable = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let right = check_layer(Some("softplus"), &[800.0, 1.0], |_, x, dout| (stable(x), dout * slope(x)));
    assert_eq!(right.verdict(), Verdict::Pass, "{}", outline(&right));
}
