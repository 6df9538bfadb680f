//! `nnlayer gradcheck` and `--check`: right layers pass, wrong ones fail with the kind of their mistake.

use ndarray::{Array2, ArrayD, Axis, Ix2};
use nnlayer::check;
use nnlayer::check::{
    BuiltinLayer, Case, CheckOptions, CheckReport, Evaluation, Implementation, Point, Verdict, inputs,
};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::rng::SplitMix64;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{LAYERS, Precision, Settings};
use std::fmt::Write;

/// A layer of nnlayer's, its reply spoilt, as if it were somebody's program.
struct Spoilt<'a> {
    layer: &'a dyn layer::AnyLayer,
    precision: Precision,
    spoil: &'a dyn Fn(&Point, &mut Evaluation),
}

impl Implementation for Spoilt<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let answer = |point: &Point| {
            let outcome = layer::compute(self.layer, &point.operands, point.dout.as_ref(), self.precision);
            let mut reply = Evaluation { outputs: outcome.results, gradients: outcome.gradients };
            if point.dout.is_some() {
                (self.spoil)(point, &mut reply);
            }
            let rounded = |v: &f64| check::round_to(*v, self.precision);
            Evaluation { outputs: reply.outputs.map(rounded), gradients: reply.gradients.map(rounded) }
        };
        Ok(points.iter().map(answer).collect())
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// A layer with settings and shapes, as on a command line.
fn case(command: &str, options: &str, precision: Precision, seed: u64) -> (Case, Settings) {
    let spec = layer::find(command).unwrap();
    let mut settings = Settings::default();
    let (mut shapes, mut given) = (Vec::new(), Tensors::new());
    for option in options.split_whitespace() {
        let (name, text) = option.split_once('=').unwrap();
        if let Some(setting) = spec.settings.iter().find(|setting| setting.name == name) {
            settings.set(setting.name, setting.parse(text).unwrap());
        } else if let Some(values) = text.strip_prefix(':') {
            let rows: Vec<Vec<f64>> =
                values.split(';').map(|row| row.split(',').map(|v| v.parse().unwrap()).collect()).collect();
            let matrix = Array2::from_shape_fn((rows.len(), rows[0].len()), |(n, k)| rows[n][k]);
            given.insert(Name::new(name), matrix.into_dyn());
        } else {
            shapes.push(inputs::parse_shape(option).unwrap());
        }
    }
    let mut rng = SplitMix64::new(seed);
    let at = inputs::draw_operands(spec, &settings, &given, &shapes, &mut rng).unwrap();
    let layer = (spec.build)(&settings).unwrap();
    let shape = layer.output_shape(&at);
    let dout = if shape.is_empty() { None } else { Some(inputs::draw_numbers(&shape, &mut rng)) };
    (Case::new(spec, &settings, &at, dout.as_ref(), precision).unwrap(), settings)
}

fn judge(command: &str, options: &str, precision: Precision, spoil: &dyn Fn(&Point, &mut Evaluation)) -> CheckReport {
    let (case, settings) = case(command, options, precision, 1);
    let layer = (layer::find(command).unwrap().build)(&settings).unwrap();
    let mut subject = Spoilt { layer: layer.as_ref(), precision, spoil };
    check::check(&mut subject, &case, &CheckOptions::new(&case, 1, false)).unwrap()
}

/// Another gradient in the place of one.
fn put(reply: &mut Evaluation, name: &Name, change: impl FnOnce(ArrayD<f64>) -> ArrayD<f64>) {
    let value = change(reply.gradients.take(name).unwrap());
    reply.gradients.insert(name.clone(), value);
}

/// The reply of a layer with other settings or operands.
fn instead(command: &str, options: &[(&str, &str)], at: Tensors<f64>, dout: ArrayD<f64>) -> Evaluation {
    let spec = layer::find(command).unwrap();
    let mut settings = Settings::default();
    for (name, text) in options {
        let setting = spec.settings.iter().find(|setting| setting.name == *name).unwrap();
        settings.set(setting.name, setting.parse(text).unwrap());
    }
    let layer = (spec.build)(&settings).unwrap();
    let outcome = layer::compute(layer.as_ref(), &at, Some(&dout), Precision::F64);
    Evaluation { outputs: outcome.results, gradients: outcome.gradients }
}

