//! Planted mistakes of the normalisation layers, by formulas written down here.

use super::{Mistake, Plant, dout, gradient, mistake, replace, with_settings, x};
use ndarray::{ArrayD, IxDyn};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

/// Differences of a program from the layer.
#[derive(Clone, Copy, Default)]
struct Formula {
    /// No mean is subtracted.
    uncentred: bool,
    /// The divisor of the variance is n − 1.
    unbiased: bool,
    /// The root of the variance, plus eps.
    eps_outside: bool,
    /// 1e-5 if it is 0.
    eps: f64,
    forgets_mean: bool,
    forgets_variance: bool,
    forgets_gamma: bool,
}

/// Returns the number of an entry's group, of (N, C, …) or (N, D).
type GroupOf = fn(&[usize], usize) -> usize;

fn by_row(shape: &[usize], n: usize) -> usize {
    n / shape[shape.len() - 1]
}

fn by_column(shape: &[usize], n: usize) -> usize {
    n % shape[1]
}

fn by_channel(shape: &[usize], n: usize) -> usize {
    n / shape[2]
}

/// Two groups of two channels.
fn by_half(shape: &[usize], n: usize) -> usize {
    n / (2 * shape[2])
}

/// Returns dx by explicit sums over each group; gamma is by the last axis, or by axis 1 of three.
fn dx(formula: Formula, group_of: GroupOf, point: &Point) -> ArrayD<f64> {
    let (x, dout) = (x(point), dout(point));
    let shape = x.shape();
    let parameter = |n: usize| if shape.len() == 3 { n / shape[2] % shape[1] } else { n % shape[1] };
    let gamma: Vec<f64> = point.operands.known(&Name::new("gamma")).iter().copied().collect();
    let factor = |n: usize| if formula.forgets_gamma { 1.0 } else { gamma[parameter(n)] };
    let (x, dout): (Vec<f64>, Vec<f64>) = x.iter().copied().zip(dout.iter().copied()).unzip();
    let entry = |n: usize| {
        let group: Vec<usize> = (0..x.len()).filter(|&k| group_of(shape, k) == group_of(shape, n)).collect();
        let count = group.len() as f64;
        let mean = |term: &dyn Fn(usize) -> f64| group.iter().map(|&k| term(k)).sum::<f64>() / count;
        let centre = if formula.uncentred { 0.0 } else { mean(&|k| x[k]) };
        let divisor = if formula.unbiased { count - 1.0 } else { count };
        let variance = mean(&|k| (x[k] - centre).powi(2)) * count / divisor;
        let eps = if formula.eps == 0.0 { 1e-5 } else { formula.eps };
        let inside = (variance + eps).sqrt();
        let (root, std) = if formula.eps_outside { (variance.sqrt(), variance.sqrt() + eps) } else { (inside, inside) };
        let g = |k: usize| dout[k] * factor(k);
        let through_mean = if formula.uncentred || formula.forgets_mean { 0.0 } else { mean(&g) };
        let along = mean(&|k| g(k) * (x[k] - centre)) * count / divisor;
        let through_variance =
            if formula.forgets_variance { 0.0 } else { (x[n] - centre) * along / (std * std * root) };
        (g(n) - through_mean) / std - through_variance
    };
    ArrayD::from_shape_vec(IxDyn(shape), (0..x.len()).map(entry).collect()).unwrap()
}

fn plant(formula: Formula, group_of: GroupOf) -> Plant {
    replace("dx", move |point, _| dx(formula, group_of, point))
}

