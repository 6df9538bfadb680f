//! Programs that compute in f16 and bf16: large values that fit the type, and bounds that are no excuse for whole terms.

use super::{case, check_planted, outline};
use nnlayer::check;
use nnlayer::check::{CheckOptions, Evaluation, Implementation, Point, Verdict, inputs};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::Precision;
use nnlayer::numeric::FloatType;

/// An rmsnorm that rounds each operation to f16, sums of squares too: they overflow where entries are in the hundreds.
struct HalfRmsnorm;

impl Implementation for HalfRmsnorm {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let r = |v: f64| FloatType::F16.round(v);
        let sum = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |sum, v| r(sum + r(v)));
        let evaluate = |point: &Point| {
            let (x, gamma) =
                (point.operands.known(&Name::X).mapv(r), point.operands.known(&Name::new("gamma")).mapv(r));
            let dout = point.dout.clone().unwrap_or_else(|| x.mapv(|_| 0.0)).mapv(r);
            let (mut y, mut dx, mut dgamma) = (x.clone(), x.clone(), gamma.mapv(|_| 0.0));
            for (n, x) in x.rows().into_iter().enumerate() {
                let dout = dout.rows().into_iter().nth(n).unwrap();
                let count = x.len() as f64;
                let mean = r(sum(&mut x.iter().map(|x| x * x)) / count);
                let inverse = r(1.0 / r(r(mean + 1e-5).sqrt()));
                let normalised: Vec<f64> = x.iter().map(|x| r(x * inverse)).collect();
                let upstream: Vec<f64> = dout.iter().zip(&gamma).map(|(d, g)| r(d * g)).collect();
                let projection = r(sum(&mut upstream.iter().zip(&normalised).map(|(u, v)| u * v)) / count);
                let rows = y.rows_mut().into_iter().zip(dx.rows_mut()).nth(n).unwrap();
                for (k, (y, dx)) in rows.0.into_iter().zip(rows.1).enumerate() {
                    *y = r(normalised[k] * gamma[[k]]);
                    *dx = r(inverse * r(upstream[k] - r(normalised[k] * projection)));
                    dgamma[[k]] = r(dgamma[[k]] + r(dout[k] * normalised[k]));
                }
            }
            let gradients = Tensors::new().with(Name::DX, dx).with(Name::new("dgamma"), dgamma);
            Evaluation { outputs: Tensors::new().with(Name::Y, y), gradients }
        };
        Ok(points.iter().map(evaluate).collect())
    }
}

/// A softmax of f16 that computes in f32 without subtracting the maximum: it overflows where an entry is above 88.
struct NoMaximum;

impl Implementation for NoMaximum {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let evaluate = |point: &Point| {
            let mut y = point.operands.known(&Name::X).mapv(|v| FloatType::F32.round(v.exp()));
            let mut dx = point.dout.clone().unwrap_or_else(|| y.mapv(|_| 0.0));
            for (mut y, mut dx) in y.rows_mut().into_iter().zip(dx.rows_mut()) {
                let sum = y.sum();
                y.mapv_inplace(|v| v / sum);
                let projection = y.dot(&dx);
                dx.zip_mut_with(&y, |g, y| *g = y * (*g - projection));
            }
            let round = |v: f64| FloatType::F16.round(v);
            let gradients = Tensors::new().with(Name::DX, dx.mapv(round));
            Evaluation { outputs: Tensors::new().with(Name::Y, y.mapv(round)), gradients }
        };
        Ok(points.iter().map(evaluate).collect())
    }
}

#[test]
fn a_missing_maximum_overflows_in_f16_too() {
    let (case, _) = case("softmax", "", Precision::F64, 1);
    let shapes = inputs::odd_shapes(layer::find("softmax").unwrap());
    let options = CheckOptions { stress_shapes: Some(&shapes), ..CheckOptions::program(&case, 1, None) };
    let report = check::check(&mut NoMaximum, &case, &options).unwrap();
    assert_eq!(report.verdict(), Verdict::Fail, "{}", outline(&report));
    assert!(report.notes.iter().any(|note| note.ends_with("taken as f16")), "{:?}", report.notes);
}

#[test]
fn large_values_fit_the_type_that_is_found() {
    for seed in 1..4 {
        let (case, _) = case("rmsnorm", "", Precision::F64, seed);
        let shapes = inputs::odd_shapes(layer::find("rmsnorm").unwrap());
        let options = CheckOptions { stress_shapes: Some(&shapes), ..CheckOptions::program(&case, seed, None) };
        let report = check::check(&mut HalfRmsnorm, &case, &options).unwrap();
        assert_eq!(report.verdict(), Verdict::Pass, "{}", outline(&report));
        assert!(report.notes.iter().any(|note| note.ends_with("taken as f16")), "{:?}", report.notes);
    }
}

#[test]
fn whole_terms_of_a_formula_do_not_fit_in_the_bounds_of_half_types() {
    for (precision, command) in
        [(Precision::Bf16, "layernorm"), (Precision::F16, "gelu"), (Precision::Bf16, "attention")]
    {
        for (factor, passes) in [(1.0, true), (0.85, false)] {
            let plant = |_: &Point, evaluation: &mut Evaluation| {
                evaluation.gradients = evaluation.gradients.map(|v| v * factor);
            };
            let report = check_planted(command, "", precision, &plant);
            assert_eq!(report.verdict() == Verdict::Pass, passes, "{command}: {}", outline(&report));
        }
    }
}
