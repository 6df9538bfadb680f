//! Layers: their mathematics and the registry that options, help, checks and pictures derive from.
//!
//! A layer refuses in [`Admit::admit`] whatever it cannot compute; after that, [`Layer::forward`] and
//! [`Layer::backward`] are formulas that cannot fail. Neither reads nor writes anything.

use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::{Curve, DoubleDouble, Exact, Scalar, Traced};
use ndarray::{Array2, ArrayD, ArrayView2, Dimension, IxDyn};

mod affine;
mod compute;
mod exact;
mod gradients;
mod jacobian;
mod reduction;
mod relu;
mod settings;
mod sigmoid;
mod softmax;
mod softmax_xent;
mod tanh;
mod targets;
mod xent;

pub use compute::{Outcome, Precision, compute, compute_each, compute_only};
pub use gradients::{Gradients, Run, Wanted};
pub use jacobian::{jacobian_name, jacobians};
pub use settings::{Kind, Setting, Settings, Value};

/// Every layer. Commands, options, help, documentation, checks and tests derive from these rows.
pub const LAYERS: &[&LayerSpec] =
    &[&affine::SPEC, &softmax::SPEC, &xent::SPEC, &softmax_xent::SPEC, &relu::SPEC, &sigmoid::SPEC, &tanh::SPEC];

/// The layer of that command.
pub fn find(name: &str) -> Option<&'static LayerSpec> {
    LAYERS.iter().copied().find(|spec| spec.name == name)
}

/// One layer: what it is called, reads, can be set to, and gives.
pub struct LayerSpec {
    /// The command.
    pub name: &'static str,
    /// What it is, in half a line.
    pub about: &'static str,
    /// The forward results and their formulas, in the order of output.
    pub outputs: &'static [(Name, &'static str)],
    /// The one of them that `dout` belongs to: `y`, or `loss`.
    pub output: Name,
    /// The formula of `dx` if that is the gradient at the logits of the softmax that made the input, which is no slot.
    pub logit_gradient: Option<&'static str>,
    /// The operands. Gradients, their names and their order follow from them.
    pub slots: &'static [Slot],
    /// What can be set.
    pub settings: &'static [Setting],
    /// What a bare number typed as `--dout` does.
    pub scalar_dout: ScalarDout,
    /// Commands with what they print, for help and tests.
    pub examples: &'static [Example],
    /// Where the definition comes from.
    pub source: &'static str,
    /// Makes the layer from its settings; refuses settings that are out of range or contradict each other.
    pub build: fn(&Settings) -> Result<Box<dyn AnyLayer>, Error>,
}

impl LayerSpec {
    /// Returns the gradients and their formulas, in the order of output.
    pub fn gradients(&self) -> impl Iterator<Item = (Name, &'static str)> + use<> {
        let own = self.slots.iter().filter_map(|slot| Some((slot.name.gradient(), slot.gradient?)));
        self.logit_gradient.map(|formula| (Name::DX, formula)).into_iter().chain(own)
    }

    /// Returns all results and their formulas in the order of output: the forward results, then the gradients.
    pub fn results(&self) -> impl Iterator<Item = (Name, &'static str)> + use<> {
        self.outputs.iter().cloned().chain(self.gradients())
    }

    /// Returns the formula of a result.
    pub fn formula(&self, result: &Name) -> Option<&'static str> {
        self.results().find(|(name, _)| name == result).map(|(_, formula)| formula)
    }

    /// Returns true if the result is a gradient.
    pub fn is_gradient(&self, result: &Name) -> bool {
        self.gradients().any(|(name, _)| name == *result)
    }

    /// Returns the operands that are learnt.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Slot> + use<> {
        self.slots.iter().filter(|slot| slot.role == Role::Parameter)
    }

    /// Returns true if the result is the gradient of a parameter, which is a sum over the rows of a batch.
    pub fn is_parameter_gradient(&self, result: &Name) -> bool {
        self.parameters().any(|slot| slot.name.gradient() == *result)
    }

    /// Whether the output is a loss, whose upstream gradient is 1.
    pub fn is_loss(&self) -> bool {
        self.output == Name::LOSS
    }
}

/// An operand of a layer.
pub struct Slot {
    /// Option, key and word.
    pub name: Name,
    /// What it is to the layer.
    pub role: Role,
    /// Its shape, in letters.
    pub shape: &'static str,
    /// Whether the layer does without it.
    pub optional: bool,
    /// The formula of the gradient by it, whose name is `d` and its name. Inputs and parameters have one.
    pub gradient: Option<&'static str>,
    /// Half a line of help.
    pub doc: &'static str,
}

