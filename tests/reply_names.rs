//! Names of outputs and gradients in the reply of a program under test that were not asked for.

use ndarray::array;
use nnlayer::check;
use nnlayer::check::{BuiltinLayer, Case, CheckOptions, CheckReport, Evaluation, Implementation, Point};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{Precision, Settings};
use nnlayer::numeric::FloatType;

/// The layer affine as a program whose replies are changed.
struct ChangedProgram<'a> {
    layer: BuiltinLayer<'a>,
    change: &'a dyn Fn(&mut Evaluation),
    protocol_version: u32,
}

impl Implementation for ChangedProgram<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let mut evaluations = self.layer.evaluate(points)?;
        evaluations.iter_mut().for_each(self.change);
        Ok(evaluations)
    }

    fn protocol_version(&self) -> u32 {
        self.protocol_version
    }
}

/// Checks affine with changed replies, as a known layer or a custom one.
fn check_changed(
    is_custom: bool,
    protocol_version: u32,
    change: &dyn Fn(&mut Evaluation),
) -> Result<CheckReport, Error> {
    let spec = layer::find("affine").unwrap();
    let settings = Settings::default();
    let operands = Tensors::new()
        .with(Name::X, array![[0.5, -1.25]].into_dyn())
        .with(Name::W, array![[1.0, 2.0], [3.0, -0.5]].into_dyn())
        .with(Name::B, array![0.25, 4.0].into_dyn());
    let dout = array![[1.5, -0.75]].into_dyn();
    let case = if is_custom {
        Case::custom(operands, dout, Name::Y, &[Name::DX, Name::DW, Name::DB])
    } else {
        Case::new(spec, &settings, &operands, Some(&dout), FloatType::F64).unwrap()
    };
    let layer = (spec.build)(&settings).unwrap();
    let layer = BuiltinLayer { layer: layer.as_ref(), precision: Precision::F64 };
    let mut program = ChangedProgram { layer, change, protocol_version };
    check::check(&mut program, &case, &CheckOptions::program(&case, 1, Some(FloatType::F64)))
}

fn rename(arrays: &mut Tensors<f64>, from: &Name, to: &'static str) {
    if let Some(value) = arrays.take(from) {
        arrays.insert(Name::fixed(to), value);
    }
}

#[test]
fn a_misnamed_array_is_an_error_in_both_versions() {
    for is_custom in [false, true] {
        for version in [1, 2] {
            let error = check_changed(is_custom, version, &|reply| rename(&mut reply.gradients, &Name::DW, "d_w"));
            let error = error.unwrap_err();
            assert_eq!(error.message, "the reply has the gradient d_w, but expected dw");
            assert_eq!(error.tip.as_deref(), Some("rename d_w to dw in the reply"));
        }
    }
    let error = check_changed(false, 1, &|reply| rename(&mut reply.outputs, &Name::Y, "Y")).unwrap_err();
    assert_eq!(error.message, "the reply has the output Y, but expected y");
}

#[test]
fn a_name_that_was_not_asked_for_is_an_error_in_version_2_and_a_note_in_version_1() {
    let one = || array![1.0].into_dyn();
    let more_gradients = |reply: &mut Evaluation| {
        if !reply.gradients.is_empty() {
            reply.gradients.insert(Name::fixed("dq"), one());
        }
    };
    let more_outputs = |reply: &mut Evaluation| {
        reply.outputs.insert(Name::fixed("z"), one());
        reply.outputs.insert(Name::fixed("mean"), one());
    };
    for is_custom in [false, true] {
        let error = check_changed(is_custom, 2, &more_gradients).unwrap_err();
        assert_eq!(error.message, "the reply has the gradient dq, which was not asked for; expected dx, dw, db");
        let report = check_changed(is_custom, 1, &more_gradients).unwrap();
        assert_eq!(report.verdict(), check::Verdict::Pass);
        assert_eq!(report.notes, ["the reply has the gradient dq, which was not asked for"]);
        assert!(check_changed(is_custom, 2, &|_| {}).unwrap().notes.is_empty());
    }
    let error = check_changed(false, 2, &more_outputs).unwrap_err();
    assert_eq!(error.message, "the reply has the output z, which was not asked for; expected y");
    let report = check_changed(false, 1, &more_outputs).unwrap();
    assert_eq!(report.notes, ["the reply has the outputs z, mean, which were not asked for"]);
    assert!(check_changed(true, 2, &more_outputs).unwrap().notes.is_empty(), "a custom layer has any outputs");
}
