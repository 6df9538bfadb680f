//! Embedding: y = the rows of w that ids name.
//!
//! - Forward: y = w\[ids\].
//! - Backward: row v of dw is the sum of dout over all places where ids is v; 0 for the row of `--padding-id`.
//! - Shapes: ids of any shape, w (V, D), y of the shape of ids and (D); dw is laid out as w.
//! - Refuses: ids that are not integers from 0 to V − 1, and a w that is not a matrix.
//! - Accuracy: y is exact, dw a compensated sum.
//! - Source: PyTorch's `torch.nn.functional.embedding`, whose `padding_idx` is `--padding-id`: it changes the gradient only. ONNX's
//!   Gather along axis 0 has no padding; there and in JAX (`jnp.take`) negative ids count from the end, which are refused here.

use super::arrays::elements;
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::indices::{Places, admit_indices, indices};
use super::interface::{Admit, AnyLayer, Given, Layer};
use super::settings::{Kind, Setting};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::core::error::{Code, Error, Note, format_count, format_shape};
use crate::core::name::Name;
use crate::core::size::MAX_RANK;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, IxDyn};
use std::ops::Range;
use std::sync::OnceLock;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "embedding",
    about: "y = w[ids], the rows of a table",
    outputs: &[(Name::Y, "w[ids]")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot {
            name: Name::IDS,
            role: Role::Input,
            shape: "(N×L) or any shape",
            optional: false,
            values: Values::Indices("V"),
            gradient: None,
            doc: "indices of rows, from 0",
        },
        Slot::parameter(Name::W, "(V×D)", "Σ dout where ids is the row's index", "table with a row for each id"),
    ],
    settings: &[PADDING_ID],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "duplicates overwritten",
            explanation: "where an id occurs several times, only the gradient of the last place counts; they have to be added",
            gradient: |case| scatter(case, |row, dout| row.copy_from_slice(dout)),
        },
        Convention {
            kind: "gradient of padding kept",
            explanation: "the row of --padding-id has a gradient; it has to be 0",
            gradient: |case| case.recompute(|settings, _| settings.unset(PADDING_ID.name)),
        },
    ],
    examples: &[Example {
        command: "nnlayer embedding --ids 2,0,2 --w '1,2;3,4;5,6' --dout '1,1;10,10;100,100' --json",
        prints: "{\"y\":[[5.0,6.0],[1.0,2.0],[5.0,6.0]],\"dw\":[[10.0,10.0],[0.0,0.0],[101.0,101.0]]}\n",
    }],
    source: "PyTorch's embedding; ONNX's Gather along axis 0",
    build: |settings| Ok(Box::new(Embedding { padding: settings.integer(PADDING_ID.name) }) as Box<dyn AnyLayer>),
};

const PADDING_ID: Setting = Setting {
    name: "padding-id",
    kind: Kind::Integer,
    doc: "id whose row gets no gradient (PyTorch's padding_idx); a negative one counts from the end",
};

/// Returns the gradient of w by another rule for the rows of dout, in the order of ids.
fn scatter(case: &GradientCase<'_>, write: impl Fn(&mut [f64], &[f64])) -> Option<ArrayD<f64>> {
    let (ids, w) = (case.operands.get(&Name::IDS)?, case.operands.get(&Name::W)?);
    let (rows, width) = (w.shape()[0], w.shape()[1]);
    let padding = Embedding { padding: case.settings.integer(PADDING_ID.name) }.padding_row(rows);
    let mut dw = ArrayD::zeros(w.raw_dim());
    let all = dw.as_slice_mut()?;
    for (n, id) in indices(ids).into_iter().enumerate().filter(|(_, id)| Some(*id) != padding) {
        write(&mut all[id * width..][..width], &elements(case.dout)[n * width..][..width]);
    }
    Some(dw)
}

/// y = w[ids].
struct Embedding {
    padding: Option<i64>,
}

impl Embedding {
    /// Returns the row without a gradient, if the table has it.
    fn padding_row(&self, rows: usize) -> Option<usize> {
        let padding = self.padding?;
        let from_start = if padding < 0 { padding.checked_add(i64::try_from(rows).ok()?)? } else { padding };
        usize::try_from(from_start).ok().filter(|&row| row < rows)
    }

