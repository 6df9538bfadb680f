//! Planted mistakes of the layers of sequences: attention, embedding, rope, dropout.

use super::{Mistake, mistake, replace};
use ndarray::{ArrayD, Axis};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

fn operand<'a>(point: &'a Point, name: &str) -> &'a ArrayD<f64> {
    point.operands.known(&Name::new(name))
}

fn dout(point: &Point) -> &ArrayD<f64> {
    point.dout.as_ref().unwrap()
}

/// Returns the gradient of an embedding that writes rows of dout by a rule.
fn scattered(point: &Point, write: impl Fn(f64, f64) -> f64) -> ArrayD<f64> {
    let mut dw = ArrayD::zeros(operand(point, "w").raw_dim());
    let width = dw.shape()[1];
    let rows = dout(point).to_shape((operand(point, "ids").len(), width)).unwrap().to_owned();
    for (row, &id) in rows.rows().into_iter().zip(operand(point, "ids")) {
        let mut to = dw.index_axis_mut(Axis(0), id as usize);
        to.iter_mut().zip(row).for_each(|(to, &from)| *to = write(*to, from));
    }
    dw
}

/// Returns rows rotated by `sign`·position·base^(−2i/r).
fn rotated(x: &ArrayD<f64>, base: f64, is_interleaved: bool, sign: f64, first: f64) -> ArrayD<f64> {
    let mut y = x.clone();
    for (l, mut row) in y.rows_mut().into_iter().enumerate() {
        let r = row.len();
        for i in 0..r / 2 {
            let (a, b) = if is_interleaved { (2 * i, 2 * i + 1) } else { (i, i + r / 2) };
            let angle = sign * (l as f64 + first) * base.powf(-2.0 * i as f64 / r as f64);
            let (x1, x2) = (row[a], row[b]);
            row[a] = x1 * angle.cos() - x2 * angle.sin();
            row[b] = x2 * angle.cos() + x1 * angle.sin();
        }
    }
    y
}

fn rope(options: &'static str, what: &'static str, kind: &'static str, base: f64, wrong: (bool, f64, f64)) -> Mistake {
    let (is_interleaved, sign, first) = wrong;
    let gradient = move |point: &Point, _: &_| rotated(dout(point), base, is_interleaved, sign, first);
    mistake("rope", options, what, kind, replace("dx", gradient))
}

fn dropout(options: &'static str, what: &'static str, kind: &'static str, factor: fn(f64) -> f64) -> Mistake {
    mistake(
        "dropout",
        options,
        what,
        kind,
        replace("dx", move |point, _| dout(point) * operand(point, "mask").mapv(factor)),
    )
}

/// A planted attention.
#[derive(Clone, Copy)]
struct Attention {
    scale: f64,
    /// Number of keys that the first row sees, each row after it one more; all if none.
    causal: Option<usize>,
    /// The value of a mask of 0 and 1 for keys that take part.
    takes_part: f64,
    /// Heads of each group that count for k and v.
    counted: fn(usize) -> bool,
}

const RIGHT: Attention = Attention { scale: 0.5, causal: None, takes_part: 1.0, counted: |_| true };

/// Returns dq, dk and dv of attention with heads in axis 0 of q, that share the only head of k and v.
fn attention(point: &Point, name: &str, plan: Attention) -> ArrayD<f64> {
    let three = |a: &ArrayD<f64>| {
        let shape =
            if a.ndim() == 2 { [1, a.shape()[0], a.shape()[1]] } else { [a.shape()[0], a.shape()[1], a.shape()[2]] };
        a.to_shape(shape).unwrap().to_owned()
    };
    let [q, k, v] = ["q", "k", "v"].map(|name| three(operand(point, name)));
    let dout = three(dout(point));
    let (mut dq, mut dk, mut dv) = (q.clone() * 0.0, k.clone() * 0.0, v.clone() * 0.0);
    let (k, v) = (k.index_axis(Axis(0), 0), v.index_axis(Axis(0), 0));
    for h in 0..q.shape()[0] {
        for l in 0..q.shape()[1] {
            let takes_part = |s: usize| {
                let mask = point.operands.get(&Name::fixed("mask")).map_or(plan.takes_part, |mask| mask[[l, s]]);
                plan.causal.is_none_or(|first| s < first + l) && mask == plan.takes_part
            };
            let keys: Vec<usize> = (0..k.shape()[0]).filter(|&s| takes_part(s)).collect();
            let query = q.slice(ndarray::s![h, l, ..]);
            let power = |s: &usize| (query.dot(&k.row(*s)) * plan.scale).exp();
            let sum: f64 = keys.iter().map(power).sum();
            let upstream = dout.slice(ndarray::s![h, l, ..]);
            let dp = |s: &usize| upstream.dot(&v.row(*s));
            let mean: f64 = keys.iter().map(|s| power(s) / sum * dp(s)).sum();
            for s in &keys {
                let (p, counts) = (power(s) / sum, f64::from((plan.counted)(h)));
                let ds = p * (dp(s) - mean) * plan.scale;
                dq.slice_mut(ndarray::s![h, l, ..]).scaled_add(ds, &k.row(*s));
                dk.slice_mut(ndarray::s![0, *s, ..]).scaled_add(counts * ds, &query);
                dv.slice_mut(ndarray::s![0, *s, ..]).scaled_add(counts * p, &upstream);
            }
        }
    }
    let gradient = match name {
        "dq" => dq,
        "dk" => dk,
        _ => dv,
    };
    let of = operand(point, &name[1..]);
    gradient.into_shape_with_order(of.raw_dim()).unwrap().into_dyn()
}