fn matrix(value: &ArrayD<f64>) -> Array2<f64> {
    value.clone().into_dimensionality::<Ix2>().unwrap()
}

fn t(value: &ArrayD<f64>) -> ArrayD<f64> {
    value.t().as_standard_layout().into_owned()
}

fn softmax(x: &ArrayD<f64>, axis: usize) -> ArrayD<f64> {
    let mut y = x.mapv(f64::exp);
    for mut lane in y.lanes_mut(Axis(axis)) {
        let sum = lane.sum();
        lane.mapv_inplace(|v| v / sum);
    }
    y
}

type Spoil = Box<dyn Fn(&Point, &mut Evaluation)>;

/// A planted mistake: layer, options, what was done, the kind that the check has to name.
struct Wrong {
    layer: &'static str,
    options: &'static str,
    what: &'static str,
    kind: &'static str,
    spoil: Spoil,
}

fn wrong(
    layer: &'static str,
    options: &'static str,
    what: &'static str,
    kind: &'static str,
    spoil: impl Fn(&Point, &mut Evaluation) + 'static,
) -> Wrong {
    Wrong { layer, options, what, kind, spoil: Box::new(spoil) }
}

fn scaled(name: Name, factor: f64) -> impl Fn(&Point, &mut Evaluation) + 'static {
    move |_, reply| put(reply, &name, |g| g * factor)
}

const SOFT: &str = "x=5x3";
const UNNORMALISED: &str = "t=:0,0,2;1,1,0;0.5,0,0;0,1,0 x=4x3";

fn affine_mistakes() -> Vec<Wrong> {
    vec![
        wrong("affine", "", "db = dout, not summed", "not summed over the batch", |point, reply| {
            reply.gradients.insert(Name::DB, point.dout.clone().unwrap());
        }),
        wrong("affine", "x=7x2 w=2x3", "db summed to one number", "not summed over the batch", |_, reply| {
            put(reply, &Name::DB, |g| ndarray::arr0(g.sum()).into_dyn());
        }),
        wrong("affine", "", "db as a matrix of one row", "wrong shape", |_, reply| {
            put(reply, &Name::DB, |g| g.insert_axis(Axis(0)));
        }),
        wrong("affine", "", "dw transposed", "wrong shape", |_, reply| put(reply, &Name::DW, |g| t(&g))),
        wrong("affine", "", "dx transposed", "wrong shape", |_, reply| put(reply, &Name::DX, |g| t(&g))),
        wrong("affine", "x=4x3 w=3x3", "dw of a square W transposed", "transposed", |_, reply| {
            put(reply, &Name::DW, |g| t(&g));
        }),
        wrong("affine", "x=4x3 w=3x3", "dx = dout·W", "W in place of Wᵀ", |point, reply| {
            let dout = matrix(point.dout.as_ref().unwrap());
            reply.gradients.insert(Name::DX, dout.dot(&matrix(point.operands.known(&Name::W))).into_dyn());
        }),
        wrong("affine", "x=3x3 w=3x2", "dw = x·dout", "W in place of Wᵀ", |point, reply| {
            let dout = matrix(point.dout.as_ref().unwrap());
            reply.gradients.insert(Name::DW, matrix(point.operands.known(&Name::X)).dot(&dout).into_dyn());
        }),
        wrong("affine", "", "dw divided by the batch", "constant factor", scaled(Name::DW, 0.25)),
        wrong("affine", "x=6x2 w=2x5", "db divided by the batch", "constant factor", scaled(Name::DB, 1.0 / 6.0)),
        wrong("affine", "", "dw times 1.01", "constant factor", scaled(Name::DW, 1.01)),
        wrong("affine", "", "dx with the wrong sign", "wrong sign", scaled(Name::DX, -1.0)),
        wrong("affine", "", "dw all zero", "all zero", scaled(Name::DW, 0.0)),
        wrong("affine", "", "dx without dout", "dout ignored", |point, reply| {
            let ones = point.dout.as_ref().unwrap().mapv(|_| 1.0);
            let other = instead("affine", &[], point.operands.clone(), ones);
            reply.gradients.insert(Name::DX, other.gradients.known(&Name::DX).clone());
        }),
        wrong("affine", "", "dw: one row wrong", "one row wrong", |_, reply| {
            put(reply, &Name::DW, |mut g| {
                g.index_axis_mut(Axis(0), 1).fill(0.5);
                g
            });
        }),
        wrong("affine", "", "dw: one column wrong", "one column wrong", |_, reply| {
            put(reply, &Name::DW, |mut g| {
                g.index_axis_mut(Axis(1), 4).fill(0.5);
                g
            });
        }),
        wrong("affine", "", "dx: one entry off by 1 %", "one entry wrong", |_, reply| {
            put(reply, &Name::DX, |mut g| {
                g[[2, 1]] *= 1.01;
                g
            });
        }),
        wrong("affine", "", "dx: rows in reverse", "rows in another order", |_, reply| {
            put(reply, &Name::DX, |g| g.select(Axis(0), &[3, 2, 1, 0]));
        }),
        wrong("affine", "", "dx: rows shifted by one", "rows in another order", |_, reply| {
            put(reply, &Name::DX, |g| g.select(Axis(0), &[1, 2, 3, 0]));
        }),
        wrong("affine", "w-layout=out-in", "dw transposed", "wrong shape", |_, reply| put(reply, &Name::DW, |g| t(&g))),
    ]
}

