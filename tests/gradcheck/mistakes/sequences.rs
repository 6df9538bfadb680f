//! Planted mistakes of the layers of sequences: embedding, rope, dropout.

use super::{Mistake, mistake, replace};
use ndarray::{ArrayD, Axis};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

fn operand<'a>(point: &'a Point, name: &'static str) -> &'a ArrayD<f64> {
    point.operands.known(&Name::fixed(name))
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

pub(super) fn mistakes() -> Vec<Mistake> {
    const OTHER: &str = "another setting";
    vec![
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
        rope("base=500", "base 10000", "base 10000", 1e4, (false, -1.0, 0.0)),
        rope("x=9x4", "base 500000", "base 500000", 5e5, (false, -1.0, 0.0)),
        rope("", "positions from 1", "positions from 1", 1e4, (false, -1.0, 1.0)),
        dropout("", "no 1/(1 − p)", "not divided by 1 − p", |kept| kept),
        dropout("p=0.25", "1/p", "divided by p", |kept| 4.0 * kept),
        dropout("", "mask inverted", "mask inverted", |kept| 2.0 * (1.0 - kept)),
    ]
}
