//! Rotary position embedding: pairs of each row are rotated by an angle that grows with the row's position.
//!
//! - Forward: for pair i of a row at position p, with angle a = p·base^(−2i/r): y₁ = x₁·cos a − x₂·sin a,
//!   y₂ = x₂·cos a + x₁·sin a. The pairs are (i, i + r/2) for halves and (2i, 2i + 1) for interleaved; elements from r on stay.
//! - Backward: dx is dout rotated by −a; dcos = Σ dout₁·x₁ + dout₂·x₂ and dsin = Σ dout₂·x₁ − dout₁·x₂ over the rows of a position.
//! - Shapes: x (…, L, D), positions along axis −2, 0 to L − 1 or `--positions` (L) or (…, L), which broadcasts as in NumPy. With
//!   `--heads H` x is (…, L, H·D), and each head's part of a row is rotated. Tables of cosines and sines are (P, r/2), a row for
//!   each position, or (…, L, r/2), a row for each row of x.
//! - Refuses: an odd r or one above D, one table without the other, a position that no table has or of 2³¹ and more, and a base below 1.
//! - Accuracy: the angles have about 100 bits, so y and dx are within 1 ulp, but for what cancels to a 2⁻⁴⁰th of x.
//! - Source: Su et al. 2021 (RoFormer) has interleaved pairs, as GPT-J and ONNX's `interleaved=1` have; GPT-NeoX, Llama in Hugging
//!   Face's transformers, and ONNX by default have halves. ONNX's RotaryEmbedding reads `--cos --sin` (its caches), `--positions`
//!   (position_ids) and `--dims` (rotary_embedding_dim).

use super::arrays::{count, elements};
use super::convention::Convention;
use super::gradients::{Forward, Gradients, Run};
use super::indices::{Places, admit_indices, indices};
use super::interface::{Admit, AnyLayer, Given, Layer};
use super::settings::{Kind, Setting, Settings};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::ops::ArrayOps;
use ndarray::{Array1, ArrayD, IxDyn};

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "rope",
    about: "y = x with pairs rotated by their position, rotary position embedding",
    outputs: &[(Name::Y, "x rotated by position·base^(−2i/r)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(L×d), (…×L×d) or, with --heads, (…×L×H·d)", "dout rotated back", "input"),
        Slot {
            name: COS,
            role: Role::Constant,
            shape: "(P×r/2)",
            optional: true,
            values: Values::Numbers,
            gradient: Some("Σ dout₁·x₁ + dout₂·x₂"),
            doc: "cosines of the angles",
        },
        Slot {
            name: SIN,
            role: Role::Constant,
            shape: "(P×r/2)",
            optional: true,
            values: Values::Numbers,
            gradient: Some("Σ dout₂·x₁ − dout₁·x₂"),
            doc: "sines of the angles",
        },
        Slot {
            name: Name::POSITIONS,
            role: Role::Constant,
            shape: "(L) or (…×L)",
            optional: true,
            values: Values::Indices("P"),
            gradient: None,
            doc: "position of each row",
        },
    ],
    settings: &[PAIRS, BASE, DIMS, HEADS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "rotated the wrong way",
            explanation: "it is dout rotated forward; the gradient is rotated back, by the negative angle",
            gradient: |case| {
                let operands = case.operands.clone().with(Name::X, case.dout.clone());
                if *case.name == Name::DX { case.output_at(&Name::Y, &operands) } else { None }
            },
        },
        Convention {
            kind: "positions from 1",
            explanation: "its positions are larger by 1; they count from 0",
            gradient: |case| {
                let x = case.operands.get(&Name::X)?;
                let length = x.shape()[x.ndim().checked_sub(2)?];
                let given = case.operands.get(&Name::POSITIONS).cloned();
                let positions = given.unwrap_or_else(|| Array1::from_iter((0..length).map(count)).into_dyn());
                case.recompute(|_, operands| operands.insert(Name::POSITIONS, positions + 1.0))
            },
        },
    ],
    examples: &[Example {
        command: "nnlayer rope --x '1,0;1,0;1,0' --base 1 --forward",
        prints: "\
y = x rotated by position·base^(−2i/r)  (3×2)
[[ 1.          0.        ]
 [ 0.54030231  0.84147098]
 [-0.41614684  0.90929743]]
",
    }],
    source: "Su et al. 2021, Hugging Face's transformers and ONNX's RotaryEmbedding",
    build: |settings| Ok(Box::new(Rope::new(settings)?) as Box<dyn AnyLayer>),
};

