//! Attention: y = softmax(q·kᵀ·scale + mask)·v, for each head.
//!
//! - Forward: s = q·kᵀ·scale; with `--softcap c` s = c·tanh(s/c); then the mask; p = softmax(s) of each row; y = p·v.
//! - Backward: dv = pᵀ·dout; dp = dout·vᵀ; ds = p∘(dp − Σ dp∘p), which is dmask, summed where the mask was broadcast; through the
//!   softcap ds∘(1 − tanh²); dq = ds·k·scale; dk = dsᵀ·q·scale. dk and dv are summed over the heads of q that share them.
//! - Shapes: q (…, L, d), k (…, S, d), v (…, S, e), y (…, L, e). Heads are axis −3: q may have a multiple of the heads of k and v, whose
//!   head j serves heads j·H/G to (j + 1)·H/G − 1. With `--heads H --kv-heads G` they are parts of the rows: q (…, L, H·d),
//!   k (…, S, G·d), v (…, S, G·e), y (…, L, H·e). The mask broadcasts to the scores (…, H, L, S) as in NumPy.
//! - Refuses: shapes that do not match, and unless `--masked-rows` says otherwise a row of which every key is masked.
//! - Accuracy: scores and sums have the error of their products, (n + 8)·2⁻⁵³ of the sum of magnitudes; p of these scores is within
//!   2 ulp. The scores of a block of rows are all that is kept, and a gradient computes them again.
//! - Source: Vaswani et al. 2017; PyTorch's scaled_dot_product_attention and ONNX's Attention, in which True takes part; in PyTorch's
//!   MultiheadAttention True is ignored (`--mask-true ignore`). ONNX's `is_causal` and PyTorch's are top-left; FlashAttention from 2.1
//!   on is bottom-right. The scale is 1/√d, in JAX's dot_product_attention too. The softcap, tanh before the mask, is Gemma 2's.

use super::attention_blocks::Attention;
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::heads::{Causal, K, Mask, MaskKind, Options, Q, Sizes, V, visible};
use super::interface::{Admit, AnyLayer, Given, Layer, MatrixOperation};
use super::masked_rows::{MASKED_ROWS, MaskedRows};
use super::settings::{Kind, Setting, Settings, Value};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, Axis, Slice};

/// Number of scores up to which a graph shows them.
const MAX_DRAWN_SCORES: usize = 1 << 16;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "attention",
    about: "y = softmax(q·kᵀ·scale + mask)·v, for each head",
    outputs: &[(Name::Y, "softmax(q·kᵀ·scale + mask)·v")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Q, "(L×d), (…×H×L×d) or (…×L×H·d)", "ds·k·scale", "queries"),
        Slot::input(K, "(S×d), (…×G×S×d) or (…×S×G·d)", "dsᵀ·q·scale", "keys"),
        Slot::input(V, "(S×e), (…×G×S×e) or (…×S×G·e)", "pᵀ·dout", "values"),
        Slot {
            name: Name::MASK,
            role: Role::Constant,
            shape: "(L×S) or broadcast",
            optional: true,
            values: Values::Mask,
            gradient: Some("ds, p∘(dp − Σ dp∘p)"),
            doc: "booleans, or numbers to add",
        },
    ],
    settings: &[SCALE, CAUSAL, SOFTCAP, HEADS, KV_HEADS, MASK_TRUE, MASK_KIND, MASKED_ROWS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "scale left out",
            explanation: "its scores are not multiplied by the scale, 1/√d by default",
            gradient: |case| with_scale(case, |_| 1.0),
        },
        Convention {
            kind: "scaled twice",
            explanation: "its scores are multiplied by the scale twice",
            gradient: |case| with_scale(case, |scale| scale * scale),
        },
        Convention {
            kind: "not summed over the group",
            explanation: "it is the part of the last head of q that shares these keys and values; the parts have to be added",
            gradient: |case| of_one_head(case, |heads, group| (0..heads).filter(|h| (h + 1) % group != 0).collect()),
        },
        Convention {
            kind: "only the first of the group",
            explanation: "it is the part of the first head of q that shares these keys and values; the parts have to be added",
            gradient: |case| of_one_head(case, |heads, group| (0..heads).filter(|h| h % group != 0).collect()),
        },
    ],
    examples: &[
        Example {
            command: "nnlayer attention --q '1,0;0,1' --k '1,0;0,1' --v '1;3' --causal top-left --forward",
            prints: "\
y = softmax(q·kᵀ·scale + mask)·v  (2×1)
[[1.       ]
 [2.3395231]]
",
        },
        Example {
            command: "nnlayer attention --q '1,0;0,1' --k '1,0;0,1' --v '1;3' --mask '[[true,false],[true,true]]' --only y,dv --json",
            prints: "{\"y\":[[1.0],[2.3395230986533138]],\"dv\":[[1.3302384506733431],[0.6697615493266569]]}\n",
        },
    ],
    source: "Vaswani et al. 2017; PyTorch's scaled_dot_product_attention; ONNX's Attention",
    build: |settings| Ok(Box::new(AttentionLayer::new(settings)?) as Box<dyn AnyLayer>),
};

