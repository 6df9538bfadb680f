//! `nnlayer gradcheck` and `--check`: right implementations pass, wrong ones fail with the kind of their mistake.

use crate::support::compare_section;
use mistakes::{UNNORMALISED, mistakes};
use ndarray::Array2;
use nnlayer::check;
use nnlayer::check::{
    BuiltinLayer, Case, CheckOptions, CheckReport, Evaluation, Implementation, Point, Verdict, inputs,
};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::rng::SplitMix64;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{AnyLayer, LAYERS, Precision, Settings};
use nnlayer::numeric::FloatType;
use std::fmt::Write;

mod elementwise;
mod half_types;
mod mistakes;
mod ties;

/// A layer of nnlayer with a planted mistake, as if it were an external program.
struct PlantedProgram<'a> {
    layer: &'a dyn AnyLayer,
    precision: Precision,
    plant: &'a dyn Fn(&Point, &mut Evaluation),
}

impl Implementation for PlantedProgram<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let evaluate = |point: &Point| {
            let outcome = layer::compute(self.layer, &point.operands, point.dout.as_ref(), self.precision);
            let mut evaluation = Evaluation { outputs: outcome.results, gradients: outcome.gradients };
            if point.dout.is_some() {
                (self.plant)(point, &mut evaluation);
            }
            let round = |v: &f64| self.precision.float_type().round(*v);
            Evaluation { outputs: evaluation.outputs.map(round), gradients: evaluation.gradients.map(round) }
        };
        Ok(points.iter().map(evaluate).collect())
    }
}

/// Returns a case with settings and shapes written as on a command line, and the layer.
fn case(command: &str, options: &str, precision: Precision, seed: u64) -> (Case, Box<dyn AnyLayer>) {
    let spec = layer::find(command).unwrap();
    let mut settings = Settings::default();
    let (mut shapes, mut given) = (Vec::new(), Tensors::new());
    for option in options.split_whitespace() {
        let (name, text) = option.split_once('=').unwrap();
        if let Some(setting) = spec.settings.iter().find(|setting| setting.name == name) {
            settings.set(setting.name, setting.parse(text).unwrap());
        } else if let Some(values) = text.strip_prefix(':') {
            let rows: Vec<Vec<f64>> =
                values.split([';', '|']).map(|row| row.split(',').map(|v| v.parse().unwrap()).collect()).collect();
            let matrix = Array2::from_shape_fn((rows.len(), rows[0].len()), |(n, k)| rows[n][k]);
            let planes = values.split('|').count();
            let dim = [planes, rows.len() / planes, rows[0].len()];
            let array = matrix.into_shape_with_order(&dim[usize::from(planes == 1)..]).unwrap();
            given.insert(Name::new(name), array);
        } else {
            shapes.push(inputs::parse_shape(option).unwrap());
        }
    }
    let mut rng = SplitMix64::new(seed);
    let operands = inputs::draw_operands(spec, &settings, &given, &shapes, precision.float_type(), &mut rng).unwrap();
    let layer = (spec.build)(&settings).unwrap();
    let shape = layer.output_shape(&operands);
    let dout = if shape.is_empty() { None } else { Some(inputs::draw_numbers(&shape, &mut rng)) };
    (Case::new(spec, &settings, &operands, dout.as_ref(), precision.float_type()).unwrap(), layer)
}

fn check_planted(
    command: &str,
    options: &str,
    precision: Precision,
    plant: &dyn Fn(&Point, &mut Evaluation),
) -> CheckReport {
    let (case, layer) = case(command, options, precision, 1);
    let mut program = PlantedProgram { layer: layer.as_ref(), precision, plant };
    check::check(&mut program, &case, &CheckOptions::program(&case, 1, Some(precision.float_type()))).unwrap()
}

