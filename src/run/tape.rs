//! Tapes and networks that commands read.

use super::request::Request;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::Selector;
use crate::layer::Precision;
use crate::network::{Tape, document};
use crate::operand::grammar::OperandSpec;
use crate::operand::{OperandReader, stdin};
use ndarray::ArrayD;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Reads a tape or network from a file, or from standard input if `source` is `-`. If `allows_files`, a parameter in a file
/// may be a string that names an array in another file of its folder; on a pipe, a string is never a path.
pub(crate) fn read(reader: &mut OperandReader<'_>, source: &str, allows_files: bool) -> Result<Tape, Error> {
    if source == "-" && reader.stdin.terminal {
        return Err(Error::new(Code::OperandMissing, "no tape is given, and standard input is a terminal")
            .fact("example: nnlayer affine --x 1,2 --w '1;2' --tape | nnlayer relu | nnlayer backward")
            .tip("pipe a tape in, or name its file"));
    }
    let (node, label) = reader.read_json(source)?;
    let mut folder = Folder::new(&label);
    let mut array = |name: &Name, text: &str| folder.read(reader, name, text);
    let tape = document::from_json(&node, if source == "-" || !allows_files { None } else { Some(&mut array) });
    // An error of another file has its own place.
    tape.map_err(|error| if error.origin.is_some() { error } else { reader.locate(error, &label) })
}

/// The folder of a network, and the arrays that were read from its files.
struct Folder<'a> {
    /// The network's file.
    label: &'a str,
    path: PathBuf,
    arrays: HashMap<(Name, String), Arc<ArrayD<f64>>>,
}

impl Folder<'_> {
    fn new(label: &str) -> Folder<'_> {
        let path = Path::new(label).parent().filter(|path| !path.as_os_str().is_empty());
        Folder { label, path: path.unwrap_or(Path::new(".")).to_path_buf(), arrays: HashMap::new() }
    }

    /// Reads the parameter `name` from a file of this folder or below, once for all layers that name it.
    fn read(&mut self, reader: &mut OperandReader<'_>, name: &Name, text: &str) -> Result<Arc<ArrayD<f64>>, Error> {
        let key = (name.clone(), text.to_owned());
        if let Some(array) = self.arrays.get(&key) {
            return Ok(Arc::clone(array));
        }
        let (file, selector) = match text.rsplit_once('#') {
            Some((file, selector)) => (file, Selector::parse(selector)),
            None => (text, Selector::Default),
        };
        let path = self.path.join(file);
        if !self.contains(file, &path) {
            return Err(Error::new(Code::Tape, format!("{text:?} is not a file in the directory of the network"))
                .with_operand(name)
                .with_origin(self.label)
                .tip("give a path relative to that directory, without ..: params.npz#fc1.w"));
        }
        let spec = OperandSpec::File(path.display().to_string(), selector);
        let array = Arc::new(reader.read_spec(name, spec, std::slice::from_ref(name))?.value);
        self.arrays.insert(key, Arc::clone(&array));
        Ok(array)
    }

    /// Returns true for a relative path without `..` to a regular file, which no link leads out of the folder. A missing file is
    /// reported when it is read.
    fn contains(&self, file: &str, path: &Path) -> bool {
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        let is_inside = || match (self.path.canonicalize(), path.canonicalize()) {
            (Ok(folder), Ok(path)) => path.starts_with(folder) && path.is_file(),
            _ => true,
        };
        !file.is_empty() && Path::new(file).components().all(is_plain) && is_inside()
    }
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
