//! Tapes and networks that commands read.

use super::request::Request;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::Precision;
use crate::network::{Tape, document};
use crate::operand::{OperandReader, stdin};
use ndarray::ArrayD;
use std::path::{Component, Path};

/// Reads a tape or network from a file, or from standard input if `source` is `-`. If `allows_files`, a parameter in a file
/// may be a string that names an array in another file of its folder; on a pipe, a string is never a path.
pub(crate) fn read(reader: &mut OperandReader<'_>, source: &str, allows_files: bool) -> Result<Tape, Error> {
    if source == "-" && reader.stdin.terminal {
        return Err(Error::new(Code::OperandMissing, "no tape is given, and standard input is a terminal")
            .fact("example: nnlayer affine --x 1,2 --w '1;2' --tape | nnlayer relu | nnlayer backward")
            .tip("pipe a tape in, or name its file"));
    }
    let (node, label) = reader.read_json(source)?;
    let folder = Path::new(&label).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut array = |name: &Name, text: &str| -> Result<ArrayD<f64>, Error> {
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if text.is_empty() || !Path::new(text).components().all(is_plain) {
            return Err(Error::new(Code::Tape, format!("{text:?} is not a file in the directory of the network"))
                .with_operand(name)
                .with_origin(label.as_str())
                .tip("give a path relative to that directory, without ..: params.npz#fc1.w"));
        }
        let path = folder.join(text);
        Ok(reader.read(name, &format!("@{}", path.display()), std::slice::from_ref(name))?.value)
    };
    let tape = document::from_json(&node, if source == "-" || !allows_files { None } else { Some(&mut array) });
    // An error of another file has its own place.
    tape.map_err(|error| if error.origin.is_some() { error } else { reader.locate(error, &label) })
}

/// Adds the file of a document to an error of one of its layers.
pub(crate) fn blame(error: Error, source: &str) -> Error {
    if error.operand.is_none() { error.with_origin(label(source)) } else { error }
}

fn label(source: &str) -> &str {
    if source == "-" { stdin::LABEL } else { source }
}

/// Makes a chain compute in the requested precision, unless that is the default.
pub(crate) fn set_precision(tape: &mut Tape, request: &Request) {
    if request.precision != Precision::default() {
        tape.precision = request.precision;
    }
}