/// Right implementations: every layer, its settings, and shapes of every rank.
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
    ("leaky-relu", "x=:0,1,-1;0,-0.5,2"),
    ("leaky-relu", "slope=0.2"),
    ("elu", "x=:0,1,-40;0,-0.5,2"),
    ("selu", ""),
    ("celu", "alpha=2"),
    ("gelu", ""),
    ("gelu", "x=:-5,-30,0,8"),
    ("gelu", "approximate=tanh"),
    ("gelu", "approximate=sigmoid"),
    ("silu", "beta=1.702"),
    ("silu", "x=:40,-40,0,700"),
    ("mish", "x=:40,-40,0,-1.1924"),
    ("softplus", "x=:40,-40,0,700"),
    ("softsign", "x=:0,1e9,-2"),
    ("log-sigmoid", "x=:40,-40,0,700"),
    ("hard-sigmoid", "x=:3,-3,0,1.5"),
    ("hard-sigmoid", "slope=0.2"),
    ("hard-swish", "x=:3,-3,0,1.5"),
    ("hard-tanh", "x=:1,-1,0,3"),
    ("layernorm", ""),
    ("layernorm", "gamma-offset=1 eps=0.01"),
    ("layernorm", "axis=-2 x=2x3x4 gamma=3x4 beta=3x4"),
    ("layernorm", "eps=0 x=:1.25,1.5,-2,3;10,11,12,14"),
    ("rmsnorm", ""),
    ("rmsnorm", "gamma-offset=1"),
    ("rmsnorm", "axis=1 x=2x3x4 gamma=3x4"),
    ("groupnorm", ""),
    ("groupnorm", "groups=2 x=3x4x5"),
    ("instancenorm", "x=2x3x5"),
    ("instancenorm", "x=2x3x2x3 eps=0.01"),
    ("batchnorm", ""),
    ("batchnorm", "x=2x3x5"),
    ("batchnorm", "mean=3 var=3"),
    ("batchnorm", "running-mean=3 running-var=3 momentum=0.25"),
    ("batchnorm", "running-mean=3 running-var=3 running=biased"),
    ("attention", ""),
    ("attention", "causal=top-left q=4x4 k=4x4"),
    ("attention", "causal=bottom-right softcap=2"),
    ("attention", "mask=5x6"),
    ("attention", "mask=5x6 mask-kind=boolean mask-true=ignore"),
    ("attention", "scale=1 q=2x3x4 k=1x5x4 v=1x5x3"),
    ("attention", "heads=2 kv-heads=1 q=3x4 k=5x2 v=5x3"),
    ("embedding", ""),
    ("embedding", "ids=:1,0;1,2 padding-id=1"),
    ("rope", ""),
    ("rope", "pairs=interleaved dims=2"),
    ("rope", "base=500000 x=7x4"),
    ("rope", "cos=2x2 sin=2x2 positions=2"),
    ("dropout", ""),
    ("dropout", "p=0.25 x=5"),
    ("mse", ""),
    ("mse", "reduction=mean"),
    ("mse", "reduction=none x=2x3x4"),
    ("l1", "x=:0,1,-1;2,-0.5,2 t=:0,0,0;2,1,3"),
    ("huber", "delta=0.5"),
    ("huber", "x=:0,1,-1 t=:1,1,3"),
    ("smooth-l1", "beta=0.5 reduction=batchmean"),
    ("smooth-l1", "beta=0 x=:1,2,3 t=:0,2,5"),
    ("bce", ""),
    ("bce", "reduction=mean weight=3"),
    ("bce-logits", "x=:40,-40,0,700 t=:0,1,0.5,1"),
    ("bce-logits", "pos-weight=3 weight=4x1"),
    ("kl-div", ""),
    ("kl-div", "log-target=true reduction=batchmean"),
    ("add", ""),
    ("add", "x1=4x1 x2=3"),
    ("add", "x1=2x3x4 x2=3x1"),
    ("mul", "x2=3"),
    ("mul", "x1= x2=2x3"),
    ("matmul", ""),
    ("matmul", "x1=3x3 x2=3x3"),
    ("matmul", "x1=2x1x2x3 x2=2x3x2"),
    ("matmul", "x1=3 x2=3"),
    ("prelu", ""),
    ("prelu", "a= x=:0,1,-1"),
    ("prelu", "x=2x3x4 a=3"),
    ("prelu", "axis=-1 x=2x3x4 a=4"),
    ("glu", ""),
    ("glu", "gate-half=first activation=silu"),
    ("glu", "gate=4x3 x=4x3 activation=gelu"),
    ("glu", "axis=0 activation=relu x=4x3"),
    ("nll", ""),
    ("nll", "t-kind=index reduction=mean weight=3"),
    ("nll", "ignore-index=1 reduction=none x=2x3x4 t=2x4"),
    ("reshape", "shape=-1,2"),
    ("flatten", "x=2x3x4"),
    ("transpose", ""),
    ("transpose", "axes=1,2,0 x=2x3x4"),
    ("concat", ""),
    ("concat", "axis=-1 x2=4x1 x4=4x2"),
    ("conv1d", ""),
    ("conv1d", "stride=2 padding=1,2 dilation=2"),
    ("conv1d", "groups=2 padding=same-lower w=4x2x2"),
    ("conv1d", "x=3x6 b="),
    ("conv2d", ""),
    ("conv2d", "stride=2,1 padding=1,2;0,1 dilation=1,2"),
    ("conv2d", "groups=3 padding=same"),
    ("conv2d", "x=3x4x5"),
    ("maxpool1d", ""),
    ("maxpool1d", "x=:3,3,1,2;2,0,2,2"),
    ("maxpool1d", "kernel=3 stride=1 padding=1 dilation=2"),
    ("maxpool2d", ""),
    ("maxpool2d", "kernel=3,2 stride=1 padding=same-lower"),
    ("maxpool2d", "kernel=3 stride=2 ceil-mode=true x=2x4x6"),
    ("avgpool1d", ""),
    ("avgpool1d", "kernel=3 stride=1 padding=1 count-include-pad=false"),
    ("avgpool2d", ""),
    ("avgpool2d", "kernel=3,2 stride=2 padding=1,0;0,1 ceil-mode=true"),
];

