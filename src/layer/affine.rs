//! Affine: y = x·W + b.
//!
//! - Forward: y = x·W + b.
//! - Backward: dx = dout·Wᵀ, dW = xᵀ·dout, db = Σ_rows dout.
//! - Shapes: x (…, in), all leading axes counted as rows, W (in, out), b scalar or (out), y (…, out); dW is laid out as W, db is
//!   (out). A scalar x is one row of one input, and a scalar W is 1×1 and leaves x its shape.
//! - Refuses: a W that is neither a matrix nor a scalar, and a W or b whose shape does not match.
//! - Accuracy: the error of each entry is at most (n + 8)·2⁻⁵³ times the sum of the magnitudes of its n products.
//! - Source: the Affine layer of docs/tutorial.md; `np.dot(x, W) + b`.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let affine = (layer::find("affine").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![[2.0, 4.0]].into_dyn()).with(Name::W, array![[1.0], [3.0]].into_dyn());
//! let dout = array![[1.0]].into_dyn();
//! let outcome = layer::compute(affine.as_ref(), &at, Some(&dout), layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![[14.0]].into_dyn());
//! assert_eq!(outcome.gradients.known(&Name::DX), &array![[1.0, 3.0]].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::{rows, scalar, with_shape};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer, MatrixOperation};
use super::settings::{Kind, Setting, Settings};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::core::error::{Code, Error, Note, format_count, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, ArrayView2, Zip, s};
use std::ops::Range;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "affine",
    about: "y = x·W + b, a fully connected layer",
    outputs: &[(Name::Y, "x·W + b")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N…×in) or (in)", "dout·Wᵀ", "input"),
        Slot::parameter(Name::W, "(in×out)", "xᵀ·dout", "weight W"),
        Slot {
            name: Name::B,
            role: Role::Parameter,
            shape: "(out) or scalar",
            optional: true,
            values: Values::Numbers,
            gradient: Some("Σ_rows dout"),
            doc: "bias; a scalar is added to every output, and its gradient is the sum of db",
        },
    ],
    settings: &[W_LAYOUT],
    scalar_dout: ScalarDout::LocalFactors(LOCAL_FACTORS),
    conventions: &[],
    examples: &[
        Example {
            command: "nnlayer affine --x 1,2 --w '1,2,3;4,5,6' --b 10,20,30 --dout 1,0,-1",
            prints: "\
y = x·W + b  (3)
[19 32 45]

dx = dout·Wᵀ  (2)
[-2 -2]

dw = xᵀ·dout  (2×3)
[[ 1  0 -1]
 [ 2  0 -2]]

db = Σ_rows dout  (3)
[ 1  0 -1]
",
        },
        Example {
            command: "nnlayer affine --x '1,2;3,4' --w '1;-1' --json",
            prints: "{\"y\":[[-1.0],[-1.0]],\"dx\":[[1.0,-1.0],[1.0,-1.0]],\"dw\":[[4.0],[6.0]]}\n",
        },
    ],
    source: "the Affine layer of docs/tutorial.md: np.dot(x, W) + b",
    build: |settings| Ok(Box::new(Affine::new(settings)) as Box<dyn AnyLayer>),
};

/// Formulas of the local factors, which a bare number as `--dout` gives.
const LOCAL_FACTORS: &[(Name, &str)] = &[(Name::DX, "k·Wᵀ"), (Name::DW, "k·xᵀ"), (Name::DB, "k")];

const W_LAYOUT: Setting = Setting {
    name: "w-layout",
    kind: Kind::Choice(&["in-out", "out-in"]),
    doc: "layout of W and dw: in-out (default), or out-in as in PyTorch and ONNX",
};

/// y = x·W + b.
struct Affine {
    /// True if W is given as (out, in).
    transposed: bool,
}

impl Affine {
    fn new(settings: &Settings) -> Affine {
        Affine { transposed: settings.choice(W_LAYOUT.name) == Some("out-in") }
    }

    /// Returns W as (in, out).
    fn w<'a, S>(&self, at: &'a Tensors<S>) -> ArrayView2<'a, S> {
        let w = rows(at.known(&Name::W));
        if self.transposed { w.reversed_axes() } else { w }
    }
}

