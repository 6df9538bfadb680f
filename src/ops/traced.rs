//! Traced numbers: each operation on a row is a single node of the graph, and of large products only the first elements are
//! recorded.

use super::array_ops::{ArrayOps, dot};
use crate::numeric::traced::{Op, recorded_elements};
use crate::numeric::{DoubleDouble, Scalar, Traced};
use ndarray::{Array2, ArrayView1, ArrayView2};

impl ArrayOps for Traced {
    type Extended = Traced;

    fn widen(self) -> Traced {
        self
    }

    fn narrow(wide: Traced) -> Traced {
        wide
    }

    fn row_max(row: ArrayView1<'_, Traced>, index: usize) -> Traced {
        Traced::result(Op::Max, &row.to_vec(), row[index].value())
    }

    fn matmul(a: ArrayView2<'_, Traced>, b: ArrayView2<'_, Traced>) -> Array2<Traced> {
        let recorded = recorded_elements();
        let constant = |n: usize, m: usize| {
            let products = a.row(n).into_iter().zip(b.column(m)).map(|(a, b)| a.value() * b.value());
            Traced::constant(DoubleDouble::sum(products))
        };
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| {
            if n * b.ncols() + m < recorded { dot(a.row(n), b.column(m)) } else { constant(n, m) }
        })
    }

    fn softmax_pivot(_: Traced) -> Traced {
        Traced::zero()
    }
}