const SCALE: Setting = Setting { name: "scale", kind: Kind::Number(&[]), doc: "factor of the scores (default 1/√d)" };
const CAUSAL: Setting = Setting {
    name: "causal",
    kind: Kind::Choice(&["none", "top-left", "bottom-right"]),
    doc: "row i sees keys to i, or i + S − L (bottom-right)",
};
const SOFTCAP: Setting =
    Setting { name: "softcap", kind: Kind::Number(&[]), doc: "bound c of the scores, c·tanh(s/c); before the mask" };
const HEADS: Setting =
    Setting { name: "heads", kind: Kind::Integer, doc: "number of heads in a row of q; by default, axis -3 has them" };
const KV_HEADS: Setting =
    Setting { name: "kv-heads", kind: Kind::Integer, doc: "number of heads in a row of k and v; by default --heads" };
const MASK_TRUE: Setting = Setting {
    name: "mask-true",
    kind: Kind::Choice(&["take-part", "ignore"]),
    doc: "meaning of true: take-part (default) or ignore",
};
const MASK_KIND: Setting = Setting {
    name: "mask-kind",
    kind: Kind::Choice(&["boolean", "additive"]),
    doc: "boolean or additive; by default, the type of the mask",
};

/// Returns the gradient for another scale.
fn with_scale(case: &GradientCase<'_>, scale: impl Fn(f64) -> f64) -> Option<ArrayD<f64>> {
    let layer = AttentionLayer::new(case.settings).ok()?;
    #[allow(clippy::cast_precision_loss)] // a length
    let default = 1.0 / (layer.sizes(case.operands).ok()?.depth as f64).sqrt();
    let other = scale(layer.options.scale.unwrap_or(default));
    case.recompute(|settings, _| settings.set(SCALE.name, Value::Number(other)))
}

/// Returns the gradient of k or v that leaves out heads of q, chosen from their number and that of a group.
fn of_one_head(case: &GradientCase<'_>, leave_out: fn(usize, usize) -> Vec<usize>) -> Option<ArrayD<f64>> {
    let sizes = AttentionLayer::new(case.settings).ok()?.sizes(case.operands).ok()?;
    let group = sizes.heads / sizes.kv_heads.max(1);
    if group < 2 || ![K.gradient(), V.gradient()].contains(case.name) {
        return None;
    }
    let mut dout = case.dout.clone();
    let rank = dout.ndim();
    let (axis, width) = if sizes.is_joined { (rank - 1, sizes.value_depth) } else { (rank - 3, 1) };
    for head in leave_out(sizes.heads, group) {
        dout.slice_axis_mut(Axis(axis), Slice::from(head * width..(head + 1) * width)).fill(0.0);
    }
    GradientCase { dout: &dout, ..*case }.recompute(|_, _| {})
}

/// y = softmax(q·kᵀ·scale + mask)·v.
struct AttentionLayer {
    options: Options,
    heads: Option<(usize, usize)>,
    /// True if --mask-true is given, which needs a mask.
    needs_mask: bool,
}