impl Admit for Affine {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (x, w) = (given.at.known(&Name::X), given.at.known(&Name::W));
        if w.ndim() != 0 && w.ndim() != 2 {
            return Err(Error::new(Code::Rank, format!("must be a matrix (in×out), not {}", format_shape(w.shape())))
                .with_operand(&Name::W)
                .tip("end a single row with a semicolon, '1,2;', or write a column as '1;2'"));
        }
        self.check_inner_dimension(x, w)?;
        match given.at.get(&Name::B) {
            Some(b) => check_bias(b, w, self.w(given.at).ncols()).map(|()| Vec::new()),
            None => Ok(Vec::new()),
        }
    }

    fn independent_rows(&self, rank: usize) -> bool {
        rank > 1
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        output_shape(at, self.w(at).ncols())
    }

    fn matrix_operations(&self, at: &Tensors<f64>, results: &Tensors<f64>, dout: &ArrayD<f64>) -> Vec<MatrixOperation> {
        let product = Name::fixed(if self.transposed { "x·Wᵀ" } else { "x·W" });
        let dot = |gives, inner| MatrixOperation { op: "dot", note: None, reads: vec![Name::X, Name::W], gives, inner };
        let Some(b) = at.get(&Name::B) else { return vec![dot(Name::Y, None)] };
        let mut without_b = at.clone();
        without_b.take(&Name::B);
        let value = Layer::<f64>::forward(self, &without_b).results.known(&Name::Y).clone();
        let mut operations = vec![dot(product.clone(), Some((value, dout.clone())))];
        let y = results.known(&Name::Y);
        let mut addend = Name::B;
        if let Some(repeated) = b.broadcast(y.raw_dim()).filter(|_| y.ndim() > 1 && rows(y).nrows() > 1) {
            addend = Name::fixed("b in every row");
            let inner = Some((repeated.to_owned(), dout.clone()));
            let note = Some("b is repeated in every row, so db is the sum of the gradients of the rows");
            let (reads, gives) = (vec![Name::B], addend.clone());
            operations.push(MatrixOperation { op: "repeat", note, reads, gives, inner });
        }
        let reads = vec![product, addend];
        operations.push(MatrixOperation { op: "+", note: None, reads, gives: Name::Y, inner: None });
        operations
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let y = match (self.transposed, at.get(&Name::B).is_some()) {
            (false, false) => "x·W",
            (false, true) => "x·W + b",
            (true, false) => "x·Wᵀ",
            (true, true) => "x·Wᵀ + b",
        };
        let own = vec![(Name::Y, y)];
        if self.transposed { [own, vec![(Name::DX, "dout·W"), (Name::DW, "doutᵀ·x")]].concat() } else { own }
    }

    fn jacobians(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let is_one_row = rows(at.known(&Name::X)).nrows() == 1;
        let x = match (self.transposed, is_one_row) {
            (false, true) => "Wᵀ",
            (false, false) => "Wᵀ for each row of x, 0 between rows",
            (true, true) => "W",
            (true, false) => "W for each row of x, 0 between rows",
        };
        vec![
            (Name::DX, x),
            (Name::DW, "x for the column of W that gives the output, else 0"),
            (Name::DB, "1 for the entry of b that is added to the output, else 0"),
        ]
    }
}

impl Affine {
    fn check_inner_dimension(&self, x: &ArrayD<f64>, w: &ArrayD<f64>) -> Result<(), Error> {
        let inputs = rows(x).ncols();
        let (height, width) = rows(w).dim();
        let (actual, other, side) = if self.transposed { (width, height, "column") } else { (height, width, "row") };
        if actual == inputs {
            return Ok(());
        }
        let error = Error::new(
            Code::Shape,
            format!(
                "expected {} to match the {} of {}, got {actual}",
                format_count(inputs, side),
                format_count(inputs, "input"),
                Name::X
            ),
        )
        .with_operand(&Name::W)
        .with_shape(&Name::X, x.shape())
        .with_shape(&Name::W, w.shape());
        Err(match (other == inputs, self.transposed) {
            (true, false) => error.tip("use --w-layout out-in if W has the layout of PyTorch and ONNX"),
            (true, true) => error.tip("omit --w-layout out-in if W is (in×out)"),
            (false, _) => error.tip("give x and W the same number of inputs: x·W multiplies rows of x by columns of W"),
        })
    }
}