const PRECISIONS: [(Precision, &str); 2] = [(Precision::F64, "f64"), (Precision::F32, "f32")];

fn outline(report: &CheckReport) -> String {
    let finding = |finding: &check::Finding| {
        let kinds: Vec<&str> = finding.diagnoses.iter().map(|diagnosis| diagnosis.kind).collect();
        let check::Finding { result, baseline, verdict, worst, notes, .. } = finding;
        format!("{result} against {baseline:?}: {verdict:?} {kinds:?} {worst:?} {notes:?}")
    };
    report.findings.iter().map(finding).collect::<Vec<_>>().join("\n  ")
}

fn kinds(report: &CheckReport) -> Vec<&'static str> {
    report.findings.iter().flat_map(|finding| &finding.diagnoses).map(|diagnosis| diagnosis.kind).collect()
}

/// Returns the precisions of a row: one, in turn, or both where `ALL_PRECISIONS` is set, as `.ci/run random` does.
fn precisions(row: usize) -> Vec<(Precision, &'static str)> {
    let is_wanted = |(n, _): &(usize, _)| std::env::var_os("ALL_PRECISIONS").is_some() || row % PRECISIONS.len() == *n;
    PRECISIONS.into_iter().enumerate().filter(is_wanted).map(|(_, precision)| precision).collect()
}