/// Returns the error of a setting that would change nothing.
fn no_effect(setting: &'static str, without: &str, tip: &str) -> Error {
    let error = Error::new(Code::Setting, format!("has an effect only {without}"));
    error.with_operand(&Name::new(setting)).tip(tip.to_owned())
}

impl AttentionLayer {
    fn new(settings: &Settings) -> Result<AttentionLayer, Error> {
        let refuse = |setting: &Setting, expected: &str, got: String| {
            let error = Error::new(Code::Setting, format!("expected {expected}, got {got}"));
            error.with_operand(&Name::new(setting.name)).tip(setting.doc)
        };
        let (scale, softcap) = (settings.number(SCALE.name), settings.number(SOFTCAP.name));
        if let Some(scale) = scale.filter(|scale| !scale.is_finite()) {
            return Err(refuse(&SCALE, "a finite number", scale.to_string()));
        }
        if let Some(cap) = softcap.filter(|cap| !(*cap > 0.0 && cap.is_finite())) {
            return Err(refuse(&SOFTCAP, "a positive number", cap.to_string()));
        }
        let count = |setting: &Setting| match settings.integer(setting.name) {
            Some(count) if count < 1 => Err(refuse(setting, "a positive integer", count.to_string())),
            count => Ok(count.and_then(|count| usize::try_from(count).ok())),
        };
        let heads = match (count(&HEADS)?, count(&KV_HEADS)?) {
            (None, Some(_)) => return Err(no_effect(KV_HEADS.name, "with --heads", "add --heads, or leave it out")),
            (Some(heads), kv_heads) => {
                let kv_heads = kv_heads.unwrap_or(heads);
                if !heads.is_multiple_of(kv_heads) {
                    let expected = format!("a divisor of the {heads} heads");
                    return Err(refuse(&KV_HEADS, &expected, kv_heads.to_string()));
                }
                Some((heads, kv_heads))
            }
            (None, None) => None,
        };
        let takes_part = settings.choice(MASK_TRUE.name) != Some("ignore");
        let is_boolean = settings.choice(MASK_KIND.name) == Some("boolean");
        if settings.get(MASK_TRUE.name).is_some() && !is_boolean {
            return Err(no_effect(
                MASK_TRUE.name,
                "on a boolean mask",
                "use --mask-kind boolean for a mask of 0 and 1",
            ));
        }
        let causal = match settings.choice(CAUSAL.name) {
            Some("top-left") => Causal::TopLeft,
            Some("bottom-right") => Causal::BottomRight,
            _ => Causal::No,
        };
        let mask = if is_boolean { MaskKind::Boolean(takes_part) } else { MaskKind::Additive };
        let masked = MaskedRows::new(settings);
        let needs_mask = settings.get(MASK_TRUE.name).is_some();
        Ok(AttentionLayer { options: Options { scale, softcap, causal, mask, masked }, heads, needs_mask })
    }