/// dx of softmax by y, without the sum over the others, and so on.
fn softmax_mistakes() -> Vec<Wrong> {
    vec![
        wrong("softmax", "", "only the diagonal of the Jacobian", "diagonal of the Jacobian", |point, reply| {
            let y = reply.outputs.known(&Name::Y).clone();
            reply.gradients.insert(Name::DX, point.dout.as_ref().unwrap() * &y * (1.0 - &y));
        }),
        wrong(
            "softmax",
            "axis=0",
            "only the diagonal, down the columns",
            "diagonal of the Jacobian",
            |point, reply| {
                let y = reply.outputs.known(&Name::Y).clone();
                reply.gradients.insert(Name::DX, point.dout.as_ref().unwrap() * &y * (1.0 - &y));
            },
        ),
        wrong("softmax", "", "over the wrong axis", "softmax over the wrong axis", |point, reply| {
            *reply = Evaluation {
                gradients: instead("softmax", &[("axis", "0")], point.operands.clone(), point.dout.clone().unwrap())
                    .gradients,
                outputs: reply.outputs.clone(),
            };
        }),
        wrong("softmax", "axis=0", "along rows in place of columns", "softmax over the wrong axis", |point, reply| {
            let other = instead("softmax", &[], point.operands.clone(), point.dout.clone().unwrap());
            reply.gradients = other.gradients;
        }),
        wrong("softmax", SOFT, "softmax applied twice", "softmax applied twice", |point, reply| {
            let at = Tensors::new().with(Name::X, reply.outputs.known(&Name::Y).clone());
            reply.gradients = instead("softmax", &[], at, point.dout.clone().unwrap()).gradients;
        }),
        wrong("softmax", "", "dout ignored", "dout ignored", |_, reply| put(reply, &Name::DX, |g| g * 0.0)),
        wrong("softmax", "", "the gradient of log-softmax", "another setting", |point, reply| {
            let other = instead("softmax", &[("log", "true")], point.operands.clone(), point.dout.clone().unwrap());
            reply.gradients = other.gradients;
        }),
        wrong("softmax", "log=true", "the gradient of softmax itself", "another setting", |point, reply| {
            reply.gradients = instead("softmax", &[], point.operands.clone(), point.dout.clone().unwrap()).gradients;
        }),
        wrong("softmax", "x=3x3", "dx transposed", "transposed", |_, reply| put(reply, &Name::DX, |g| t(&g))),
        wrong("softmax", "x=4", "one sample as a matrix", "wrong shape", |_, reply| {
            put(reply, &Name::DX, |g| g.insert_axis(Axis(0)));
        }),
    ]
}