#[test]
fn every_planted_mistake_fails_with_its_kind() {
    let all = mistakes();
    assert!(all.len() >= 40);
    let mut missed = String::new();
    for (row, mistake) in all.iter().enumerate() {
        for (precision, name) in precisions(row) {
            let report = check_planted(mistake.layer, mistake.options, precision, &mistake.plant);
            let is_named = mistake.kind.is_empty() || kinds(&report).contains(&mistake.kind);
            if report.verdict() != Verdict::Fail || !is_named {
                let (layer, options, what) = (mistake.layer, mistake.options, mistake.what);
                let (expected, got) = (mistake.kind, outline(&report));
                let _ = writeln!(missed, "{layer} {options} ({name}), {what}: expected {expected}\n  {got}");
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
}

#[test]
fn every_right_layer_passes_in_both_precisions() {
    let mut failed = String::new();
    for (row, (layer, options)) in RIGHT.iter().enumerate() {
        for (precision, name) in precisions(row) {
            let as_program = check_planted(layer, options, precision, &|_, _| {});
            let (case, built) = case(layer, options, precision, 1);
            let mut builtin = BuiltinLayer { layer: built.as_ref(), precision };
            let as_builtin =
                check::check(&mut builtin, &case, &CheckOptions::own(&case, 1, precision.float_type())).unwrap();
            for (report, role) in [(as_program, "as a program"), (as_builtin, "as a builtin layer")] {
                if report.verdict() != Verdict::Pass {
                    let _ = writeln!(failed, "{layer} {options} ({name}) {role}\n  {}", outline(&report));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn no_right_program_fails_against_numerical_gradients_alone_whatever_is_drawn() {
    let mut failed = String::new();
    for (row, (command, options)) in RIGHT.iter().enumerate() {
        for (precision, name) in precisions(row + 1) {
            let seed = 2 + row as u64 % 2;
            let (mut case, layer) = case(command, options, precision, seed);
            case.reference = None;
            case.targets.retain(|target| target.surrogate.is_none());
            let mut program = PlantedProgram { layer: layer.as_ref(), precision, plant: &|_, _| {} };
            let options_of_check = CheckOptions::program(&case, seed, Some(precision.float_type()));
            let report = check::check(&mut program, &case, &options_of_check).unwrap();
            if report.verdict() == Verdict::Fail {
                let _ = writeln!(failed, "{command} {options} ({name}), seed {seed}\n  {}", outline(&report));
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// PyTorch divides by at least 1e-12; JAX does not, and differentiates a limited logarithm to 0.
#[test]
fn bce_may_return_its_derivative_in_place_of_pytorchs_gradient_and_nothing_else() {
    let options = "y=:0,0.5,1e-14 t=:1,0,0";
    let verdict = |first: f64, last: f64| {
        let report = check_planted("bce", options, Precision::F64, &move |_, evaluation| {
            let dy = evaluation.gradients.get_mut(&Name::new("dy")).unwrap();
            if dy.len() == 3 && dy[[0, 0]] == -1e12 {
                (dy[[0, 0]], dy[[0, 2]]) = (first, last);
            }
        });
        report.verdict()
    };
    assert_eq!(verdict(-1e12, 0.01), Verdict::Pass);
    assert_eq!(verdict(f64::NEG_INFINITY, 1.0 / (1.0 - 1e-14)), Verdict::Pass);
    assert_eq!(verdict(0.0, 1.0 / (1.0 - 1e-14)), Verdict::Pass);
    assert_eq!(verdict(-2e12, 0.01), Verdict::Fail);
    assert_eq!(verdict(0.0, 0.5), Verdict::Fail);
}

#[test]
fn every_layer_and_every_kind_of_mistake_is_tested() {
    let wrong = mistakes();
    for spec in LAYERS {
        assert!(RIGHT.iter().any(|(layer, _)| *layer == spec.name), "{}", spec.name);
        assert!(wrong.iter().any(|mistake| mistake.layer == spec.name), "{}", spec.name);
    }
    for mistake in check::MISTAKES {
        assert!(wrong.iter().any(|planted| planted.kind == mistake.kind), "no planted mistake is {}", mistake.kind);
    }
    for spec in LAYERS {
        for convention in spec.conventions {
            let is_it = |planted: &&mistakes::Mistake| planted.layer == spec.name && planted.kind == convention.kind;
            assert!(wrong.iter().any(|planted| is_it(&planted)), "{}: no planted {}", spec.name, convention.kind);
        }
    }
}

#[test]
fn a_constant_factor_is_named_by_the_sizes_and_bases_that_it_may_come_from() {
    for (command, options, name, factor, words) in [
        ("affine", "x=4x3 w=3x5", "dw", 0.2, "times 1/5: 1 / the number of outputs"),
        (
            "affine",
            "x=4x3 w=3x5",
            "dw",
            1.0 / 20.0,
            "1 / the number of entries of the output (is it a mean over them?)",
        ),
        ("affine", "x=4x3 w=3x5", "dw", 0.25, "1 / the batch size"),
        ("affine", "x=4x3 w=3x3", "dw", 1.0 / 3.0, "1 / the number of columns"),
        ("softmax-xent", "x=4x3", "dx", std::f64::consts::LOG2_E, "1 / ln 2 (is it a logarithm to base 2?)"),
        ("xent", "y=4x3", "dy", std::f64::consts::LOG10_E, "1 / ln 10 (is it a logarithm to base 10?)"),
    ] {
        let report = check_planted(command, options, Precision::F64, &|_, evaluation| {
            let name = Name::new(name);
            let scaled = evaluation.gradients.known(&name) * factor;
            evaluation.gradients.insert(name, scaled);
        });
        let mut explanations = report.findings.iter().flat_map(|finding| &finding.diagnoses).map(|d| &d.explanation);
        assert!(
            explanations.any(|explanation| explanation.contains(words)),
            "{command} {factor}: {}",
            outline(&report)
        );
    }
}

/// Returns the explanations of a program that computes the whole layer with other settings.
fn explanations_of_settings(command: &str, options: &str, other: &str, precision: Precision) -> Vec<[String; 2]> {
    let (case, _) = case(command, options, precision, 1);
    let (_, layer) = self::case(command, other, precision, 1);
    let mut program = PlantedProgram { layer: layer.as_ref(), precision, plant: &|_, _| {} };
    let report = check::check(&mut program, &case, &CheckOptions::program(&case, 1, Some(precision.float_type())));
    let finding = |finding: &check::Finding| {
        let name = finding.result.to_string();
        finding.diagnoses.iter().map(|found| [name.clone(), found.explanation.clone()]).collect::<Vec<_>>()
    };
    report.unwrap().findings.iter().flat_map(finding).collect()
}

#[test]
fn another_usual_value_of_a_setting_is_named_and_no_lower_precision() {
    let f64 = Precision::F64;
    for (command, options, other, precision, names, words) in [
        ("rmsnorm", "", "eps=1e-6", f64, "y dx dgamma", "for --eps 1e-6; the setting is 1e-5"),
        ("rmsnorm", "", "eps=1e-12", f64, "y dx dgamma", "for --eps 1e-12; the setting is 1e-5"),
        ("layernorm", "", "eps=0.001", f64, "y dx dgamma", "for --eps 1e-3; the setting is 1e-5"),
        ("layernorm", "eps=0.25", "", f64, "y dx dgamma", "for --eps 1e-5; the setting is 0.25"),
        (
            "batchnorm",
            "",
            "eps=0",
            f64,
            "y dx dgamma",
            "for --eps 0 or --eps 2.220446049250313e-16; the setting is 1e-5",
        ),
        (
            "layernorm",
            "",
            "eps=1e-12",
            Precision::F32,
            "y dx dgamma",
            "for --eps 1e-12 or --eps 1e-8 or --eps 0; the setting is 1e-5",
        ),
        ("leaky-relu", "", "slope=0.2", f64, "y dx", "for --slope 0.2; the setting is 0.01"),
        ("huber", "x=6x4 t=6x4", "delta=1.35", f64, "loss dx", "for --delta 1.35; the setting is 1"),
        ("rope", "x=9x4", "base=500000", f64, "y dx", "for --base 500000; the setting is 10000"),
        ("attention", "softcap=2", "", f64, "y dq dk dv", "for no --softcap; the setting is 2"),
    ] {
        let explanations = explanations_of_settings(command, options, other, precision);
        let expected = names.split(' ').map(|name| {
            let what = if name.starts_with('d') { "gradient" } else { "result" };
            [name.to_owned(), format!("it is the {what} {words}")]
        });
        assert_eq!(explanations, expected.collect::<Vec<_>>(), "{command} {options} {other}");
    }
}

/// Returns the two tables of `docs/gradcheck.md`.
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
            options.iter().map(|options| if options.is_empty() { "default" } else { options.trim() }).collect();
        let _ = writeln!(text, "| {} | {} |", spec.name, named.join(" · "));
    }
    text
}

/// A program that remembers the shape of the first operand of each point.
struct RecordingProgram<'a>(PlantedProgram<'a>, Vec<Vec<usize>>);

impl Implementation for RecordingProgram<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        self.1.extend(points.iter().map(|point| point.operands.iter().next().unwrap().1.shape().to_vec()));
        self.0.evaluate(points)
    }
}

#[test]
fn every_layer_is_asked_a_batch_of_odd_shape() {
    for spec in LAYERS {
        let (case, layer) = case(spec.name, "", Precision::F64, 1);
        let program = PlantedProgram { layer: layer.as_ref(), precision: Precision::F64, plant: &|_, _| {} };
        let mut recording = RecordingProgram(program, Vec::new());
        let shapes = inputs::odd_shapes(spec);
        let options =
            CheckOptions { stress_shapes: Some(&shapes), ..CheckOptions::program(&case, 1, Some(FloatType::F64)) };
        let report = check::check(&mut recording, &case, &options).unwrap();
        assert_eq!(report.verdict(), Verdict::Pass, "{}: {}", spec.name, outline(&report));
        let is_odd = |shape: &Vec<usize>| shape.last().is_some_and(|last| [33, 34].contains(last));
        assert!(recording.1.iter().any(is_odd), "{}: {:?}", spec.name, recording.1);
    }
}

#[test]
fn the_documentation_lists_the_tested_mistakes() {
    compare_section("docs/gradcheck.md", "tables", &tables());
}

/// A program whose outputs are multiples of 1/steps.
struct QuantisedProgram<'a> {
    program: PlantedProgram<'a>,
    steps: f64,
}

impl Implementation for QuantisedProgram<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let mut evaluations = self.program.evaluate(points)?;
        let quantise = |v: &f64| (v * self.steps).round() / self.steps;
        evaluations.iter_mut().for_each(|evaluation| evaluation.outputs = evaluation.outputs.map(quantise));
        Ok(evaluations)
    }
}

#[test]
fn no_right_program_with_quantised_outputs_fails_against_numerical_gradients() {
    let mut failed = String::new();
    for command in ["sigmoid", "softmax", "softmax-xent", "tanh", "affine"] {
        // As printed by printf's %f, with two and four digits, and in fixed point.
        for steps in [1e6, 1e4, 1e2, 937.0, 256.0, 65536.0] {
            for seed in 1..3 {
                let (mut case, layer) = case(command, "", Precision::F64, seed);
                case.reference = None;
                let program = PlantedProgram { layer: layer.as_ref(), precision: Precision::F64, plant: &|_, _| {} };
                let mut quantised = QuantisedProgram { program, steps };
                let report =
                    check::check(&mut quantised, &case, &CheckOptions::program(&case, seed, Some(FloatType::F64)))
                        .unwrap();
                if report.verdict() == Verdict::Fail {
                    let _ = writeln!(failed, "{command} in steps of 1/{steps}, seed {seed}: {}", outline(&report));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn exit_statuses_and_reports_are_stable_for_scripts() {
    use crate::support::{has_program, nnlayer, shell};
    let builtin = nnlayer(&["softmax", "--x", "1,2,3", "--dout", "1,0,0", "--check", "--json"]);
    assert_eq!(builtin.json()["verdict"], "PASS");
    if !has_program("python3") {
        return;
    }
    let wrong = |options: &str| {
        shell(&format!("nnlayer gradcheck --layer affine {options} -- python3 examples/gradcheck/affine_wrong.py"))
    };
    let json: serde_json::Value = serde_json::from_slice(&wrong("--json").stdout).unwrap();
    assert_eq!((wrong("").status, &json["verdict"]), (1, &serde_json::json!("FAIL")));
    assert!(wrong("--format tap").text().starts_with("TAP version 13\n1..4\nok 1 "));
    assert!(wrong("--format junit").text().contains("failures=\"1\""));
    assert_eq!(wrong("").text(), wrong("--persistent").text());
}