fn attends(
    options: &'static str,
    what: &'static str,
    kind: &'static str,
    name: &'static str,
    plan: Attention,
) -> Mistake {
    mistake("attention", options, what, kind, replace(name, move |point, _| attention(point, name, plan)))
}

fn attention_mistakes() -> Vec<Mistake> {
    const OTHER: &str = "another setting";
    const GROUP: &str = "q=2x3x4 k=1x5x4 v=1x5x3";
    vec![
        attends("", "no scale", "scale left out", "dq", Attention { scale: 1.0, ..RIGHT }),
        attends("", "the scale twice", "scaled twice", "dk", Attention { scale: 0.25, ..RIGHT }),
        attends(
            "causal=top-left q=4x4 k=6x4 v=6x3",
            "bottom-right",
            OTHER,
            "dv",
            Attention { causal: Some(3), ..RIGHT },
        ),
        attends(
            "causal=bottom-right q=4x4 k=6x4 v=6x3",
            "top-left",
            OTHER,
            "dv",
            Attention { causal: Some(1), ..RIGHT },
        ),
        attends("causal=top-left q=4x4 k=6x4 v=6x3", "no causal mask", OTHER, "dq", RIGHT),
        attends("mask-kind=boolean mask=5x6", "True ignored", OTHER, "dk", Attention { takes_part: 0.0, ..RIGHT }),
        attends("mask-kind=boolean mask-true=ignore mask=5x6", "True takes part", OTHER, "dv", RIGHT),
        attends(
            GROUP,
            "the last head of a group",
            "not summed over the group",
            "dk",
            Attention { counted: |h| h == 1, ..RIGHT },
        ),
        attends(
            GROUP,
            "the last head of a group",
            "not summed over the group",
            "dv",
            Attention { counted: |h| h == 1, ..RIGHT },
        ),
        attends(
            GROUP,
            "the first head of a group",
            "only the first of the group",
            "dv",
            Attention { counted: |h| h == 0, ..RIGHT },
        ),
    ]
}

pub(super) fn mistakes() -> Vec<Mistake> {
    const OTHER: &str = "another setting";
    let mut all = attention_mistakes();
    all.extend([
        mistake(
            "embedding",
            "",
            "duplicates overwritten",
            "duplicates overwritten",
            replace("dw", |point, _| scattered(point, |_, from| from)),
        ),
        mistake(
            "embedding",
            "ids=:1,0;1,2 padding-id=1",
            "gradient of --padding-id kept",
            "gradient of padding kept",
            replace("dw", |point, _| scattered(point, |to, from| to + from)),
        ),
        rope("", "interleaved pairs for halves", OTHER, 1e4, (true, -1.0, 0.0)),
        rope("pairs=interleaved", "halves for interleaved pairs", OTHER, 1e4, (false, -1.0, 0.0)),
        rope("", "dout rotated forward", "rotated the wrong way", 1e4, (false, 1.0, 0.0)),
        rope("base=500", "base 10000", OTHER, 1e4, (false, -1.0, 0.0)),
        rope("x=9x4", "base 500000", OTHER, 5e5, (false, -1.0, 0.0)),
        rope("", "positions from 1", "positions from 1", 1e4, (false, -1.0, 1.0)),
        dropout("", "no 1/(1 − p)", "not divided by 1 − p", |kept| kept),
        dropout("p=0.25", "1/p", "divided by p", |kept| 4.0 * kept),
        dropout("", "mask inverted", "mask inverted", |kept| 2.0 * (1.0 - kept)),
    ]);
    all
}
