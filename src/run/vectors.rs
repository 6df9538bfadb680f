//! `nnlayer vectors`: writes test vectors of a layer, and runs a program over those of a folder.
//!
//! The files of a folder: `index.json` lists the cases; each case has a folder with `case.json` and, where ONNX has an operator for it,
//! `test_data_set_0/input_N.pb` and `output_N.pb`; all cases together are in `LAYER.npz`, `LAYER.safetensors` and `LAYER.h`.

mod case_json;
mod header;
mod tensor_proto;
mod verify;

pub(crate) use verify::{VerifyArguments, verify};

use super::session::Streams;
use super::status::Status;
use crate::check::vectors::{Cases, Vector};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{FORMATS, Format, InMemoryArrays, OutputDtype};
use crate::layer::{LayerSpec, onnx_operator};
use crate::numeric::FloatType;
use crate::report::write_file;
use serde_json::json;
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::{fs, io};

/// Arguments of `vectors LAYER`.
pub(crate) struct Arguments {
    pub(crate) spec: &'static LayerSpec,
    /// Names of the cases to write; all of them if there are none.
    pub(crate) names: Vec<String>,
    /// The type of inputs and results.
    pub(crate) float_type: FloatType,
    pub(crate) seed: u64,
    /// The folder; without one, the names of the cases are listed.
    pub(crate) folder: Option<String>,
}

const OUT: Name = Name::fixed("out");

/// Writes the test vectors of a layer, or lists their names.
pub(crate) fn write(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let Arguments { spec, names, float_type, seed, folder } = arguments;
    let cases = Cases::new(spec, *float_type, *seed);
    let known = cases.names();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(unknown_case(unknown, &known).into());
    }
    let is_selected = |name: &str| names.is_empty() || names.iter().any(|known| known == name);
    let Some(folder) = folder else {
        for name in known.iter().filter(|name| is_selected(name)) {
            writeln!(streams.out, "{name}")?;
        }
        return Ok(Status::Done);
    };
    let found = cases.compute(is_selected)?;
    let folder = Folder { path: folder, spec, float_type: *float_type, seed: *seed };
    found.iter().try_for_each(|vector| folder.write_case(vector))?;
    folder.write_together(&found)?;
    Ok(Status::Done)
}

/// Returns the error for the name of a case that a layer does not have.
fn unknown_case(name: &str, known: &[String]) -> Error {
    Error::new(Code::Usage, format!("unknown case {name:?}"))
        .with_operand(&Name::new("cases"))
        .tip(format!("use some of {}", known.join(", ")))
}

/// The folder that vectors are written to.
struct Folder<'a> {
    path: &'a str,
    spec: &'static LayerSpec,
    float_type: FloatType,
    seed: u64,
}

impl Folder<'_> {
    fn write(&self, name: &str, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        let path = Path::new(self.path).join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| {
                Error::new(Code::WriteFailed, format!("the directory cannot be created: {error}"))
                    .with_operand(&OUT)
                    .with_origin(parent.to_string_lossy())
                    .tip("name a directory that can be written")
            })?;
        }
        write_file(&OUT, &path.to_string_lossy(), content)
    }

    fn write_case(&self, vector: &Vector) -> anyhow::Result<()> {
        let file = format!("{}/case.json", vector.name);
        self.write(&file, |out| case_json::write(self.spec, self.float_type, self.seed, vector, out))?;
        let Some((operator, _)) = onnx_operator(self.spec.name, &vector.settings, &vector.inputs) else {
            return Ok(());
        };
        let folder = format!("{}/test_data_set_0", vector.name);
        let inputs = operator.inputs.iter().filter_map(|name| Some(("input", name, vector.inputs.get(name)?)));
        let outputs = operator.outputs.iter().filter_map(|name| Some(("output", name, vector.outputs.get(name)?)));
        let mut counts = [0, 0];
        for (kind, name, value) in inputs.chain(outputs) {
            let count = &mut counts[usize::from(kind == "output")];
            let is_integer = tensor_proto::is_integer(self.spec, name);
            let bytes = tensor_proto::encode(name.as_str(), value, self.float_type, is_integer);
            self.write(&format!("{folder}/{kind}_{count}.pb"), |out| out.write_all(&bytes))?;
            *count += 1;
        }
        Ok(())
    }

    /// Writes the files that hold all cases.
    fn write_together(&self, found: &[Vector]) -> anyhow::Result<()> {
        let named = |vector: &Vector, name: Name| Name::new(format!("{}/{}", vector.name, name.as_str()));
        let arrays = || {
            let of_case =
                |vector| Vector::arrays(vector).into_iter().map(move |(name, value)| (named(vector, name), value));
            found.iter().flat_map(of_case).map(|(name, value)| (name, Cow::Borrowed(value)))
        };
        let holds_several =
            |format: &&&dyn Format| format.has_names() && format.can_write() && format.name() != ".json";
        for format in FORMATS.iter().filter(holds_several) {
            let name = format!("{}{}", self.spec.name, format.name());
            self.write(&name, |out| format.write(&mut InMemoryArrays::new(arrays()), OutputDtype::F64, out))?;
        }
        self.write(&format!("{}.h", self.spec.name), |out| {
            header::write(self.spec, self.float_type, self.seed, found, out)
        })?;
        let cases: Vec<_> = found
            .iter()
            .map(|vector| {
                let file = format!("{}/case.json", vector.name);
                json!({"name": vector.name, "flags": vector.flags, "file": file})
            })
            .collect();
        let index = json!({
            "nnlayer-vectors": case_json::VERSION,
            "written-by": concat!("nnlayer ", env!("CARGO_PKG_VERSION")),
            "layer": self.spec.name,
            "precision": self.float_type.name(),
            "seed": self.seed,
            "cases": cases,
        });
        self.write("index.json", |out| {
            serde_json::to_writer_pretty(&mut *out, &index)?;
            out.write_all(b"\n")
        })
    }
}
