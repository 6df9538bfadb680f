//! Negative log-likelihood: loss = −Σ t·x of log-probabilities x, the loss of softmax-xent without its softmax.
//!
//! - Forward: loss = −Σ E·x/d with E = t·w per entry, ignored rows 0.
//! - Backward: dx = −E/d.
//! - Shapes: x (N, C), (N, C, d…) or (C), the classes along `--axis`; t of the shape of x, or class indices of that shape without
//!   the class axis; weight (C); loss a scalar, with `none` of the shape of class indices.
//! - Refuses: targets or weights whose shape does not match x, indices out of range, ignore-index with dense targets, the mean over
//!   no rows.
//! - Accuracy: a loss of one term within 1 ulp; sums with the errors of all additions.
//! - Source: PyTorch's `nll_loss` and ONNX's NegativeLogLikelihoodLoss, whose default reduction is mean.
//!
//! ```
//! use ndarray::{arr0, array};
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let nll = (layer::find("nll").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![-0.5, -1.5].into_dyn()).with(Name::T, arr0(1.0).into_dyn());
//! let outcome = layer::compute(nll.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::LOSS), &arr0(1.5).into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AllTargets, AnyLayer, Given, Layer};
use super::precision::Precision;
use super::reduction::{EMPTY, REDUCTION};
use super::softmax_xent;
use super::softmax_xent::{IGNORE_INDEX, SoftmaxXent, WEIGHT};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use super::targets::{CLASS_AXIS, T_KIND};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::{ArrayOps, fill_rows};
use ndarray::ArrayD;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "nll",
    about: "loss = −Σ t·x, negative log-likelihood of log-probabilities",
    outputs: &[(Name::LOSS, "−Σ t·x")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N×C…) or (C)", "−t", "log-probabilities, such as the output of softmax --log"),
        Slot::targets("as x or (N…)"),
        WEIGHT,
    ],
    settings: &[REDUCTION, IGNORE_INDEX, CLASS_AXIS, T_KIND, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gradient of the logits",
        explanation: "it is softmax(x) − t, the gradient of softmax-xent; that by log-probabilities is −t",
        gradient: |case| GradientCase { build: softmax_xent::SPEC.build, ..*case }.recompute(|_, _| {}),
    }],
    examples: &[Example {
        command: "nnlayer nll --x '-0.5,-1;-2,-0.25' --t 0,1 --reduction mean --json",
        prints: "{\"loss\":0.375,\"divisor\":2.0,\"dx\":[[-0.5,0.0],[0.0,-0.5]]}\n",
    }],
    source: "PyTorch's nll_loss and ONNX's NegativeLogLikelihoodLoss; their default reduction is mean",
    build: |settings| Ok(Box::new(Nll(SoftmaxXent::new(settings)?)) as Box<dyn AnyLayer>),
};

/// loss = −Σ E·x/d, with the targets, weights and reduction of softmax-xent.
struct Nll(SoftmaxXent);

impl Admit for Nll {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (_, notes) = self.0.admit_targets(given)?;
        Ok(notes)
    }

    fn independent_rows(&self, rank: usize) -> bool {
        self.0.independent_rows(rank)
    }

    fn divisor(&self, at: &Tensors<f64>, all: AllTargets<'_>, precision: Precision) -> Option<f64> {
        self.0.divisor(at, all, precision)
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        self.0.output_shape(at)
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let is_weighted = at.get(&Name::WEIGHT).is_some();
        if is_weighted { vec![(Name::LOSS, "−Σ E·x, E = t·weight"), (Name::DX, "−E")] } else { Vec::new() }
    }
}

impl<S: ArrayOps> Layer<S> for Nll {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let lanes = self.0.known_lanes(at);
        let (x, terms) = (lanes.rows(at.known(&Name::X)), self.0.terms(at, &lanes));
        let meaning = if terms.are_targets() { "−t·x" } else { "−E·x" };
        let row = |n: usize| {
            let (x, terms) = (x.row(n), &terms);
            let factors = terms.classes(n, x.len()).map(move |k| (k, terms.at(n, k)));
            // 0 times the −inf of a masked class is defined as 0.
            factors.filter(|(_, e)| *e != S::zero()).map(move |(k, e)| (e * -x[k]).named("term", meaning))
        };
        let results = self.0.reduction.reduce(&lanes, self.0.compute_divisor(at, &lanes), row);
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let lanes = self.0.known_lanes(at);
            let (terms, divisor) = (self.0.terms(at, &lanes), self.0.compute_divisor(at, &lanes));
            lanes.restore(fill_rows((lanes.count(), lanes.len()), |n, dx| {
                let scale = self.0.reduction.scale(dout, n, divisor);
                for k in terms.classes(n, dx.len()) {
                    let e = terms.at(n, k);
                    if e != S::zero() {
                        dx[k] = scale.apply(-e);
                    }
                }
            }))
        })
    }
}
