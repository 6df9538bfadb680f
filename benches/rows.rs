//! Times of layers on a batch in memory: `cargo bench --bench rows`, or `-- softmax` for one of them.
//!
//! Prints milliseconds, and the ratio to a copy on the same number of threads: medians of alternating runs, without the
//! time to free the result. `rows time softmax 2` prints the times of runs on two threads in seconds, one per line, for
//! benches/peers.py.

#![allow(clippy::expect_used)] // a benchmark that cannot run ends with the message

use ndarray::{Array1, Array2, ArrayD};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{AnyLayer, Forward, Layer, Settings};
use nnlayer::parallel::{pages, scope};
use std::hint::black_box;
use std::time::Instant;

const ROWS: usize = 100_000;
const WIDTH: usize = 1000;

/// Name in the table, layer and settings.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const LAYERS: [Row; 8] = [
    ("softmax", "softmax", &[]),
    ("log-softmax", "softmax", &[("log", "true")]),
    ("softmax-xent", "softmax-xent", &[]),
    ("softmax-xent-dense", "softmax-xent", &[]),
    ("xent", "xent", &[]),
    ("sigmoid", "sigmoid", &[]),
    ("tanh", "tanh", &[]),
    ("relu", "relu", &[]),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [mode, work, count] = &words[..]
        && mode == "time"
    {
        let (name, backward) = work.strip_suffix("-backward").map_or((work.as_str(), false), |name| (name, true));
        let work = Workload::new(name);
        return scope::with_thread_limit(count.parse().unwrap_or(1), || {
            (0..7).for_each(|_| println!("{}", work.seconds(backward)));
        });
    }
    println!("{:>28} {:>8} {:>10} {:>8}", format!("{ROWS}×{WIDTH}"), "threads", "ms", "copies");
    for (name, ..) in LAYERS.iter().filter(|(name, ..)| words.is_empty() || words.iter().any(|word| word == name)) {
        let work = Workload::new(name);
        for count in [1, 2] {
            let measured = scope::with_thread_limit(count, || {
                [false, true].map(|backward| {
                    let runs: Vec<[f64; 2]> = (0..5).map(|_| [work.seconds(backward), work.copy_seconds()]).collect();
                    [0, 1].map(|which| median(runs.iter().map(|run| run[which]).collect()))
                })
            });
            for (suffix, [seconds, copy]) in ["", " backward"].into_iter().zip(measured) {
                let name = format!("{name}{suffix}");
                println!("{name:>28} {count:>8} {:>10.1} {:>8.2}", seconds * 1e3, seconds / copy);
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A layer and a batch of operands.
struct Workload {
    layer: Box<dyn AnyLayer>,
    at: Tensors<f64>,
    run: Forward<f64>,
    dout: ArrayD<f64>,
}

impl Workload {
    fn new(name: &str) -> Workload {
        let (_, command, options) = LAYERS.iter().find(|(known, ..)| *known == name).expect("a name of the table");
        let spec = layer::find(command).expect("a layer");
        let mut settings = Settings::default();
        for (option, text) in *options {
            let setting = spec.settings.iter().find(|setting| setting.name == *option).expect("a setting");
            settings.set(option, setting.parse(text).expect("a value"));
        }
        let layer = (spec.build)(&settings).expect("a layer");
        let number =
            |n: usize| (((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64).mul_add(2f64.powi(-52), -1.0);
        let wave = |scale: f64| {
            let mut x = pages::zeros(ROWS * WIDTH);
            x.iter_mut().enumerate().for_each(|(n, x)| *x = scale * number(n));
            Array2::from_shape_vec((ROWS, WIDTH), x).expect("as many").into_dyn()
        };
        let mut at = Tensors::new();
        match *command {
            "xent" => at.insert(Name::Y, wave(0.5).mapv_into(|y| y + 0.5)),
            _ => at.insert(Name::X, wave(10.0)),
        }
        match name {
            "softmax-xent" | "xent" => {
                at.insert(Name::T, Array1::from_shape_fn(ROWS, |n| (n * 7 % WIDTH) as f64).into_dyn())
            }
            "softmax-xent-dense" => at.insert(Name::T, wave(0.5).mapv_into(|t| t + 0.5)),
            _ => {}
        }
        let run = forward(layer.as_ref(), &at);
        let dout = if spec.is_loss() { ndarray::arr0(1.0).into_dyn() } else { wave(1.0) };
        Workload { layer, at, run, dout }
    }

    fn seconds(&self, backward: bool) -> f64 {
        let start = Instant::now();
        if backward {
            let gradients =
                black_box(Layer::<f64>::backward(self.layer.as_ref(), &self.at, &&self.run, &self.dout).compute());
            let taken = start.elapsed().as_secs_f64();
            drop(gradients);
            return taken;
        }
        let run = black_box(forward(self.layer.as_ref(), &self.at));
        let taken = start.elapsed().as_secs_f64();
        drop(run);
        taken
    }

    /// Returns the seconds of a copy of the first operand.
    fn copy_seconds(&self) -> f64 {
        let x = self.at.iter().next().and_then(|(_, x)| x.as_slice()).expect("an operand");
        let start = Instant::now();
        let mut copy: Vec<f64> = pages::zeros(x.len());
        let each = x.len().div_ceil(scope::thread_limit());
        scope::map_parts(x.chunks(each).zip(copy.chunks_mut(each)).collect(), |(x, copy)| copy.copy_from_slice(x));
        let taken = start.elapsed().as_secs_f64();
        drop(black_box(copy));
        taken
    }
}

fn forward(layer: &dyn AnyLayer, at: &Tensors<f64>) -> Forward<f64> {
    Layer::<f64>::forward(layer, at)
}
