//! `nnlayer vectors`: writes test vectors of a layer, and runs a program over those of a folder.
//!
//! The files of a folder: `index.json` lists the cases; each case has a folder with `case.json`, its arrays in
//! `test_data_set_0` as `input_N.pb`, `output_N.pb`, `result_N.pb`, `dout_0.pb` and `gradient_N.pb`, and `model.onnx` where ONNX has an
//! operator for it, which computes the outputs and not the results; all cases together are in `LAYER.npz`, `LAYER.safetensors` and
//! `LAYER.h`.

mod case_json;
mod header;
mod model_proto;
mod protobuf;
mod tensor_proto;
mod verify;

pub(crate) use verify::{VerifyArguments, verify};

use super::session::Streams;
use super::status::Status;
use crate::check::vectors::{Cases, Vector};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{FORMATS, Format, InMemoryArrays, OutputDtype};
use crate::layer::{LayerSpec, OnnxTensor, onnx_node};
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
        let Vector { name: case, settings, inputs, outputs, gradients, .. } = vector;
        let node = onnx_node(self.spec, self.float_type, settings, inputs, outputs);
        self.write(&format!("{case}/case.json"), |out| {
            case_json::write(self.spec, self.float_type, self.seed, vector, node.as_ref(), out)
        })?;
        let x_rank = inputs.iter().next().map_or(0, |(_, x)| x.ndim());
        let mut others = OnnxTensor::from_arrays(self.spec, settings, outputs, x_rank);
        let (read, computed) = match node {
            Some(node) => {
                let model = model_proto::encode(case, &node, self.float_type);
                self.write(&format!("{case}/model.onnx"), |out| out.write_all(&model))?;
                others.retain(|other| node.outputs.iter().all(|output| output.name != other.name));
                (node.inputs, node.outputs)
            }
            None => (OnnxTensor::from_arrays(self.spec, settings, inputs, x_rank), std::mem::take(&mut others)),
        };
        let dout = OnnxTensor::new(self.spec, settings, &Name::DOUT, &vector.dout, x_rank);
        let groups = [
            ("input", read),
            ("output", computed),
            ("result", others),
            ("dout", vec![dout]),
            ("gradient", OnnxTensor::from_arrays(self.spec, settings, gradients, x_rank)),
        ];
        for (kind, tensors) in groups {
            for (n, tensor) in tensors.iter().enumerate() {
                let bytes = tensor_proto::encode(tensor, self.float_type);
                self.write(&format!("{case}/test_data_set_0/{kind}_{n}.pb"), |out| out.write_all(&bytes))?;
            }
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