const COS: Name = Name::fixed("cos");
const SIN: Name = Name::fixed("sin");
const DEFAULT_BASE: f64 = 10_000.0;
/// A bound of positions, up to which angles have digits to spare.
const POSITIONS: usize = 1 << 31;

const PAIRS: Setting = Setting {
    name: "pairs",
    kind: Kind::Choice(&["halves", "interleaved"]),
    doc: "halves (default), i, i + r/2, or interleaved, 2i, 2i + 1",
};
const BASE: Setting = Setting {
    name: "base",
    kind: Kind::Number(&[DEFAULT_BASE, 5e5, 1e6]),
    doc: "base of the angles (default 10000; 500000 in Llama 3)",
};
const DIMS: Setting =
    Setting { name: "dims", kind: Kind::Integer, doc: "number r of elements that are rotated (default all)" };
const HEADS: Setting = Setting { name: "heads", kind: Kind::Integer, doc: "number of heads in a row of x (default 1)" };

/// y = x with pairs rotated by their position.
struct Rope {
    is_interleaved: bool,
    base: Option<f64>,
    dims: Option<usize>,
    heads: usize,
}

/// Returns tables of the cosines and sines of the first positions, for rows of a length.
pub(super) fn tables(settings: &Settings, positions: usize, width: usize) -> Option<(ArrayD<f64>, ArrayD<f64>)> {
    let x = ArrayD::<f64>::zeros(IxDyn(&[positions, width]));
    let angles = Rope::new(settings).ok()?.angles(&Tensors::new().with(Name::X, x));
    let shape = IxDyn(&[positions, angles.pairs]);
    let (cos, sin) = angles.table.into_iter().map(|(cos, sin)| (cos.to_f64(), sin.to_f64())).unzip();
    Some((ArrayD::from_shape_vec(shape.clone(), cos).ok()?, ArrayD::from_shape_vec(shape, sin).ok()?))
}

/// Returns a positive integer setting.
fn positive(settings: &Settings, setting: &Setting) -> Result<Option<usize>, Error> {
    let Some(value) = settings.integer(setting.name) else { return Ok(None) };
    usize::try_from(value).ok().filter(|&value| value > 0).map(Some).ok_or_else(|| {
        let error = Error::new(Code::Setting, format!("expected a positive integer, got {value}"));
        error.with_operand(&Name::new(setting.name)).tip(setting.doc)
    })
}

/// The angles of all rows.
struct Angles<S: ArrayOps> {
    /// Number of pairs of a row.
    pairs: usize,
    /// Cosine and sine of each pair, for each row of the tables.
    table: Vec<(S::Extended, S::Extended)>,
    /// Row of the tables of each row of x.
    rows: Vec<usize>,
}

impl Rope {
    fn new(settings: &Settings) -> Result<Rope, Error> {
        let base = settings.number(BASE.name);
        if let Some(base) = base.filter(|base| !(*base >= 1.0 && base.is_finite())) {
            let error = Error::new(Code::Setting, format!("expected a number of at least 1, got {base}"));
            return Err(error.with_operand(&Name::new(BASE.name)).tip(BASE.doc));
        }
        Ok(Rope {
            is_interleaved: settings.choice(PAIRS.name) == Some("interleaved"),
            base,
            dims: positive(settings, &DIMS)?,
            heads: positive(settings, &HEADS)?.unwrap_or(1),
        })
    }

