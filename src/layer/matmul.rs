//! Matrix product of two inputs: y = x1·x2.
//!
//! - Forward: y = x1·x2 of the last two axes; leading axes broadcast.
//! - Backward: dx1 = dout·x2ᵀ, dx2 = x1ᵀ·dout, summed over the leading axes along which an input was repeated.
//! - Shapes: x1 (…, N, K), x2 (…, K, M), y (…, N, M); a vector x1 is one row and a vector x2 one column, whose axis y does not have.
//! - Refuses: a scalar, inner axes of different lengths, leading axes that do not broadcast.
//! - Accuracy: each entry within a backward-stable bound of (K + 8)·2⁻⁵³ of the sum of magnitudes.
//! - Source: NumPy's matmul, as PyTorch's and ONNX's MatMul.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let matmul = (layer::find("matmul").unwrap().build)(&layer::Settings::default())?;
//! let [x1, x2] = ["x1", "x2"].map(Name::new);
//! let at = Tensors::new().with(x1, array![[1.0, 2.0]].into_dyn()).with(x2, array![3.0, 4.0].into_dyn());
//! let outcome = layer::compute(matmul.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![11.0].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::{broadcast, broadcast_shape, reshaped, sum_to_shape};
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer, MatrixOperation};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{Array3, ArrayD, ArrayView3, Axis, CowArray, Ix3};
use std::borrow::Cow;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "matmul",
    about: "y = x1·x2, the matrix product of two inputs",
    outputs: &[(Name::Y, "x1·x2")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X1, "(N×K), (…N×K) or (K)", "dout·x2ᵀ", "left factor"),
        Slot::input(Name::X2, "(K×M), (…K×M) or (K)", "x1ᵀ·dout", "right factor"),
    ],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gradients exchanged",
        explanation: "it is the gradient of the other factor",
        gradient: |case| {
            let name = if *case.name == Name::X1.gradient() { Name::X2.gradient() } else { Name::X1.gradient() };
            GradientCase { name: &name, ..*case }.recompute(|_, _| {})
        },
    }],
    examples: &[Example {
        command: "nnlayer matmul --x1 '1,2;3,4' --x2 '1;-1' --json",
        prints: "{\"y\":[[-1.0],[-1.0]],\"dx1\":[[1.0,-1.0],[1.0,-1.0]],\"dx2\":[[4.0],[6.0]]}\n",
    }],
    source: "NumPy's matmul; leading axes broadcast, a vector is a row on the left and a column on the right",
    build: |_| Ok(Box::new(Matmul) as Box<dyn AnyLayer>),
};

/// y = x1·x2.
struct Matmul;

/// The shapes of a product, vectors as matrices.
struct Shapes {
    /// The axes before those of the matrices: of x1, of x2, and of the product.
    leading: [Vec<usize>; 3],
    rows: usize,
    depth: usize,
    columns: usize,
}

impl Shapes {
    /// Returns the shapes, or the problem of x2: inner or leading axes that do not fit.
    fn new(x1: &[usize], x2: &[usize]) -> Result<Shapes, String> {
        let (first, rows, depth) = match *x1 {
            [ref leading @ .., rows, depth] => (leading.to_vec(), rows, depth),
            [depth] => (Vec::new(), 1, depth),
            [] => unreachable!("scalars are refused before"),
        };
        let (second, inner, columns) = match *x2 {
            [ref leading @ .., inner, columns] => (leading.to_vec(), inner, columns),
            [inner] => (Vec::new(), inner, 1),
            [] => unreachable!("scalars are refused before"),
        };
        if inner != depth {
            let [x1, x2] = [x1, x2].map(format_shape);
            return Err(format!("{x2} has an inner axis of {inner}, but that of {x} {x1} has {depth}", x = Name::X1));
        }
        match broadcast_shape(&first, &second) {
            Some(all) => Ok(Shapes { leading: [first, second, all], rows, depth, columns }),
            None => {
                let [x1, x2] = [x1, x2].map(format_shape);
                Err(format!("the leading axes of {x2} do not broadcast with those of {x} {x1}", x = Name::X1))
            }
        }
    }

    fn of_admitted<S>(at: &Tensors<S>) -> Shapes {
        let shapes = Shapes::new(at.known(&Name::X1).shape(), at.known(&Name::X2).shape());
        shapes.unwrap_or_else(|_| unreachable!("admitted"))
    }

    /// Returns true if x2 is one matrix, so that all rows of x1 are those of one product.
    fn has_one_right_factor(&self) -> bool {
        self.leading[1].iter().all(|length| *length == 1)
    }

