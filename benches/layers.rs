//! Times of layers in memory: `cargo bench --bench layers`, or `-- softmax` for one of them.
//!
//! Prints milliseconds, and the ratio to a copy of the first operand on the same number of threads: medians of alternating runs,
//! without the time to free the result. `layers time softmax 2` prints the times of runs on two threads in seconds, one per line,
//! for benches/peers.py; `softmax-backward` is the backward pass alone, and `softmax-both` both passes.

#![allow(clippy::expect_used)] // a benchmark that cannot run ends with the message

use ndarray::{ArrayD, IxDyn};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{AnyLayer, Forward, Layer, Settings};
use nnlayer::parallel::{pages, scope};
use std::hint::black_box;
use std::time::Instant;

/// Values of an operand.
#[derive(Clone, Copy)]
enum Values {
    /// Evenly spread between −scale and scale.
    Spread(f64),
    /// Evenly spread between 0 and 1.
    Unit,
    /// Whole numbers below a count.
    Classes(usize),
}
use Values::{Classes, Spread, Unit};

/// A layer and its operands.
struct Row {
    name: &'static str,
    command: &'static str,
    settings: &'static [(&'static str, &'static str)],
    operands: &'static [(&'static str, &'static [usize], Values)],
}

const fn row(
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    operands: &'static [(&'static str, &'static [usize], Values)],
) -> Row {
    Row { name, command: name, settings, operands }
}

const BATCH: &[usize] = &[100_000, 1000];
const TOKENS: &[usize] = &[8192, 1024];
const IMAGES: &[usize] = &[16, 64, 56, 56];
const HEADS: &[usize] = &[8, 512, 64];

const LAYERS: [Row; 22] = [
    row("softmax", &[], &[("x", BATCH, Spread(10.0))]),
    Row { command: "softmax", ..row("log-softmax", &[("log", "true")], &[("x", BATCH, Spread(10.0))]) },
    row("softmax-xent", &[], &[("x", BATCH, Spread(10.0)), ("t", &[100_000], Classes(1000))]),
    Row {
        command: "softmax-xent",
        ..row("softmax-xent-dense", &[], &[("x", BATCH, Spread(10.0)), ("t", BATCH, Unit)])
    },
    row("xent", &[], &[("y", BATCH, Unit), ("t", &[100_000], Classes(1000))]),
    row("sigmoid", &[], &[("x", BATCH, Spread(10.0))]),
    row("tanh", &[], &[("x", BATCH, Spread(10.0))]),
    row("relu", &[], &[("x", BATCH, Spread(10.0))]),
    row("gelu", &[], &[("x", TOKENS, Spread(5.0))]),
    Row { command: "gelu", ..row("gelu-tanh", &[("approximate", "tanh")], &[("x", TOKENS, Spread(5.0))]) },
    row("silu", &[], &[("x", TOKENS, Spread(5.0))]),
    Row {
        command: "glu",
        ..row("swiglu", &[("activation", "silu")], &[("x", TOKENS, Spread(5.0)), ("gate", TOKENS, Spread(5.0))])
    },
    row("mse", &[], &[("x", TOKENS, Spread(5.0)), ("t", TOKENS, Spread(5.0))]),
    row("bce-logits", &[], &[("x", TOKENS, Spread(5.0)), ("t", TOKENS, Unit)]),
    row("layernorm", &[], &[("x", TOKENS, Spread(5.0)), ("gamma", &[1024], Unit), ("beta", &[1024], Unit)]),
    row("rmsnorm", &[], &[("x", TOKENS, Spread(5.0)), ("gamma", &[1024], Unit)]),
    row("batchnorm", &[], &[("x", IMAGES, Spread(5.0)), ("gamma", &[64], Unit), ("beta", &[64], Unit)]),
    row(
        "conv2d",
        &[("padding", "1")],
        &[("x", IMAGES, Spread(1.0)), ("w", &[64, 64, 3, 3], Spread(0.1)), ("b", &[64], Unit)],
    ),
    row("maxpool2d", &[("kernel", "2")], &[("x", IMAGES, Spread(5.0))]),
    row("attention", &[], &[("q", HEADS, Spread(1.0)), ("k", HEADS, Spread(1.0)), ("v", HEADS, Spread(1.0))]),
    row("embedding", &[], &[("w", &[32_000, 512], Spread(1.0)), ("ids", &[16, 512], Classes(32_000))]),
    row("affine", &[], &[("x", &[4096, 1024], Spread(1.0)), ("w", &[1024, 1024], Spread(0.03)), ("b", &[1024], Unit)]),
];

