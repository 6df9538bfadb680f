//! Planted mistakes of the losses of single entries, by formulas written down here.

use super::{Mistake, mistake, replace, with_settings, x};
use ndarray::{ArrayD, Zip};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

fn t(point: &Point) -> &ArrayD<f64> {
    point.operands.known(&Name::T)
}

/// Replaces the gradient of a sum by that of another slope.
fn slope(
    layer: &'static str,
    options: &'static str,
    what: &'static str,
    kind: &'static str,
    slope: fn(f64, f64) -> f64,
) -> Mistake {
    let gradient = move |point: &Point| Zip::from(x(point)).and(t(point)).map_collect(|&x, &t| slope(x, t));
    mistake(layer, options, what, kind, replace("dx", move |point, _| gradient(point)))
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let other = "another setting";
    let by_y = |change: fn(f64) -> f64| {
        replace("dy", move |point, evaluation| {
            evaluation.gradients.known(&Name::DY) * &point.operands.known(&Name::Y).mapv(change)
        })
    };
    vec![
        mistake(
            "mse",
            "reduction=mean",
            "divided by the batch size",
            other,
            with_settings("dx", "mse", &[("reduction", "batchmean")]),
        ),
        mistake(
            "mse",
            "reduction=batchmean",
            "divided by the number of entries",
            other,
            with_settings("dx", "mse", &[("reduction", "mean")]),
        ),
        slope("mse", "", "½ of the square", "factor ½", |x, t| x - t),
        slope("l1", "", "2·(x − t)", "gradient of mse", |x, t| 2.0 * (x - t)),
        mistake("l1", "reduction=mean", "a sum", other, with_settings("dx", "l1", &[])),
        slope("huber", "delta=0.5", "smooth-l1", "smooth-l1", |x, t| ((x - t) / 0.5).clamp(-1.0, 1.0)),
        slope("smooth-l1", "beta=0.5", "huber", "huber", |x, t| (x - t).clamp(-0.5, 0.5)),
        mistake("bce", "", "y − t", "gradient of the logits", by_y(|y| y * (1.0 - y))),
        slope("bce-logits", "", "σ left out", "sigmoid left out", |x, t| x - t),
        mistake(
            "bce-logits",
            "pos-weight=3",
            "pos-weight ignored",
            other,
            super::without_operand("bce-logits", Name::new("pos-weight")),
        ),
        mistake(
            "kl-div",
            "",
            "t taken for logarithms",
            other,
            with_settings("dx", "kl-div", &[("log-target", "true")]),
        ),
        mistake("kl-div", "log-target=true", "t taken for probabilities", other, with_settings("dx", "kl-div", &[])),
        mistake(
            "kl-div",
            "reduction=batchmean",
            "divided by the number of entries",
            other,
            with_settings("dx", "kl-div", &[("reduction", "mean")]),
        ),
    ]
}
