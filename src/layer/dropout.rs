//! Dropout: entries of x are set to 0 with probability p, the others divided by 1 − p.
//!
//! - Forward: y = x∘mask/(1 − p).
//! - Backward: dx = dout∘mask/(1 − p).
//! - Shapes: any; mask and y are shaped as x.
//! - In a network after training, y = x.
//! - The mask is an operand, or drawn: entry n is kept where the n-th number of SplitMix64 (Steele, Lea and Flood 2014), seeded with
//!   `--seed` and divided by 2⁶⁴, is at least p; then it is a result.
//! - Refuses: p outside \[0, 1\], a mask of another shape or of numbers other than 0 and 1, and a mask that keeps entries if p is 1.
//! - Accuracy: within 1 ulp.
//! - Source: Srivastava et al. 2014, inverted as in PyTorch, JAX and ONNX: what is kept is scaled in training, and nothing is done
//!   afterwards. Flax and Keras call p the rate, ONNX the ratio; TensorFlow 1 had `keep_prob`, which is 1 − p.

use super::arrays::map_formula;
use super::convention::Convention;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer, Mode};
use super::settings::{Kind, Setting, Value};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::ops::{ArrayOps, Formula};
use ndarray::{ArrayD, Dimension};
use std::borrow::Cow;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "dropout",
    about: "y = x∘mask/(1 − p), with a given or random mask",
    outputs: &[(Name::Y, "x∘mask/(1 − p)"), (Name::MASK, "1 where x is kept, else 0")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "any shape", "dout∘mask/(1 − p)", "input"),
        Slot {
            name: Name::MASK,
            role: Role::Constant,
            shape: "the shape of x",
            optional: true,
            values: Values::Mask,
            gradient: None,
            doc: "true or 1 where x is kept; drawn if absent",
        },
    ],
    settings: &[P, SEED],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "not divided by 1 − p",
            explanation: "it is dout∘mask; what is kept has to be divided by 1 − p",
            gradient: |case| case.recompute(|settings, _| settings.set(P.name, Value::Number(0.0))),
        },
        Convention {
            kind: "divided by p",
            explanation: "it is dout∘mask/p, for a p that is the probability to keep an entry",
            gradient: |case| {
                let keep = 1.0 - case.settings.number(P.name).unwrap_or(DEFAULT_P);
                case.recompute(|settings, _| settings.set(P.name, Value::Number(keep)))
            },
        },
        Convention {
            kind: "mask inverted",
            explanation: "it keeps the entries where the mask is 0; they have to be dropped",
            gradient: |case| {
                let mask = case.operands.get(&Name::MASK)?.mapv(|kept| 1.0 - kept);
                case.recompute(|_, operands| operands.insert(Name::MASK, mask))
            },
        },
    ],
    examples: &[
        Example {
            command: "nnlayer dropout --x 1,2,3 --mask '[true,false,true]' --p 0.25 --json",
            prints: "{\"y\":[1.3333333333333333,0.0,4.0],\"dx\":[1.3333333333333333,0.0,1.3333333333333333]}\n",
        },
        Example {
            command: "nnlayer dropout --x 1,2,3,4 --seed 7 --forward --json",
            prints: "{\"y\":[0.0,0.0,6.0,8.0],\"mask\":[0.0,0.0,1.0,1.0]}\n",
        },
    ],
    source: "Srivastava et al. 2014, inverted as in PyTorch and ONNX",
    build: |settings| {
        let p = settings.number(P.name).unwrap_or(DEFAULT_P);
        if !(0.0..=1.0).contains(&p) {
            let error = Error::new(Code::Setting, format!("expected a probability, from 0 to 1, got {p}"));
            return Err(error.with_operand(&Name::new(P.name)).tip(P.doc));
        }
        Ok(Box::new(Dropout { p, seed: settings.integer(SEED.name), mode: None }) as Box<dyn AnyLayer>)
    },
};