/// What an operand is to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Comes from the layer before; has a gradient.
    Input,
    /// Belongs to the layer and is learnt; has a gradient.
    Parameter,
    /// What the output should have been; has none.
    Target,
    /// Belongs to the layer and is not learnt; has none.
    Constant,
}

/// What a bare number typed as `--dout` does.
pub enum ScalarDout {
    /// Fills the output's shape.
    Fills,
    /// Scales the local factors, as a scalar in NumPy's `dot` does; the formula of each.
    LocalFactors(&'static [(Name, &'static str)]),
}

/// A command and what it prints.
pub struct Example {
    /// The command line, starting with `nnlayer`.
    pub command: &'static str,
    /// What it prints on standard output.
    pub prints: &'static str,
}

/// What `admit` looks at.
pub struct Given<'a> {
    /// The operands.
    pub at: &'a Tensors<f64>,
    /// The rounding of the type an operand was stored in, 2⁻⁵³ for doubles.
    pub rounding: &'a dyn Fn(&Name) -> f64,
    /// Whether x is the y of the document before, which may be probabilities already.
    pub x_was_y: bool,
}

/// The targets of all rows of a batch.
pub struct AllTargets<'a> {
    /// How many rows there are.
    pub rows: usize,
    /// The rank of the targets.
    pub rank: usize,
    /// The targets, a block of rows after the other, for whoever looks at them.
    pub blocks: &'a mut dyn Iterator<Item = ArrayD<f64>>,
}

/// The one fallible step of a layer.
pub trait Admit {
    /// Holds every refusal and every warning; what it lets pass can be computed.
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error>;

    /// Whether each row's results follow from that row alone, and all others are sums over the rows: may a batch be cut?
    fn independent_rows(&self) -> bool {
        false
    }

    /// What the results of all rows are divided by, where that is all that a row's results need to know of the others: the
    /// divisor of a mean. Given as an operand of its name along with a block of rows, it is what the block's gradients are
    /// divided by, and its loss is a part of the sum that is yet to be divided. The targets need not be admitted; `at` holds
    /// what there is for all rows.
    fn divisor(&self, _at: &Tensors<f64>, _all: AllTargets<'_>, _precision: Precision) -> Option<f64> {
        None
    }

    /// The shape of the layer's output for admitted operands, which is the shape of `dout`.
    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize>;

    /// The operations on whole matrices that the layer is made of, in order; nothing where it is a single one.
    fn parts(&self, _at: &Tensors<f64>, _results: &Tensors<f64>, _dout: &ArrayD<f64>) -> Vec<Part> {
        Vec::new()
    }

    /// The formulas of the output's Jacobians, by the gradient that each belongs to: of `dx` that of ∂y/∂x. That of a loss
    /// is its gradient as a row.
    fn jacobians(&self, _at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        Vec::new()
    }

    /// The formulas of results where these settings and operands make them others than the registry's.
    fn formulas(&self, _at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        Vec::new()
    }
}

/// An operation on whole matrices, as a computational graph shows it.
pub struct Part {
    /// Its sign: `dot`, `+`.
    pub op: &'static str,
    /// What its sign leaves out.
    pub note: Option<&'static str>,
    /// What it reads: operands, results, and what earlier parts gave.
    pub reads: Vec<Name>,
    /// What it gives.
    pub gives: Name,
    /// Value and gradient of what it gives, where that is neither operand nor output.
    pub inner: Option<(ArrayD<f64>, ArrayD<f64>)>,
}

/// The mathematics of a layer, in one scalar. Pure, and for admitted operands without failure.
pub trait Layer<S: Scalar> {
    /// The results, and what backward needs of the way there.
    fn forward(&self, at: &Tensors<S>) -> Forward<S>;

    /// The gradients, in the order of output, each as a formula. `dout` has the output's shape.
    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S>;
}

/// What a forward pass gives.
pub struct Forward<S> {
    /// The results that are shown.
    pub results: Tensors<S>,
    /// What only backward looks at.
    pub saved: Vec<ArrayD<S>>,
}

/// A layer in every scalar there is.
pub trait AnyLayer:
    Admit + Layer<f64> + Layer<f32> + Layer<DoubleDouble> + Layer<Exact> + Layer<Traced> + Send + Sync
{
}
impl<L: Admit + Layer<f64> + Layer<f32> + Layer<DoubleDouble> + Layer<Exact> + Layer<Traced> + Send + Sync> AnyLayer
    for L
{
}

/// Admits operands: the warnings every layer shares, then the layer's own.
pub fn admit(layer: &dyn AnyLayer, given: &Given<'_>) -> Result<Vec<Note>, Error> {
    admit_anew(layer, given, |_| true)
}