    /// Returns matrices of rows and columns, with leading axes, as those of one product after the other.
    fn matrices<'a, S: ArrayOps>(
        &self,
        value: &'a ArrayD<S>,
        leading: &[usize],
        (rows, columns): (usize, usize),
    ) -> CowArray<'a, S, Ix3> {
        let is_one = self.has_one_right_factor();
        let shape = [leading, &[rows, columns]].concat();
        let value = if is_one || *leading == self.leading[2] {
            CowArray::from(value)
        } else {
            let value = reshaped(value.clone(), &shape);
            broadcast(&value, &[&self.leading[2], &[rows, columns][..]].concat()).into_owned().into()
        };
        let count: usize = if is_one { 1 } else { self.leading[2].iter().product() };
        let rows = if is_one { leading.iter().product::<usize>() * rows } else { rows };
        let matrices = value.into_shape_with_order((count, rows, columns));
        matrices.unwrap_or_else(|_| unreachable!("operands are in standard layout"))
    }

    fn left<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> CowArray<'a, S, Ix3> {
        self.matrices(at.known(&Name::X1), &self.leading[0], (self.rows, self.depth))
    }

    fn right<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> CowArray<'a, S, Ix3> {
        self.matrices(at.known(&Name::X2), &self.leading[1], (self.depth, self.columns))
    }

    /// Returns a gradient of products with that shape, summed over the leading axes along which its operand was repeated.
    fn summed<S: ArrayOps>(&self, products: Array3<S>, leading: &[usize], shape: &[usize]) -> ArrayD<S> {
        let (_, rows, columns) = products.dim();
        if products.len() == shape.iter().product::<usize>() {
            return reshaped(products.into_dyn(), shape);
        }
        let products = reshaped(products.into_dyn(), &[&self.leading[2], &[rows, columns][..]].concat());
        reshaped(sum_to_shape(Cow::Owned(products), &[leading, &[rows, columns]].concat()), shape)
    }
}

/// Returns the products of matrices, one after the other.
fn multiply<S: ArrayOps>(a: ArrayView3<'_, S>, b: ArrayView3<'_, S>) -> Array3<S> {
    let dim = (a.dim().0, a.dim().1, b.dim().2);
    let mut products = Vec::with_capacity(dim.0 * dim.1 * dim.2);
    for (a, b) in a.axis_iter(Axis(0)).zip(b.axis_iter(Axis(0))) {
        products.extend(S::matmul(a, b));
    }
    Array3::from_shape_vec(dim, products).unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

/// Returns the transposed matrices.
fn transposed<'a, S>(matrices: &'a CowArray<'_, S, Ix3>) -> ArrayView3<'a, S> {
    matrices.view().permuted_axes([0, 2, 1])
}

impl Admit for Matmul {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (x1, x2) = (given.at.known(&Name::X1), given.at.known(&Name::X2));
        if let Some((name, _)) = [(Name::X1, x1), (Name::X2, x2)].into_iter().find(|(_, value)| value.ndim() == 0) {
            return Err(Error::new(Code::Rank, "must be a vector or a matrix, not a scalar")
                .with_operand(&name)
                .tip("use mul to multiply by a number"));
        }
        let refuse = |message: String| {
            let error = Error::new(Code::Shape, message).with_operand(&Name::X2);
            let error = error.with_shape(&Name::X1, x1.shape()).with_shape(&Name::X2, x2.shape());
            error.tip("rows of x1 are multiplied by columns of x2: (N×K)·(K×M); transpose exchanges axes")
        };
        Shapes::new(x1.shape(), x2.shape()).map(|_| Vec::new()).map_err(refuse)
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let shapes = Shapes::of_admitted(at);
        let side = |name: &Name, length: usize| (at.known(name).ndim() > 1).then_some(length);
        let sides = side(&Name::X1, shapes.rows).into_iter().chain(side(&Name::X2, shapes.columns));
        shapes.leading[2].iter().copied().chain(sides).collect()
    }

    fn matrix_operations(&self, _: &Tensors<f64>, _: &Tensors<f64>, _: &ArrayD<f64>) -> Vec<MatrixOperation> {
        vec![MatrixOperation { op: "dot", note: None, reads: vec![Name::X1, Name::X2], gives: Name::Y, inner: None }]
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![
            (Name::X1.gradient(), "x2ᵀ for the row of x1 that gives the output, else 0"),
            (Name::X2.gradient(), "x1 for the column of x2 that gives the output, else 0"),
        ]
    }
}

impl<S: ArrayOps> Layer<S> for Matmul {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let shapes = Shapes::of_admitted(at);
        let y = multiply(shapes.left(at).view(), shapes.right(at).view()).into_dyn();
        let sides = [(Name::X1, shapes.rows), (Name::X2, shapes.columns)].into_iter();
        let sides = sides.filter(|(name, _)| at.known(name).ndim() > 1).map(|(_, length)| length);
        let shape: Vec<usize> = shapes.leading[2].iter().copied().chain(sides).collect();
        Forward { results: Tensors::new().with(Name::Y, reshaped(y, &shape)), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let dout = move |shapes: &Shapes| shapes.matrices(dout, &shapes.leading[2], (shapes.rows, shapes.columns));
        let dx1 = move || {
            let shapes = Shapes::of_admitted(at);
            let products = multiply(dout(&shapes).view(), transposed(&shapes.right(at)));
            shapes.summed(products, &shapes.leading[0], at.known(&Name::X1).shape())
        };
        let dx2 = move || {
            let shapes = Shapes::of_admitted(at);
            let products = multiply(transposed(&shapes.left(at)), dout(&shapes).view());
            shapes.summed(products, &shapes.leading[1], at.known(&Name::X2).shape())
        };
        Gradients::one(Name::X1.gradient(), dx1).with(Name::X2.gradient(), dx2)
    }
}