fn loss_mistakes() -> Vec<Wrong> {
    let mean = "reduction=mean";
    let logits = |point: &Point, reply: &mut Evaluation, y: &ArrayD<f64>| {
        let _ = point;
        let right = reply.outputs.known(&Name::Y).clone();
        put(reply, &Name::DX, |g| g + (y - &right));
    };
    vec![
        wrong("softmax-xent", mean, "not divided by the batch", "another setting", scaled(Name::DX, 4.0)),
        wrong("softmax-xent", "", "divided by the batch", "another setting", scaled(Name::DX, 0.25)),
        wrong("softmax-xent", mean, "divided by the batch twice", "constant factor", scaled(Name::DX, 0.25)),
        wrong("softmax-xent", mean, "divided by the class count", "constant factor", scaled(Name::DX, 4.0 / 3.0)),
        wrong("softmax-xent", "", "the sum over the class count", "constant factor", scaled(Name::DX, 1.0 / 3.0)),
        wrong("softmax-xent", "t-kind=index", "t − y", "wrong sign", scaled(Name::DX, -1.0)),
        wrong("softmax-xent", "", "softmax down the columns", "softmax over the wrong axis", move |point, reply| {
            let y = softmax(point.operands.known(&Name::X), 0);
            logits(point, reply, &y);
        }),
        wrong("softmax-xent", SOFT, "softmax applied twice", "softmax applied twice", move |point, reply| {
            let y = softmax(&reply.outputs.known(&Name::Y).clone(), 1);
            logits(point, reply, &y);
        }),
        wrong("softmax-xent", "", "x − t", "softmax left out", move |point, reply| {
            let x = point.operands.known(&Name::X).clone();
            logits(point, reply, &x);
        }),
        wrong("softmax-xent", UNNORMALISED, "y − t, targets of any sum", "unnormalised targets", |point, reply| {
            let y = reply.outputs.known(&Name::Y).clone();
            reply.gradients.insert(Name::DX, y - point.operands.known(&Name::T));
        }),
        wrong("softmax-xent", "label-smoothing=0.1", "smoothing ignored", "another setting", |point, reply| {
            let ones = point.dout.clone().unwrap();
            reply.gradients = instead("softmax-xent", &[], point.operands.clone(), ones).gradients;
        }),
        wrong("softmax-xent", "weight=3", "class weights ignored", "another setting", |point, reply| {
            let mut at = point.operands.clone();
            at.take(&Name::WEIGHT);
            reply.gradients = instead("softmax-xent", &[], at, point.dout.clone().unwrap()).gradients;
        }),
        wrong("softmax-xent", "reduction=none", "dout ignored", "dout ignored", |point, reply| {
            let ones = point.dout.as_ref().unwrap().mapv(|_| 1.0);
            let other = instead("softmax-xent", &[("reduction", "none")], point.operands.clone(), ones);
            reply.gradients = other.gradients;
        }),
        wrong("xent", "", "dy without eps", "eps", |point, reply| {
            let ones = point.dout.clone().unwrap();
            let other = instead("xent", &[("eps", "0")], point.operands.clone(), ones);
            reply.gradients.insert(Name::DY, other.gradients.known(&Name::DY).clone());
        }),
        wrong("xent", "", "dy with eps 1e-7", "eps", |point, reply| {
            let other = instead("xent", &[("eps", "1e-7")], point.operands.clone(), point.dout.clone().unwrap());
            reply.gradients.insert(Name::DY, other.gradients.known(&Name::DY).clone());
        }),
        wrong("xent", "", "dy = t/(y + eps)", "wrong sign", scaled(Name::DY, -1.0)),
        wrong("xent", mean, "dx not divided by the batch", "another setting", scaled(Name::DX, 4.0)),
        wrong("xent", mean, "dy divided by the class count", "constant factor", scaled(Name::DY, 4.0 / 3.0)),
        wrong("xent", "", "dx of one row wrong", "one row wrong", |_, reply| {
            put(reply, &Name::DX, |mut g| {
                g.index_axis_mut(Axis(0), 2).fill(0.125);
                g
            });
        }),
    ]
}

