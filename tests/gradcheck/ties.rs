//! Equal entries: a maximum or a sort may choose any of them, and not all at once.

use super::{PlantedProgram, case, outline};
use ndarray::{Array1, ArrayD};
use nnlayer::check;
use nnlayer::check::{Case, CheckOptions, CheckReport, Evaluation, Implementation, Point, Verdict};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer::Precision;

/// Returns the verdict on maxpool1d whose windows choose among their equal entries by a rule, which gives the part of each.
fn check_pool(is_known: bool, precision: Precision, part: impl Fn(&[usize], usize) -> f64) -> CheckReport {
    let (mut case, layer) = case("maxpool1d", "kernel=2 stride=1 x=:1,1,1,2,2,0", precision, 3);
    if !is_known {
        case.reference = None;
    }
    let plant = |point: &Point, evaluation: &mut Evaluation| {
        let (x, dout) = (point.operands.known(&Name::X), point.dout.as_ref().unwrap());
        let gradient = evaluation.gradients.get_mut(&Name::DX).unwrap();
        gradient.fill(0.0);
        for ((x, dout), mut dx) in x.rows().into_iter().zip(dout.rows()).zip(gradient.rows_mut()) {
            for (n, dout) in dout.iter().enumerate() {
                let largest = x[n].max(x[n + 1]);
                let equal: Vec<usize> = (n..n + 2).filter(|&k| x[k] == largest).collect();
                equal.iter().for_each(|&k| dx[k] += dout * part(&equal, k));
            }
        }
    };
    let mut program = PlantedProgram { layer: layer.as_ref(), precision, plant: &plant };
    check::check(&mut program, &case, &CheckOptions::program(&case, 1, Some(precision.float_type()))).unwrap()
}

#[test]
fn a_maximum_may_choose_any_of_equal_entries_and_not_all() {
    for (is_known, precision) in [(true, Precision::F64), (false, Precision::F64), (true, Precision::F16)] {
        let last = check_pool(is_known, precision, |equal, k| f64::from(u8::from(Some(&k) == equal.last())));
        assert_eq!(last.verdict(), Verdict::Pass, "{}", outline(&last));
        let shared = check_pool(is_known, precision, |equal, _| 1.0 / equal.len() as f64);
        assert_eq!(shared.verdict(), Verdict::Pass, "{}", outline(&shared));
        let all = check_pool(is_known, precision, |_, _| 1.0);
        assert_eq!(all.verdict(), Verdict::Fail, "{}", outline(&all));
    }
}

/// Sorts x, the largest entry first, and of equal ones the first.
struct Sort;

impl Implementation for Sort {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let evaluate = |point: &Point| {
            let x: Vec<f64> = point.operands.known(&Name::X).iter().copied().collect();
            let mut order: Vec<usize> = (0..x.len()).collect();
            order.sort_by(|&a, &b| x[b].total_cmp(&x[a]));
            let row = |values: Vec<f64>| Array1::from(values).into_dyn();
            let outputs = Tensors::new().with(Name::Y, row(order.iter().map(|&n| x[n]).collect()));
            let gradients = point.dout.as_ref().map_or_else(Tensors::new, |dout: &ArrayD<f64>| {
                let mut dx = vec![0.0; x.len()];
                order.iter().zip(dout).for_each(|(&n, &dout)| dx[n] = dout);
                Tensors::new().with(Name::DX, row(dx))
            });
            Evaluation { outputs, gradients }
        };
        Ok(points.iter().map(evaluate).collect())
    }
}

#[test]
fn the_middle_one_of_equal_entries_of_a_sort_is_not_accused() {
    // The derivatives of the middle entry to both sides are the first and the last dout.
    let dout = Array1::from(vec![0.25, 2.0, -1.0, 0.5]).into_dyn();
    let x = Array1::from(vec![1.5, 1.5, 1.5, 0.5]).into_dyn();
    let case = Case::custom(Tensors::new().with(Name::X, x), dout, Name::Y, &[Name::DX]);
    let report = check::check(&mut Sort, &case, &CheckOptions::program(&case, 1, None)).unwrap();
    assert_ne!(report.verdict(), Verdict::Fail, "{}", outline(&report));
}

/// The median of six: half the third and half the fourth of the sorted entries.
struct Median;

impl Implementation for Median {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let halves = |point: &Point| Point {
            dout: point.dout.as_ref().map(|dout| {
                let half = dout[[0]] / 2.0;
                Array1::from(vec![0.0, 0.0, half, half, 0.0, 0.0]).into_dyn()
            }),
            ..point.clone()
        };
        let mut sorted = Sort.evaluate(&points.iter().map(halves).collect::<Vec<_>>())?;
        for evaluation in &mut sorted {
            let y = evaluation.outputs.known(&Name::Y);
            let median = Array1::from(vec![(y[[2]] + y[[3]]) / 2.0]).into_dyn();
            evaluation.outputs.insert(Name::Y, median);
        }
        Ok(sorted)
    }
}

#[test]
fn a_median_of_equal_entries_is_not_accused() {
    for x in [vec![0.5; 6], vec![1.0, 1.0, 1.0, 0.5, 0.5, -1.0]] {
        let x = Array1::from(x).into_dyn();
        let dout = Array1::from(vec![1.25]).into_dyn();
        let case = Case::custom(Tensors::new().with(Name::X, x), dout, Name::Y, &[Name::DX]);
        let report = check::check(&mut Median, &case, &CheckOptions::program(&case, 1, None)).unwrap();
        assert_ne!(report.verdict(), Verdict::Fail, "{}", outline(&report));
    }
}