    /// Returns the sizes of q, k and v, or the error that they do not match.
    fn sizes<S>(&self, at: &Tensors<S>) -> Result<Sizes, Error> {
        let [q, k, v] = [Q, K, V].map(|name| at.known(&name).shape().to_vec());
        let refuse = |name: &Name, message: String, tip: &str| {
            let error = Error::new(Code::Shape, message).with_operand(name).with_shape(&Q, &q).with_shape(&K, &k);
            Err(error.with_shape(&V, &v).tip(tip.to_owned()))
        };
        if q.len() < 2 {
            return refuse(
                &Q,
                format!("must have a row for each query, got {}", format_shape(&q)),
                "give one row as '1,2;'",
            );
        }
        for (name, shape) in [(K, &k), (V, &v)] {
            if shape.len() != q.len() {
                let message =
                    format!("must have as many axes as {Q}, got {} and {}", format_shape(shape), format_shape(&q));
                return refuse(
                    &name,
                    message,
                    "give q, k and v the same leading axes; q may have more heads in axis -3",
                );
            }
        }
        let rank = q.len();
        let is_single = self.heads.is_none() && rank == 2;
        let lead = if self.heads.is_some() { rank - 2 } else { rank.saturating_sub(3) };
        let heads_of = |shape: &[usize]| if is_single { 1 } else { shape[rank - 3] };
        let (heads, kv_heads) = self.heads.unwrap_or_else(|| (heads_of(&q), heads_of(&k)));
        let is_joined = self.heads.is_some();
        for (name, shape, count) in [(Q, &q, heads), (K, &k, kv_heads), (V, &v, kv_heads)] {
            if shape[..lead] != q[..lead] {
                let message = format!("leading axes of {} do not match {Q} {}", format_shape(shape), format_shape(&q));
                return refuse(&name, message, "give q, k and v the same leading axes");
            }
            if is_joined && !shape[rank - 1].is_multiple_of(count) {
                let message = format!("expected rows of {count} heads of one length, got {}", format_shape(shape));
                return refuse(&name, message, "use --heads and --kv-heads that divide the rows");
            }
        }
        let width = |shape: &[usize], count: usize| if is_joined { shape[rank - 1] / count } else { shape[rank - 1] };
        let (depth, key_depth) = (width(&q, heads), width(&k, kv_heads));
        if depth != key_depth {
            let message = format!("heads of {key_depth} elements do not match those of {Q}, {depth}");
            return refuse(&K, message, "q·kᵀ needs rows of one length");
        }
        if v[rank - 2] != k[rank - 2] || (!is_joined && heads_of(&v) != kv_heads) {
            let message = format!("shape {} does not match {K} {}", format_shape(&v), format_shape(&k));
            return refuse(&V, message, "give a value for each key");
        }
        if k[rank - 2] == 0 || depth == 0 {
            return refuse(
                &K,
                format!("must have a key and an element at least, got {}", format_shape(&k)),
                "give one key",
            );
        }
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            let message = format!("the {heads} heads of {Q} are no multiple of the {kv_heads} of {K}");
            return refuse(&K, message, "give k and v as many heads as q, or a divisor of that number");
        }
        Ok(Sizes {
            lead: q[..lead].to_vec(),
            heads,
            kv_heads,
            queries: q[rank - 2],
            keys: k[rank - 2],
            depth,
            value_depth: width(&v, kv_heads),
            is_joined,
            is_single,
        })
    }

    fn known_sizes<S>(&self, at: &Tensors<S>) -> Sizes {
        self.sizes(at).unwrap_or_else(|_| unreachable!("admitted"))
    }

    fn attention<'a, S: ArrayOps>(&'a self, at: &'a Tensors<S>) -> Attention<'a, S> {
        Attention::new(&self.options, self.known_sizes(at), at)
    }

    /// Refuses a mask that does not match, or has other values than its kind.
    fn admit_mask<'a>(&self, mask: &'a ArrayD<f64>, sizes: &Sizes) -> Result<Mask<'a, f64>, Error> {
        let scores = sizes.scores();
        let is_boolean = self.options.mask != MaskKind::Additive;
        let is_allowed = |v: f64| if is_boolean { v == 0.0 || v == 1.0 } else { v != f64::INFINITY };
        if let Some((at, value)) = mask.indexed_iter().find(|(_, v)| !is_allowed(**v)) {
            let error = if is_boolean {
                Error::new(Code::Setting, format!("contains {value}; a boolean mask has 0 and 1, or false and true"))
                    .tip("use --mask-kind additive for a mask of numbers to add")
            } else {
                Error::new(Code::InfiniteLogits, "contains +inf, for which softmax is undefined")
                    .tip("add -inf where a key is masked, and 0 where it is not")
            };
            return Err(error.with_operand(&Name::MASK).at_index(ndarray::Dimension::slice(&at)));
        }
        Mask::new(mask, sizes, self.options.mask).ok_or_else(|| {
            let (shape, scores) = (format_shape(mask.shape()), format_shape(&scores));
            Error::new(Code::Shape, format!("shape {shape} does not broadcast to the scores {scores}"))
                .with_operand(&Name::MASK)
                .with_shape(&Name::MASK, mask.shape())
                .tip("give a row for each query and a column for each key; axes before them may have a length of 1")
        })
    }

    /// Refuses rows of which every key is masked.
    fn admit_rows(&self, mask: Option<&Mask<'_, f64>>, sizes: &Sizes) -> Result<(), Error> {
        let causal = self.options.causal;
        let (heads, rows) = mask.map_or((1, sizes.queries), |mask| mask.distinct(sizes, causal));
        let is_masked = |head: usize, row: usize| {
            let keys = visible(causal, sizes, row);
            keys == 0 || mask.is_some_and(|mask| mask.is_masked(head, row, keys))
        };
        let Some(row) = (0..heads).find_map(|head| (0..rows).find(|&row| is_masked(head, row))) else { return Ok(()) };
        let message = format!("masks every key of query row {row}");
        let name = if mask.is_some() { Name::MASK } else { Name::new(CAUSAL.name) };
        Err(Error::new(Code::InfiniteLogits, message)
            .with_operand(&name)
            .tip(format!("leave at least one key to each row, or use --{} zero or --{0} nan", MASKED_ROWS.name)))
    }
}