/// The passes that are timed together.
#[derive(Clone, Copy)]
enum Passes {
    Forward,
    Backward,
    Both,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [mode, work, count] = &words[..]
        && mode == "time"
    {
        let suffixes = [("-backward", Passes::Backward), ("-both", Passes::Both)];
        let suffixed = suffixes.into_iter().find_map(|(suffix, passes)| Some((work.strip_suffix(suffix)?, passes)));
        let (name, passes) = suffixed.unwrap_or((work, Passes::Forward));
        let row = LAYERS.iter().find(|row| row.name == name).expect("a name of the table");
        let work = Workload::new(row);
        return scope::with_thread_limit(count.parse().unwrap_or(1), || {
            (0..7).for_each(|_| println!("{}", work.seconds(passes)));
        });
    }
    println!("{:>28} {:>8} {:>10} {:>8}", "layer", "threads", "ms", "copies");
    for row in LAYERS.iter().filter(|row| words.is_empty() || words.iter().any(|word| word == row.name)) {
        let work = Workload::new(row);
        for count in [1, 2] {
            let measured = scope::with_thread_limit(count, || {
                [Passes::Forward, Passes::Backward].map(|passes| {
                    let runs: Vec<[f64; 2]> = (0..5).map(|_| [work.seconds(passes), work.copy_seconds()]).collect();
                    [0, 1].map(|which| median(runs.iter().map(|run| run[which]).collect()))
                })
            });
            for (suffix, [seconds, copy]) in ["", " backward"].into_iter().zip(measured) {
                let name = format!("{}{suffix}", row.name);
                println!("{name:>28} {count:>8} {:>10.1} {:>8.2}", seconds * 1e3, seconds / copy);
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns an array of deterministic values.
fn array(shape: &[usize], values: Values) -> ArrayD<f64> {
    let spread =
        |n: usize| (((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64).mul_add(2f64.powi(-52), -1.0);
    let mut entries = pages::zeros(shape.iter().product());
    entries.iter_mut().enumerate().for_each(|(n, entry)| {
        *entry = match values {
            Spread(scale) => scale * spread(n),
            Unit => 0.5 + 0.5 * spread(n),
            Classes(count) => (n * 7 % count) as f64,
        }
    });
    ArrayD::from_shape_vec(IxDyn(shape), entries).expect("as many")
}

/// A layer and a batch of operands.
struct Workload {
    layer: Box<dyn AnyLayer>,
    at: Tensors<f64>,
    run: Forward<f64>,
    dout: ArrayD<f64>,
}

impl Workload {
    fn new(row: &Row) -> Workload {
        let spec = layer::find(row.command).expect("a layer");
        let mut settings = Settings::default();
        for (option, text) in row.settings {
            let setting = spec.settings.iter().find(|setting| setting.name == *option).expect("a setting");
            settings.set(option, setting.parse(text).expect("a value"));
        }
        let layer = (spec.build)(&settings).expect("a layer");
        let mut at = Tensors::new();
        for &(name, shape, values) in row.operands {
            at.insert(Name::new(name), array(shape, values));
        }
        let run = forward(layer.as_ref(), &at);
        let dout = match layer.output_shape(&at) {
            shape if shape.is_empty() => ndarray::arr0(1.0).into_dyn(),
            shape => array(&shape, Spread(1.0)),
        };
        Workload { layer, at, run, dout }
    }

    fn seconds(&self, passes: Passes) -> f64 {
        let start = Instant::now();
        let run = (!matches!(passes, Passes::Backward)).then(|| black_box(forward(self.layer.as_ref(), &self.at)));
        let gradients = (!matches!(passes, Passes::Forward)).then(|| {
            let run = run.as_ref().unwrap_or(&self.run);
            black_box(Layer::<f64>::backward(self.layer.as_ref(), &self.at, &run, &self.dout).compute())
        });
        let taken = start.elapsed().as_secs_f64();
        drop((run, gradients));
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
