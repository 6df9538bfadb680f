//! The operations that a trace records, and their derivatives.

use super::double_double::DoubleDouble;
use super::scalar::Scalar;

/// An operand of an operation: a number, and the index of the operation that returned it.
pub type Operand = (DoubleDouble, Option<usize>);

/// A recorded operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// An input.
    Leaf,
    /// Σ of all operands.
    Sum,
    /// The first minus the second.
    Subtract,
    /// The product of two operands.
    Multiply,
    /// x², a product with itself as a graph draws it; no formula records it.
    Square,
    /// The first divided by the second.
    Divide,
    /// −x.
    Negate,
    /// e^(x − shift). The shift is the largest x of a softmax, whose quotients do not depend on it.
    Exp {
        /// The number that is subtracted first.
        shift: f64,
    },
    /// log(x + eps).
    Ln {
        /// The number that is added first.
        eps: f64,
    },
    /// √x.
    Sqrt,
    /// tanh x.
    Tanh,
    /// sin x.
    Sin,
    /// cos x.
    Cos,
    /// Φ(x), the normal distribution.
    NormalCdf,
    /// φ(x), its density.
    NormalDensity,
    /// x if it is positive, else 0.
    Relu,
    /// The second if the first is positive, else 0.
    IfPositive,
    /// The largest operand.
    Max,
    /// |x|.
    Abs,
    /// x within limits: min(max(x, least), most).
    Clip {
        /// The least result.
        least: f64,
        /// The greatest result.
        most: f64,
    },
}

/// The textbook's name of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextbookName {
    /// The name, `e`.
    pub name: &'static str,
    /// Its definition, `e^({x} − max)`, where the name that an operand has takes the place of x.
    pub meaning: &'static str,
}

/// A recorded operation with its operands and result.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The operation.
    pub op: Op,
    /// Its operands, in order.
    pub reads: Vec<Operand>,
    /// Its result.
    pub value: DoubleDouble,
    /// The textbook's name of the result, if the formula gives one.
    pub named: Option<TextbookName>,
}

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