/// Returns the mistakes that all layers share that subtract a mean; eps is 0.01 in the second options.
fn centred(layer: &'static str, [options, with_eps]: [&'static str; 2], group_of: GroupOf) -> Vec<Mistake> {
    let right = Formula::default();
    let both = Formula { forgets_mean: true, forgets_variance: true, ..right };
    let outside = Formula { eps_outside: true, eps: 0.01, ..right };
    let wrong = |what, kind, formula| mistake(layer, options, what, kind, plant(formula, group_of));
    vec![
        wrong("variance with n − 1", "unbiased variance", Formula { unbiased: true, ..right }),
        mistake(layer, with_eps, "√var + eps", "eps outside the root", plant(outside, group_of)),
        wrong("mean as a constant", "mean as a constant", Formula { forgets_mean: true, ..right }),
        wrong("variance as a constant", "variance as a constant", Formula { forgets_variance: true, ..right }),
        wrong("both as constants", "mean and variance as constants", both),
        wrong("gamma left out of dx", "gamma left out", Formula { forgets_gamma: true, ..right }),
    ]
}

/// Replaces a running statistic, given the old and the right one.
fn replace_running(name: &'static str, wrong: impl Fn(&ArrayD<f64>, &ArrayD<f64>) -> ArrayD<f64> + 'static) -> Plant {
    let name = Name::new(name);
    Box::new(move |point, evaluation| {
        let wrong = wrong(point.operands.known(&name), evaluation.outputs.known(&name));
        evaluation.outputs.insert(name.clone(), wrong);
    })
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let right = Formula::default();
    let uncentred = Formula { uncentred: true, ..right };
    let outside = Formula { eps_outside: true, eps: 0.01, ..uncentred };
    let other = "mean subtracted or not";
    let one_plus = |layer| with_settings("dx", layer, &[("gamma-offset", "1")]);
    let running = "running-mean=3 running-var=3";
    // The right weight of the batch is 0.1, and the batch has four samples.
    let reversed = replace_running("running-mean", |old, right| (right - old * 0.9) / 0.1 * 0.9 + old * 0.1);
    let biased = replace_running("running-var", |old, right| (right - old * 0.9) * 0.75 + old * 0.9);
    let training = replace("dx", |point, _| {
        let mut operands = point.operands.clone();
        ["mean", "var"].into_iter().for_each(|name| _ = operands.take(&Name::new(name)));
        gradient("batchnorm", &[], &operands, dout(point), "dx")
    });
    let rms = |what, kind, formula| mistake("rmsnorm", "", what, kind, plant(formula, by_row));
    let groups = "groups=2 x=3x4x5";
    let own = vec![
        mistake("layernorm", "", "no mean subtracted", other, plant(uncentred, by_row)),
        mistake("layernorm", "", "1 + gamma", "another setting", one_plus("layernorm")),
        mistake("layernorm", "gamma-offset=1", "gamma alone", "another setting", with_settings("dx", "layernorm", &[])),
        rms("mean subtracted", other, right),
        mistake("rmsnorm", "eps=0.01", "√(mean x²) + eps", "eps outside the root", plant(outside, by_row)),
        rms("mean x² as a constant", "variance as a constant", Formula { forgets_variance: true, ..uncentred }),
        rms("gamma left out of dx", "gamma left out", Formula { forgets_gamma: true, ..uncentred }),
        mistake("rmsnorm", "", "1 + gamma", "another setting", one_plus("rmsnorm")),
        mistake(
            "groupnorm",
            groups,
            "one group",
            "another setting",
            with_settings("dx", "groupnorm", &[("groups", "1")]),
        ),
        mistake("batchnorm", "mean=3 var=3", "training for evaluation", "training in place of evaluation", training),
        mistake("batchnorm", running, "momentum 0.9 of the batch", "momentum reversed", reversed),
        mistake("batchnorm", running, "running variance of n", "running variance biased", biased),
    ];
    [
        centred("layernorm", ["", "eps=0.01"], by_row),
        centred("groupnorm", [groups, "groups=2 x=3x4x5 eps=0.01"], by_half),
        centred("instancenorm", ["x=2x3x5", "x=2x3x5 eps=0.01"], by_channel),
        centred("batchnorm", ["", "eps=0.01"], by_column),
        own,
    ]
    .into_iter()
    .flatten()
    .collect()
}