    /// Returns the length of a head's part of a row.
    fn width<S>(&self, x: &ArrayD<S>) -> usize {
        x.shape().last().map_or(0, |width| width / self.heads)
    }

    /// Returns the number of pairs of a head that are rotated.
    fn pairs<S>(&self, x: &ArrayD<S>) -> usize {
        self.dims.unwrap_or_else(|| self.width(x)) / 2
    }

    /// Returns the elements of pair `i` of `pairs`.
    fn pair(&self, i: usize, pairs: usize) -> (usize, usize) {
        if self.is_interleaved { (2 * i, 2 * i + 1) } else { (i, i + pairs) }
    }

    /// Returns the row of the tables for each row of x, unless shapes do not match.
    fn table_rows<S: ArrayOps>(at: &Tensors<S>) -> Option<Vec<usize>> {
        let [rows @ .., _] = at.known(&Name::X).shape() else { return None };
        let (table, positions) = (at.get(&COS).map(ArrayD::shape), at.get(&Name::POSITIONS));
        let in_order = |shape: &[usize]| ArrayD::from_shape_vec(shape, (0..shape.iter().product()).collect()).ok();
        let row = match (table, positions) {
            (Some([_, _]), Some(positions)) => ArrayD::from_shape_vec(positions.raw_dim(), indices(positions)).ok()?,
            (Some(_) | None, Some(positions)) => in_order(positions.shape())?,
            (Some([_, _]) | None, None) => in_order(&rows[rows.len() - 1..])?,
            (Some(table), None) => in_order(&table[..table.len() - 1])?,
        };
        Some(row.broadcast(IxDyn(rows))?.iter().copied().collect())
    }

    fn angles<S: ArrayOps>(&self, at: &Tensors<S>) -> Angles<S> {
        let x = at.known(&Name::X);
        let pairs = self.pairs(x);
        let table = match (at.get(&COS), at.get(&SIN)) {
            (Some(cos), Some(sin)) => cos.iter().zip(sin).map(|(cos, sin)| (cos.widen(), sin.widen())).collect(),
            _ => {
                let number = <S::Extended as Scalar>::from_f64;
                let log = number(self.base.unwrap_or(DEFAULT_BASE)).ln();
                let exponent = |i: usize| -(number(2.0 * count(i)) / number(2.0 * count(pairs)) * log);
                let frequencies: Vec<S::Extended> = (0..pairs).map(|i| exponent(i).exp()).collect();
                let positions = match at.get(&Name::POSITIONS) {
                    Some(positions) => positions.iter().map(|position| position.to_f64()).collect(),
                    None => (0..x.shape()[x.ndim() - 2]).map(count).collect::<Vec<_>>(),
                };
                let angles = positions.iter().flat_map(|&p| frequencies.iter().map(move |&f| number(p) * f));
                angles.map(|angle| (angle.cos(), angle.sin())).collect()
            }
        };
        let rows = Rope::table_rows(at).unwrap_or_else(|| unreachable!("admitted"));
        Angles { pairs, table, rows }
    }

    /// Returns x rotated by the angles, or back.
    fn rotate<S: ArrayOps>(
        &self,
        x: &ArrayD<S>,
        Angles { pairs, table, rows }: &Angles<S>,
        is_back: bool,
    ) -> ArrayD<S> {
        let (width, elements) = (self.width(x), elements(x));
        let row_width = width * self.heads;
        let y = S::fill_chunks(x.len(), row_width, |n, y| {
            let angles = &table[rows[n] * pairs..][..*pairs];
            let heads = elements[n * row_width..].chunks_exact(width).zip(y.chunks_exact_mut(width));
            for (x, y) in heads {
                y[2 * pairs..].copy_from_slice(&x[2 * pairs..]);
                for (i, &(cos, sin)) in angles.iter().enumerate() {
                    let (first, second) = self.pair(i, *pairs);
                    let (x1, x2, sin) = (x[first].widen(), x[second].widen(), if is_back { -sin } else { sin });
                    y[first] = S::narrow(x1 * cos - x2 * sin);
                    y[second] = S::narrow(x2 * cos + x1 * sin);
                }
            }
        });
        ArrayD::from_shape_vec(x.raw_dim(), y).unwrap_or_else(|_| unreachable!("there is an entry for each place"))
    }

