//! The derivatives of the operations of a trace.

use super::traced::{Entry, Op};
use super::{DoubleDouble, Scalar};

/// Returns the derivative of an operation by each operand, in order.
pub fn local_derivatives(entry: &Entry) -> Vec<DoubleDouble> {
    let one = DoubleDouble::one();
    let read = |n: usize| entry.reads[n].0;
    match entry.op {
        Op::Leaf => Vec::new(),
        Op::Sum => vec![one; entry.reads.len()],
        Op::Subtract => vec![one, -one],
        Op::Multiply => vec![read(1), read(0)],
        Op::Square => vec![read(0) + read(0)],
        Op::Divide => vec![one / read(1), -(entry.value / read(1))],
        Op::Negate => vec![-one],
        Op::Exp { .. } => vec![entry.value],
        Op::Ln { eps } => vec![one / (read(0) + DoubleDouble::from_f64(eps))],
        Op::Sqrt => vec![one / (entry.value + entry.value)],
        Op::Tanh => vec![one - entry.value * entry.value],
        Op::Sin => vec![read(0).cos()],
        Op::Cos => vec![-read(0).sin()],
        Op::NormalCdf => vec![read(0).normal_density()],
        Op::NormalDensity => vec![-(read(0) * entry.value)],
        Op::Relu => vec![read(0).if_positive(one)],
        Op::IfPositive => vec![DoubleDouble::zero(), read(0).if_positive(one)],
        Op::Abs => vec![read(0).if_positive(one) - (-read(0)).if_positive(one)],
        Op::Clip { .. } if read(0).is_nan() => vec![read(0)],
        Op::Clip { least, most } => {
            let is_between = read(0) > DoubleDouble::from_f64(least) && read(0) < DoubleDouble::from_f64(most);
            vec![if is_between { one } else { DoubleDouble::zero() }]
        }
        Op::Max => {
            let at = (0..entry.reads.len()).find(|&n| read(n) == entry.value);
            (0..entry.reads.len()).map(|n| if Some(n) == at { one } else { DoubleDouble::zero() }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::traced::{Traced, record};

    #[test]
    fn the_derivative_of_a_clip_is_0_from_the_limits_on_and_nan_for_nan() {
        for (x, slope) in [(-2.0, 0.0), (-1.0, 0.0), (0.5, 1.0), (1.0, 0.0), (f64::INFINITY, 0.0), (f64::NAN, f64::NAN)]
        {
            let clip = || Traced::leaf(x).clip(Traced::from_f64(-1.0), Traced::from_f64(1.0));
            let (log, _) = record(2, clip);
            let derivatives: Vec<f64> = local_derivatives(&log.unwrap()[1]).into_iter().map(Scalar::to_f64).collect();
            assert_eq!(format!("{derivatives:?}"), format!("{:?}", [slope]), "{x}");
        }
    }
}