    /// Returns rows of dw.
    fn weight_gradient<S: ArrayOps>(
        &self,
        at: &Tensors<S>,
        dout: &[S],
        places: &Places,
        range: Range<usize>,
    ) -> ArrayD<S> {
        let w = at.known(&Name::W);
        let (rows, width) = (w.shape()[0], w.shape()[1]);
        let padding = self.padding_row(rows);
        let dw = S::fill_chunks(range.len() * width, width, |n, row| match places.at(range.start + n) {
            _ if Some(range.start + n) == padding => {}
            [] => {}
            [place] => row.copy_from_slice(&dout[place * width..][..width]),
            places => {
                for (k, sum) in row.iter_mut().enumerate() {
                    *sum = S::sum(places.iter().map(|place| dout[place * width + k]));
                }
            }
        });
        let dw = ArrayD::from_shape_vec(IxDyn(&[range.len(), width]), dw);
        dw.unwrap_or_else(|_| unreachable!("there is an entry for each place"))
    }
}

impl Admit for Embedding {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (ids, w) = (given.at.known(&Name::IDS), given.at.known(&Name::W));
        let refuse =
            |message: String| Error::new(Code::Shape, message).with_operand(&Name::W).with_shape(&Name::W, w.shape());
        let &[rows, _] = w.shape() else {
            let message = format!("must be a matrix with a row for each id, got {}", format_shape(w.shape()));
            return Err(refuse(message).tip("give one row of the table as '1,2;'"));
        };
        if ids.ndim() >= MAX_RANK {
            let message = format!(
                "has {} axes, and {} would have one more than the {MAX_RANK} there may be",
                ids.ndim(),
                Name::Y
            );
            return Err(Error::new(Code::Rank, message).with_operand(&Name::IDS).tip("join some of the axes"));
        }
        if self.padding.is_some() && self.padding_row(rows).is_none() {
            let message = format!("expected one of the {} of {}", format_count(rows, "row"), Name::W);
            return Err(Error::new(Code::Setting, message)
                .with_operand(&Name::new(PADDING_ID.name))
                .tip("count from 0, or from -1 for the last row"));
        }
        let range = format!("{} has {}", Name::W, format_count(rows, "row"));
        admit_indices(&Name::IDS, ids, rows, &range).map(|()| Vec::new())
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        [at.known(&Name::IDS).shape(), &at.known(&Name::W).shape()[1..]].concat()
    }

    fn defined_entries(&self, at: &Tensors<f64>, _: &Name) -> Vec<usize> {
        let &[rows, width] = at.known(&Name::W).shape() else { return Vec::new() };
        self.padding_row(rows).map_or_else(Vec::new, |row| (row * width..(row + 1) * width).collect())
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DW, "1 where the row of w is that of y, in the same column, else 0")]
    }
}

impl<S: ArrayOps> Layer<S> for Embedding {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        /// Elements that are copied by one call.
        const CHUNK_ELEMENTS: usize = 1 << 12;
        let (ids, w) = (at.known(&Name::IDS), at.known(&Name::W));
        let (table, width) = (elements(w), w.shape()[1]);
        let (rows, chunk_rows) = (indices(ids), (CHUNK_ELEMENTS / width.max(1)).max(1));
        let y = S::fill_chunks(rows.len() * width, chunk_rows * width, |n, y| {
            for (y, row) in y.chunks_exact_mut(width).zip(&rows[n * chunk_rows..]) {
                y.copy_from_slice(&table[row * width..][..width]);
            }
        });
        let y = ArrayD::from_shape_vec([ids.shape(), &[width]].concat(), y);
        let y = y.unwrap_or_else(|_| unreachable!("there is a row for each id"));
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let shape = at.known(&Name::W).shape();
        let places = OnceLock::new();
        Gradients::from(Tensors::new()).with_rows(Name::DW, (shape[0], shape[1]), move |range| {
            let places = places.get_or_init(|| Places::new(&indices(at.known(&Name::IDS)), shape[0]));
            self.weight_gradient(at, elements(dout), places, range)
        })
    }
}