impl Admit for AttentionLayer {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let sizes = self.sizes(given.at)?;
        let mask = given.at.get(&Name::MASK);
        if self.needs_mask && mask.is_none() {
            return Err(no_effect(MASK_TRUE.name, "with --mask", "add a mask, or leave it out"));
        }
        let mask = mask.map(|mask| self.admit_mask(mask, &sizes)).transpose()?;
        if self.options.masked == MaskedRows::Error && (mask.is_some() || self.options.causal != Causal::No) {
            self.admit_rows(mask.as_ref(), &sizes)?;
        }
        Ok(Vec::new())
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let sizes = self.known_sizes(at);
        sizes.shape(sizes.heads, sizes.queries, sizes.value_depth)
    }

    fn matrix_operations(&self, at: &Tensors<f64>, _: &Tensors<f64>, dout: &ArrayD<f64>) -> Vec<MatrixOperation> {
        let count: usize = self.known_sizes(at).scores().iter().product();
        if self.options.softcap.is_some() || count > MAX_DRAWN_SCORES {
            return Vec::new();
        }
        let [scores, masked, weights] = self.attention(at).score_matrices(dout);
        let mask = at.get(&Name::MASK).map(|_| Name::MASK);
        let is_masked = mask.is_some() || self.options.causal != Causal::No;
        let [s, logits, p] = ["s", "s + mask", "p"].map(Name::fixed);
        let operation = |op, reads, gives, inner| MatrixOperation { op, note: None, reads, gives, inner };
        let note = Some("s: the scores q·kᵀ·scale; p: the weights, softmax of the scores");
        let first = operation("·kᵀ·scale", vec![Q, K], s.clone(), Some(scores));
        let mut operations = vec![MatrixOperation { note, ..first }];
        let mut before = s;
        if is_masked {
            let reads = std::iter::once(before).chain(mask).collect();
            operations.push(operation("mask", reads, logits.clone(), Some(masked)));
            before = logits;
        }
        operations.push(operation("softmax", vec![before], p.clone(), Some(weights)));
        operations.push(operation("dot", vec![p, V], Name::Y, None));
        operations
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let is_masked = at.get(&Name::MASK).is_some() || self.options.causal != Causal::No;
        let formula = match (self.options.softcap.is_some(), is_masked) {
            (false, false) => "softmax(q·kᵀ·scale)·v",
            (false, true) => "softmax(q·kᵀ·scale + mask)·v",
            (true, false) => "softmax(softcap(q·kᵀ·scale))·v",
            (true, true) => "softmax(softcap(q·kᵀ·scale) + mask)·v",
        };
        vec![(Name::Y, formula)]
    }
}

impl<S: ArrayOps> Layer<S> for AttentionLayer {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        Forward { results: Tensors::new().with(Name::Y, self.attention(at).forward()), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let mask = at.get(&Name::MASK).filter(|_| self.options.mask == MaskKind::Additive);
        let names = [Q, K, V].into_iter().chain(mask.map(|_| Name::MASK)).map(|name| name.gradient());
        Gradients::from(Tensors::new())
            .with_joint(names.collect(), move |wanted| self.attention(at).backward(dout, mask, wanted))
    }
}