    /// Returns the gradient of a table: for each of its rows, the sum of what `terms` returns of the pairs of x and dout.
    fn table_gradient<S: ArrayOps>(
        &self,
        at: &Tensors<S>,
        dout: &ArrayD<S>,
        terms: impl Fn([S; 2], [S; 2]) -> [S; 2] + Sync,
    ) -> ArrayD<S> {
        let (x, table) = (at.known(&Name::X), at.known(&COS));
        let (width, pairs, row_width) = (self.width(x), self.pairs(x), self.width(x) * self.heads);
        let rows = Rope::table_rows(at).unwrap_or_else(|| unreachable!("admitted"));
        let places = Places::new(&rows, table.shape()[..table.ndim() - 1].iter().product());
        let (x, dout) = (elements(x), elements(dout));
        let gradient = S::fill_chunks(table.len(), pairs, |row, gradient| {
            for (i, sum) in gradient.iter_mut().enumerate() {
                let (first, second) = self.pair(i, pairs);
                let heads = places.at(row).iter().flat_map(|n| (0..self.heads).map(move |h| n * row_width + h * width));
                *sum = S::sum(heads.flat_map(|at| {
                    let pair = |values: &[S]| [values[at + first], values[at + second]];
                    terms(pair(x), pair(dout))
                }));
            }
        });
        ArrayD::from_shape_vec(table.raw_dim(), gradient).unwrap_or_else(|_| unreachable!("it is shaped as the table"))
    }

    /// Refuses tables that do not match x and positions.
    fn admit_tables(&self, at: &Tensors<f64>) -> Result<Option<usize>, Error> {
        let (cos, sin) = match (at.get(&COS), at.get(&SIN)) {
            (None, None) => return Ok(None),
            (Some(cos), Some(sin)) => (cos, sin),
            (cos, _) => {
                let (given, missing) = if cos.is_some() { (COS, SIN) } else { (SIN, COS) };
                let error = Error::new(Code::OperandMissing, format!("is required with {given}"));
                return Err(error.with_operand(&missing).tip("give both tables, or neither for those of --base"));
            }
        };
        if self.base.is_some() {
            let error =
                Error::new(Code::Setting, "has an effect only without tables").with_operand(&Name::new(BASE.name));
            return Err(error.tip("leave out --base, or --cos and --sin"));
        }
        let x = at.known(&Name::X);
        let (pairs, length) = (self.pairs(x), x.shape()[x.ndim() - 2]);
        let refuse = |message: String, tip: &str| {
            let message = format!("{message}, got {}", format_shape(cos.shape()));
            let error = Error::new(Code::Shape, message).with_operand(&COS).with_shape(&COS, cos.shape());
            Err(error.with_shape(&Name::X, x.shape()).tip(tip.to_owned()))
        };
        if cos.ndim() < 2 || cos.shape()[cos.ndim() - 1] != pairs {
            let has_both = cos.shape().last() == Some(&(2 * pairs)) && pairs > 0;
            let tip = if has_both {
                "both elements of a pair share an angle; give the columns of the first halves only"
            } else {
                "give a row for each position, with one number for each pair"
            };
            return refuse(format!("expected rows of {pairs} numbers, one for each pair"), tip);
        }
        if cos.shape() != sin.shape() {
            let (cos, shape) = (format_shape(cos.shape()), format_shape(sin.shape()));
            let error = Error::new(Code::Shape, format!("shape {shape} does not match {COS} {cos}")).with_operand(&SIN);
            return Err(error.tip("give both tables the same shape"));
        }
        let positions = at.get(&Name::POSITIONS);
        match cos.ndim() {
            2 if positions.is_none() && cos.shape()[0] < length => {
                refuse(format!("expected a row for each of {length} positions"), "give longer tables, or --positions")
            }
            2 => Ok(Some(cos.shape()[0])),
            _ if positions.is_some() => refuse(
                format!("expected a matrix, of which {} choose rows", Name::POSITIONS),
                "leave out --positions: these tables have a row for each row of x",
            ),
            _ => Ok(Some(0)),
        }
    }
}