fn elementwise_mistakes() -> Vec<Wrong> {
    vec![
        wrong("relu", "", "dout passes everywhere", "", |point, reply| {
            reply.gradients.insert(Name::DX, point.dout.clone().unwrap());
        }),
        wrong("relu", "", "dout ignored", "dout ignored", |point, reply| {
            reply.gradients.insert(Name::DX, point.operands.known(&Name::X).mapv(|x| if x > 0.0 { 1.0 } else { 0.0 }));
        }),
        wrong("sigmoid", "", "dout·x·(1 − x)", "", |point, reply| {
            let x = point.operands.known(&Name::X).clone();
            reply.gradients.insert(Name::DX, point.dout.as_ref().unwrap() * &x * (1.0 - &x));
        }),
        wrong("sigmoid", "x=6", "applied twice", "softmax applied twice", |point, reply| {
            let at = Tensors::new().with(Name::X, reply.outputs.known(&Name::Y).clone());
            reply.gradients = instead("sigmoid", &[], at, point.dout.clone().unwrap()).gradients;
        }),
        wrong("tanh", "", "1 − y², dout forgotten", "dout ignored", |_, reply| {
            let y = reply.outputs.known(&Name::Y).clone();
            reply.gradients.insert(Name::DX, 1.0 - &y * &y);
        }),
        wrong("tanh", "", "all zero", "all zero", |_, reply| put(reply, &Name::DX, |g| g * 0.0)),
    ]
}

fn mistakes() -> Vec<Wrong> {
    [affine_mistakes(), softmax_mistakes(), loss_mistakes(), elementwise_mistakes()].into_iter().flatten().collect()
}

/// Right layers: every one, its settings, shapes of every rank.
const RIGHT: &[(&str, &str)] = &[
    ("affine", ""),
    ("affine", "x=3 w=3x2"),
    ("affine", "x=9x4 w=4x2 b="),
    ("affine", "w-layout=out-in"),
    ("affine", "x=1x1 w=1x1"),
    ("softmax", ""),
    ("softmax", "x=5"),
    ("softmax", "axis=0"),
    ("softmax", "log=true"),
    ("softmax", "log=true axis=0 x=2x7"),
    ("softmax", "x=:30,0,-30;1,2,300"),
    ("xent", ""),
    ("xent", "reduction=mean"),
    ("xent", "reduction=none"),
    ("xent", "eps=1e-7"),
    ("xent", "eps=0"),
    ("xent", "t-kind=index"),
    ("softmax-xent", ""),
    ("softmax-xent", "x=4 t=4"),
    ("softmax-xent", "reduction=mean weight=3"),
    ("softmax-xent", "reduction=none label-smoothing=0.1"),
    ("softmax-xent", "t-kind=index reduction=mean weight=3 label-smoothing=0.2"),
    ("softmax-xent", "ignore-index=1 reduction=mean"),
    ("softmax-xent", "t=:1,0,0;0,1,0 x=:30,0,1;-3,40,2"),
    ("softmax-xent", UNNORMALISED),
    ("relu", ""),
    ("relu", "x=:0,1,-1;0,-0.5,2"),
    ("relu", "x="),
    ("sigmoid", ""),
    ("sigmoid", "x=:40,-40,0,700"),
    ("tanh", ""),
    ("tanh", "x=:1e-9,20,-20,0"),
];

const PRECISIONS: [(Precision, &str); 2] = [(Precision::F64, "f64"), (Precision::F32, "f32")];