/// Admits operands of which all but the `new` ones were looked through before.
pub fn admit_anew(layer: &dyn AnyLayer, given: &Given<'_>, new: impl Fn(&Name) -> bool) -> Result<Vec<Note>, Error> {
    let mut notes = layer.admit(given)?;
    notes.extend(given.at.iter().filter(|(name, _)| new(name)).filter_map(|(name, value)| nan(name, value)));
    Ok(notes)
}

/// A warning that names the first NaN of an operand.
fn nan(name: &Name, value: &ArrayD<f64>) -> Option<Note> {
    let none = |values: &[f64]| !values.iter().fold(false, |any, v| any | v.is_nan());
    if value.as_slice_memory_order().is_some_and(|values| values.chunks(1024).all(none)) {
        return None;
    }
    let (at, _) = value.indexed_iter().find(|(_, v)| v.is_nan())?;
    let at = at.slice().to_vec();
    Some(Note::warning(
        Error::new(Code::NanInput, "holds NaN: results that depend on it are NaN").with_operand(name).at_index(&at),
    ))
}

/// Rows of an operand: a vector is one row, a scalar one row of one value.
fn rows<S>(value: &ArrayD<S>) -> ArrayView2<'_, S> {
    let (n, c) = match value.shape() {
        [] => (1, 1),
        [c] => (1, *c),
        [n, c] => (*n, *c),
        other => unreachable!("rank {} is refused when read", other.len()),
    };
    match value.view().into_shape_with_order((n, c)) {
        Ok(view) => view,
        Err(_) => unreachable!("operands are in standard layout"),
    }
}

/// Rows in the rank of the operand that they were made from: the reverse of [`rows`].
fn ranked<S: Scalar>(rows: Array2<S>, rank: usize) -> ArrayD<S> {
    let shape: Vec<usize> = match rank {
        0 => vec![],
        1 => vec![rows.ncols()],
        _ => vec![rows.nrows(), rows.ncols()],
    };
    let values = if rows.is_standard_layout() { rows } else { rows.as_standard_layout().into_owned() };
    match values.into_shape_with_order(IxDyn(&shape)) {
        Ok(array) => array,
        Err(_) => unreachable!("a row has as many values as a vector"),
    }
}

/// The entries of an operand, an output or its gradient, row by row.
fn entries<S>(value: &ArrayD<S>) -> &[S] {
    value.as_slice().unwrap_or_else(|| unreachable!("operands are in standard layout"))
}

/// A result with an entry for each entry of an operand.
fn like<S>(operand: &ArrayD<S>, entries: Vec<S>) -> ArrayD<S> {
    match ArrayD::from_shape_vec(operand.raw_dim(), entries) {
        Ok(array) => array,
        Err(_) => unreachable!("an entry for each"),
    }
}

/// A result whose every entry is made of the operands' entries at its place; all operands have one shape.
fn each<S: Scalar, const N: usize>(of: [&ArrayD<S>; N], make: impl Fn([S; N]) -> S + Sync) -> ArrayD<S> {
    in_steps(of, |given, made| {
        for (k, made) in made.iter_mut().enumerate() {
            *made = make(given.map(|entries| entries[k]));
        }
    })
}

/// The same by the formula of a curve.
fn curve<S: Scalar, const N: usize>(
    curve: Curve,
    of: [&ArrayD<S>; N],
    formula: impl Fn([S; N]) -> S + Sync,
) -> ArrayD<S> {
    in_steps(of, |given, made| S::curve(curve, given, made, &formula))
}

/// A result that is made a piece at a time, of the pieces of operands at its place.
fn in_steps<S: Scalar, const N: usize>(of: [&ArrayD<S>; N], make: impl Fn([&[S]; N], &mut [S]) + Sync) -> ArrayD<S> {
    const STEP: usize = 1024;
    let given = of.map(entries);
    let made =
        S::filled(of[0].len(), STEP, |n, made| make(given.map(|entries| &entries[n * STEP..][..made.len()]), made));
    like(of[0], made)
}

/// A result whose rows, of so many entries, are made without each other.
fn by_rows<S: Scalar>((rows, width): (usize, usize), fill: impl Fn(usize, &mut [S]) + Sync) -> Array2<S> {
    match Array2::from_shape_vec((rows, width), S::filled(rows * width, width, fill)) {
        Ok(array) => array,
        Err(_) => unreachable!("an entry for each"),
    }
}

/// A result of rank 0.
fn scalar<S>(value: S) -> ArrayD<S> {
    ndarray::arr0(value).into_dyn()
}