impl Admit for Rope {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let x = given.at.known(&Name::X);
        let refuse = |message: String, tip: String| {
            let message = format!("{message}, got {}", format_shape(x.shape()));
            Err(Error::new(Code::Shape, message).with_operand(&Name::X).with_shape(&Name::X, x.shape()).tip(tip))
        };
        let &[.., _, row_width] = x.shape() else {
            return refuse("must have a row for each position".to_owned(), "give one row as '1,2;'".to_owned());
        };
        if !row_width.is_multiple_of(self.heads) {
            let tip = format!("use a --{} that divides {row_width}", HEADS.name);
            return refuse(format!("expected rows of {} heads of one length", self.heads), tip);
        }
        let width = row_width / self.heads;
        match self.dims {
            Some(dims) if !dims.is_multiple_of(2) || dims > width => {
                let message = format!("expected an even number up to {width}, got {dims}");
                let error = Error::new(Code::Setting, message).with_operand(&Name::new(DIMS.name));
                return Err(error.with_shape(&Name::X, x.shape()).tip(DIMS.doc));
            }
            None if !width.is_multiple_of(2) => {
                let tip = format!("use --{} {} to leave the last element of each row as it is", DIMS.name, width - 1);
                return refuse("expected rows of pairs".to_owned(), tip);
            }
            _ => {}
        }
        let table_rows = self.admit_tables(given.at)?;
        if let Some(positions) = given.at.get(&Name::POSITIONS) {
            let range = match table_rows {
                Some(rows) => format!("{COS} has {rows} rows"),
                None => "there are angles for 31 bits".to_owned(),
            };
            admit_indices(&Name::POSITIONS, positions, table_rows.unwrap_or(POSITIONS), &range)?;
        }
        if Rope::table_rows(given.at).is_none() {
            let name = if given.at.get(&Name::POSITIONS).is_some() { Name::POSITIONS } else { COS };
            let shape = given.at.known(&name).shape();
            let message =
                format!("shape {} does not match {} {}", format_shape(shape), Name::X, format_shape(x.shape()));
            return Err(Error::new(Code::Shape, message)
                .with_operand(&name)
                .with_shape(&name, shape)
                .with_shape(&Name::X, x.shape())
                .tip("give a row for each row of x; axes before it may have a length of 1, as in NumPy"));
        }
        Ok(Vec::new())
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        at.get(&COS).map(|_| (Name::Y, "x rotated by cos and sin")).into_iter().collect()
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, "the rotation of each pair, else 0")]
    }
}

impl<S: ArrayOps> Layer<S> for Rope {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let y = self.rotate(at.known(&Name::X), &self.angles(at), false);
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let has_tables = at.get(&COS).is_some();
        Gradients::one(Name::DX, move || self.rotate(dout, &self.angles(at), true))
            .with_if(has_tables, COS.gradient(), move || {
                self.table_gradient(at, dout, |[x1, x2], [d1, d2]| [d1 * x1, d2 * x2])
            })
            .with_if(has_tables, SIN.gradient(), move || {
                self.table_gradient(at, dout, |[x1, x2], [d1, d2]| [d2 * x1, -(d1 * x2)])
            })
    }
}