fn outline(checked: &CheckReport) -> String {
    let finding = |finding: &check::Finding| {
        let kinds: Vec<&str> = finding.diagnoses.iter().map(|diagnosis| diagnosis.kind).collect();
        format!(
            "{} against {:?}: {:?} {kinds:?} {:?} {:?}",
            finding.result, finding.baseline, finding.verdict, finding.worst, finding.notes
        )
    };
    checked.findings.iter().map(finding).collect::<Vec<_>>().join("\n  ")
}

fn kinds(checked: &CheckReport) -> Vec<&'static str> {
    checked.findings.iter().flat_map(|finding| &finding.diagnoses).map(|diagnosis| diagnosis.kind).collect()
}

#[test]
fn every_planted_mistake_fails_with_its_kind() {
    let all = mistakes();
    assert!(all.len() >= 40);
    let mut missed = String::new();
    for mistake in &all {
        for (precision, name) in PRECISIONS {
            // The difference that eps makes beside 1e-10 is there only in double precision.
            let checked = judge(mistake.layer, mistake.options, precision, &mistake.spoil);
            let named = kinds(&checked);
            if checked.verdict() != Verdict::Fail || !(mistake.kind.is_empty() || named.contains(&mistake.kind)) {
                let _ = writeln!(
                    missed,
                    "{} {} ({name}), {}: wanted {}\n  {}",
                    mistake.layer,
                    mistake.options,
                    mistake.what,
                    mistake.kind,
                    outline(&checked)
                );
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
}

#[test]
fn every_right_layer_passes_in_both_precisions() {
    let mut accused = String::new();
    for (layer, options) in RIGHT {
        for (precision, name) in PRECISIONS {
            let foreign = judge(layer, options, precision, &|_, _| {});
            let (case, settings) = case(layer, options, precision, 1);
            let built = (layer::find(layer).unwrap().build)(&settings).unwrap();
            let mut own = BuiltinLayer { layer: built.as_ref(), precision };
            let own = check::check(&mut own, &case, &CheckOptions::new(&case, 1, true)).unwrap();
            for (checked, who) in [(foreign, "as a program"), (own, "as nnlayer's own")] {
                if checked.verdict() != Verdict::Pass {
                    let _ = writeln!(accused, "{layer} {options} ({name}) {who}\n  {}", outline(&checked));
                }
            }
        }
    }
    assert!(accused.is_empty(), "{accused}");
}

#[test]
fn no_right_program_is_accused_by_differences_alone_whatever_is_drawn() {
    let mut accused = String::new();
    for (layer, options) in RIGHT {
        for (precision, name) in PRECISIONS {
            for seed in 2..12 {
                let (mut case, settings) = case(layer, options, precision, seed);
                case.reference = None;
                case.targets.retain(|target| target.surrogate.is_none());
                let layer_built = (layer::find(layer).unwrap().build)(&settings).unwrap();
                let mut subject = Spoilt { layer: layer_built.as_ref(), precision, spoil: &|_, _| {} };
                let checked = check::check(&mut subject, &case, &CheckOptions::new(&case, seed, false)).unwrap();
                if checked.verdict() == Verdict::Fail {
                    let _ = writeln!(accused, "{layer} {options} ({name}), seed {seed}\n  {}", outline(&checked));
                }
            }
        }
    }
    assert!(accused.is_empty(), "{accused}");
}

#[test]
fn every_layer_is_among_the_right_ones_and_the_wrong_ones() {
    let wrong = mistakes();
    for spec in LAYERS {
        assert!(RIGHT.iter().any(|(layer, _)| *layer == spec.name), "{}", spec.name);
        assert!(wrong.iter().any(|mistake| mistake.layer == spec.name), "{}", spec.name);
    }
    for mistake in check::MISTAKES {
        assert!(wrong.iter().any(|planted| planted.kind == mistake.kind), "nothing planted is {}", mistake.kind);
    }
}

/// Both tables, as `docs/gradcheck.md` shows them.
fn tables() -> String {
    let mut text = String::from("| layer | wrong | kind |\n|---|---|---|\n");
    let code = |options: &str| if options.is_empty() { String::new() } else { format!(" `{options}`") };
    for mistake in mistakes() {
        let kind = if mistake.kind.is_empty() { "only that it is wrong" } else { mistake.kind };
        let _ = writeln!(text, "| {}{} | {} | {kind} |", mistake.layer, code(mistake.options), mistake.what);
    }
    text.push_str("\n| layer | right |\n|---|---|\n");
    for spec in LAYERS {
        let options: Vec<String> =
            RIGHT.iter().filter(|(layer, _)| *layer == spec.name).map(|(_, options)| code(options)).collect();
        let named: Vec<&str> =
            options.iter().map(|options| if options.is_empty() { "as drawn" } else { options.trim() }).collect();
        let _ = writeln!(text, "| {} | {} |", spec.name, named.join(" · "));
    }
    text
}

#[test]
fn the_page_shows_what_is_tested() {
    let path = format!("{}/docs/gradcheck.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- tables -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of tables -->").unwrap();
    let wanted = format!("{before}<!-- tables -->\n{}<!-- end of tables -->{after}", tables());
    if std::env::var_os("UPDATE").is_some() && page != wanted {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert_eq!(page, wanted, "docs/gradcheck.md is not what the tests do");
    }
}

#[test]
fn a_right_program_that_prints_few_digits_is_never_accused_by_differences() {
    struct Rounded<'a>(Spoilt<'a>, f64);
    impl Implementation for Rounded<'_> {
        fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
            let mut replies = self.0.evaluate(points)?;
            let stairs = |v: &f64| (v * self.1).round() / self.1;
            replies.iter_mut().for_each(|reply| reply.outputs = reply.outputs.map(stairs));
            Ok(replies)
        }
        fn precision(&self) -> Precision {
            self.0.precision
        }
    }
    let mut accused = String::new();
    for (command, options) in [("sigmoid", ""), ("softmax", ""), ("softmax-xent", ""), ("tanh", ""), ("affine", "")] {
        // As printf's %f does, two and four digits, and fixed points.
        for steps in [1e6, 1e4, 1e2, 937.0, 256.0, 65536.0] {
            for seed in 1..6 {
                let (mut case, settings) = case(command, options, Precision::F64, seed);
                case.reference = None;
                let layer = (layer::find(command).unwrap().build)(&settings).unwrap();
                let right = Spoilt { layer: layer.as_ref(), precision: Precision::F64, spoil: &|_, _| {} };
                let checked =
                    check::check(&mut Rounded(right, steps), &case, &CheckOptions::new(&case, seed, false)).unwrap();
                if checked.verdict() == Verdict::Fail {
                    let _ = writeln!(accused, "{command} in steps of 1/{steps}, seed {seed}: {}", outline(&checked));
                }
            }
        }
    }
    assert!(accused.is_empty(), "{accused}");
}

#[test]
fn statuses_and_reports_are_what_scripts_rely_on() {
    use crate::support::{has_program, nnlayer, shell};
    let own = nnlayer(&["softmax", "--x", "1,2,3", "--dout", "1,0,0", "--check", "--json"]);
    assert_eq!(own.json()["verdict"], "PASS");
    if !has_program("python3") {
        return;
    }
    let wrong = |options: &str| {
        shell(&format!("nnlayer gradcheck --layer affine {options} -- python3 examples/gradcheck/affine_wrong.py"))
    };
    let json: serde_json::Value = serde_json::from_slice(&wrong("--json").stdout).unwrap();
    assert_eq!((wrong("").status, &json["verdict"]), (1, &serde_json::json!("FAIL")));
    assert!(wrong("--format tap").text().starts_with("TAP version 13\n1..6\nok 1 "));
    assert!(wrong("--format junit").text().contains("failures=\"1\""));
    assert_eq!(wrong("").text(), wrong("--persistent").text());
}