const DEFAULT_P: f64 = 0.5;
const P: Setting = Setting {
    name: "p",
    kind: Kind::Number(&[DEFAULT_P, 0.1, 0.2]),
    doc: "probability that an entry is dropped (default 0.5)",
};
const SEED: Setting =
    Setting { name: "seed", kind: Kind::Integer, doc: "seed of the mask that is drawn without --mask (default 0)" };

/// y = x∘mask/(1 − p).
#[derive(Clone, Copy)]
struct Dropout {
    p: f64,
    seed: Option<i64>,
    /// Use in a network, which has its own seed for each step of training.
    mode: Option<Mode>,
}

/// x·mask/(1 − p), as a formula of x and mask. A dropped entry is not divided by a 1 − p that may be 0.
struct Kept {
    p: f64,
}

impl Formula<2> for Kept {
    fn compute<S: Scalar>(&self, [x, mask]: [S; 2]) -> S {
        if mask == S::zero() { x * mask } else { x * mask / (S::one() - S::from_f64(self.p)) }
    }
}

impl Dropout {
    /// Returns the mask that is given, or a drawn one.
    fn mask<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> Cow<'a, ArrayD<S>> {
        if let Some(mask) = at.get(&Name::MASK) {
            return Cow::Borrowed(mask);
        }
        let mut random = SplitMix64::new(match self.mode {
            Some(Mode::Training(seed)) => seed,
            _ => self.seed.unwrap_or_default().cast_unsigned(),
        });
        let mut is_kept = || random.unit() >= self.p;
        let kept = |_: &S| if is_kept() { S::one() } else { S::zero() };
        Cow::Owned(at.known(&Name::X).map(kept))
    }
}

impl Admit for Dropout {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let x = given.at.known(&Name::X);
        let Some(mask) = given.at.get(&Name::MASK) else { return Ok(Vec::new()) };
        if self.seed.is_some() {
            return Err(Error::new(Code::Setting, "has an effect only without --mask")
                .with_operand(&Name::new(SEED.name))
                .tip("leave out one of them"));
        }
        if mask.shape() != x.shape() {
            let (mask_shape, shape) = (format_shape(mask.shape()), format_shape(x.shape()));
            return Err(Error::new(Code::Shape, format!("shape {mask_shape} does not match {} {shape}", Name::X))
                .with_operand(&Name::MASK)
                .with_shape(&Name::MASK, mask.shape())
                .with_shape(&Name::X, x.shape())
                .tip("give one boolean for each entry of x"));
        }
        let is_allowed = |v: f64| v == 0.0 || (v == 1.0 && self.p < 1.0);
        let Some((at, value)) = mask.indexed_iter().find(|(_, v)| !is_allowed(**v)) else { return Ok(Vec::new()) };
        let error = if *value == 1.0 {
            Error::new(Code::Setting, "is 1 where p is 1, so that every entry is dropped").tip("give a smaller --p")
        } else {
            Error::new(Code::Setting, format!("contains {value}; a mask has 0 and 1, or false and true"))
                .tip("give 1 for each entry that is kept; it is divided by 1 − p then")
        };
        let error = error.with_operand(&Name::MASK);
        Err(if mask.ndim() > 0 { error.at_index(at.slice()) } else { error })
    }

    fn for_mode(&self, mode: Mode) -> Option<Box<dyn AnyLayer>> {
        Some(Box::new(Dropout { mode: Some(mode), ..*self }))
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, "diag(mask/(1 − p))")]
    }
}

impl<S: ArrayOps> Layer<S> for Dropout {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        if self.mode == Some(Mode::Inference) {
            let results = Tensors::new().with(Name::Y, at.known(&Name::X).clone());
            return Forward { results, saved: Vec::new() };
        }
        let mask = self.mask(at);
        let y = map_formula([at.known(&Name::X), &mask], &Kept { p: self.p });
        let results = Tensors::new().with(Name::Y, y);
        let results = match mask {
            Cow::Owned(drawn) => results.with(Name::MASK, drawn),
            Cow::Borrowed(_) => results,
        };
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || match self.mode {
            Some(Mode::Inference) => dout.clone(),
            _ => map_formula([dout, &self.mask(at)], &Kept { p: self.p }),
        })
    }
}