fn check_bias(b: &ArrayD<f64>, w: &ArrayD<f64>, outputs: usize) -> Result<(), Error> {
    if b.ndim() == 0 || b.shape() == [outputs] {
        return Ok(());
    }
    let error = Error::new(
        Code::Shape,
        format!("expected a scalar or ({outputs}), one value for each output, got {}", format_shape(b.shape())),
    )
    .with_operand(&Name::B)
    .with_shape(&Name::W, w.shape())
    .with_shape(&Name::B, b.shape());
    Err(if b.len() == outputs {
        error.tip("write b as one row: separate its values by commas, without semicolons")
    } else {
        error.tip("give b one value for each output, or one for all")
    })
}

/// Returns the shape of y: that of x with `out` in the place of `in`.
fn output_shape<S>(at: &Tensors<S>, outputs: usize) -> Vec<usize> {
    let (x, w) = (at.known(&Name::X).shape(), at.known(&Name::W));
    match x.split_last() {
        _ if w.ndim() == 0 => x.to_vec(),
        Some((_, leading)) => [leading, &[outputs]].concat(),
        None => vec![outputs],
    }
}

impl<S: ArrayOps> Layer<S> for Affine {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let mut y = S::matmul(rows(at.known(&Name::X)), self.w(at));
        if let Some(b) = at.get(&Name::B).and_then(|b| b.broadcast(y.raw_dim())) {
            Zip::from(&mut y).and(b).for_each(|y, &b| *y = *y + b);
        }
        let shape = output_shape(at, y.ncols());
        Forward { results: Tensors::new().with(Name::Y, with_shape(y, &shape)), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let (x, w) = (at.known(&Name::X), at.known(&Name::W));
        if dout.ndim() == 0 && (x.ndim() > 0 || w.ndim() > 0) {
            return self.local_factors(at, dout[[]]);
        }
        let (dout, x_rows) = (rows(dout), rows(x));
        let dx = move || with_shape(S::matmul(dout, self.w(at).reversed_axes()), x.shape());
        // The factors of dW in its layout: each row of dW follows from a row of the left factor.
        let (left, right) = if self.transposed { (dout, x_rows) } else { (x_rows, dout) };
        let dw = move |rows: Range<usize>| {
            let product = S::matmul(left.t().slice_move(s![rows, ..]), right);
            let shape = product.shape().to_vec();
            with_shape(product, if w.ndim() == 0 { &[] } else { &shape })
        };
        let b = at.get(&Name::B);
        let is_scalar = w.ndim() == 0 && b.is_some_and(|b| b.ndim() == 0);
        let db = move || {
            let sums = S::column_sums(dout);
            if is_scalar { scalar(sums[0]) } else { sums.into_dyn() }
        };
        let dim = (left.ncols(), right.ncols());
        Gradients::one(Name::DX, dx).with_rows(Name::DW, dim, dw).with_if(b.is_some(), Name::DB, db)
    }
}

impl Affine {
    /// Returns dx = k·Wᵀ, dW = k·xᵀ and db = k, as `np.dot` with a scalar k does. These are factors of the gradients, not gradients.
    fn local_factors<'a, S: ArrayOps>(&self, at: &'a Tensors<S>, k: S) -> Gradients<'a, S> {
        let (w, x) = (self.w(at).reversed_axes(), rows(at.known(&Name::X)));
        let x = if self.transposed { x } else { x.reversed_axes() };
        let scaled = move |factor: ArrayView2<'_, S>| {
            let shape = factor.shape().to_vec();
            with_shape(factor.mapv(|factor| k * factor), &shape)
        };
        Gradients::one(Name::DX, move || scaled(w)).with(Name::DW, move || scaled(x)).with_if(
            at.get(&Name::B).is_some(),
            Name::DB,
            move || scalar(k),
        )
    }
}
