//! The JSON document of a test vector.

use crate::check::Point;
use crate::check::program::settings_json;
use crate::check::vectors::{Expected, Vector};
use crate::core::error::{Code, Error, Place};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json;
use crate::format::json::{Matrix, Node};
use crate::layer::{Attribute, LayerSpec, OnnxNode, OnnxTensor, Settings};
use crate::numeric::FloatType;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use std::io;

/// Version of the documents.
pub(super) const VERSION: u32 = 1;

/// Key that identifies the document of a case.
pub(super) const KEY: &str = "nnlayer-vector";

/// Writes a case, with a line for each array.
pub(super) fn write(
    spec: &LayerSpec,
    float_type: FloatType,
    seed: u64,
    vector: &Vector,
    node: Option<&OnnxNode<'_>>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let tolerances: serde_json::Map<String, Value> = vector
        .tolerances
        .iter()
        .map(|(float_type, arrays)| Ok((float_type.name().to_owned(), serde_json::to_value(Arrays(arrays))?)))
        .collect::<io::Result<_>>()?;
    let onnx = node.map(|node| {
        let attributes: serde_json::Map<String, Value> =
            node.attributes.iter().map(|(name, value)| ((*name).to_owned(), attribute_json(value))).collect();
        let names =
            |tensors: &[OnnxTensor<'_>]| tensors.iter().map(|tensor| tensor.name.to_string()).collect::<Vec<_>>();
        json!({
            "operator": node.operator,
            "inputs": names(&node.inputs),
            "outputs": names(&node.outputs),
            "attributes": attributes,
        })
    });
    let members: [(&str, Value); 13] = [
        (KEY, json!(VERSION)),
        ("written-by", json!(concat!("nnlayer ", env!("CARGO_PKG_VERSION")))),
        ("layer", json!(spec.name)),
        ("name", json!(vector.name)),
        ("flags", json!(vector.flags)),
        ("precision", json!(float_type.name())),
        ("seed", json!(seed)),
        ("settings", settings_json(&vector.settings)),
        ("inputs", serde_json::to_value(Arrays(&vector.inputs))?),
        ("dout", serde_json::to_value(Matrix(vector.dout.view()))?),
        ("outputs", serde_json::to_value(Arrays(&vector.outputs))?),
        ("gradients", serde_json::to_value(Arrays(&vector.gradients))?),
        ("tolerances", Value::from(tolerances)),
    ];
    let alternatives = (!vector.alternatives.is_empty()).then(|| serde_json::to_value(Arrays(&vector.alternatives)));
    let alternatives = alternatives.transpose()?.map(|value| ("alternatives", value));
    let further = alternatives.into_iter().chain(onnx.map(|value| ("onnx", value)));
    for (n, (key, value)) in members.into_iter().chain(further).enumerate() {
        write!(out, "{}\n  \"{key}\": ", if n == 0 { "{" } else { "," })?;
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                for (n, (key, value)) in entries.iter().enumerate() {
                    write!(out, "{}\n    {}: {value}", if n == 0 { "{" } else { "," }, json!(key))?;
                }
                write!(out, "\n  }}")?;
            }
            value => write!(out, "{value}")?,
        }
    }
    out.write_all(b"\n}\n")
}

fn attribute_json(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Integer(value) => json!(value),
        Attribute::Number(value) => json!(value),
        Attribute::Integers(values) => json!(values),
        Attribute::Text(text) => json!(text),
    }
}

/// Arrays by name.
struct Arrays<'a>(&'a Tensors<f64>);

impl Serialize for Arrays<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name.as_str(), &Matrix(value.view()))?;
        }
        map.end()
    }
}

/// A case that was read.
pub(super) struct ReadCase {
    pub(super) settings: Settings,
    pub(super) expected: Expected,
}

/// Reads a case of a layer, with the tolerances for a program of a type.
pub(super) fn read(bytes: &[u8], path: &str, spec: &LayerSpec, float_type: FloatType) -> Result<ReadCase, Error> {
    let node = json::parse(bytes, path)?;
    let document = Document { node: &node };
    let read = || {
        if !matches!(document.get(&[KEY])?, Node::Number(version) if *version == f64::from(VERSION)) {
            return Err(damaged(format!("the version of a vector must be {VERSION}"), KEY));
        }
        let mut settings = Settings::default();
        for (name, node) in document.entries(&["settings"])? {
            let setting = spec.settings.iter().find(|setting| setting.name == name);
            let value = setting.zip(node.setting()).map(|(setting, text)| setting.parse(&text));
            let (Some(setting), Some(value)) = (setting, value) else {
                return Err(damaged(format!("{} has no setting {name:?} of this value", spec.name), "settings"));
            };
            settings.set(setting.name, value?);
        }
        let point =
            Point { operands: document.arrays(&["inputs"])?, dout: Some(document.get(&["dout"])?.array("/dout")?) };
        let expected = Expected {
            point,
            outputs: document.arrays(&["outputs"])?,
            gradients: document.arrays(&["gradients"])?,
            tolerances: document.arrays(&["tolerances", float_type.name()])?,
            alternatives: document.arrays(&["alternatives"]).unwrap_or_default(),
        };
        Ok(ReadCase { settings, expected })
    };
    read().map_err(|error| error.with_origin(path))
}

/// Reads the names of the cases and their files, and the layer and the type of their inputs, from an index.
pub(super) fn read_index(bytes: &[u8], path: &str) -> Result<Index, Error> {
    let node = json::parse(bytes, path)?;
    let document = Document { node: &node };
    let read = || {
        let cases = match document.get(&["cases"])? {
            Node::List(cases) => cases.as_slice(),
            Node::Numbers(none) if none.is_empty() => &[],
            _ => return Err(damaged("expected a list of cases".to_owned(), "cases")),
        };
        let case = |node: &Node| {
            let document = Document { node };
            Ok((document.text("name")?, document.text("file")?))
        };
        let cases = cases.iter().map(case).collect::<Result<_, Error>>()?;
        let float_type = FloatType::named(&document.text("precision")?)
            .ok_or_else(|| damaged("expected f64, f32, f16 or bf16".to_owned(), "precision"))?;
        Ok(Index { layer: document.text("layer")?, float_type, cases })
    };
    read().map_err(|error| error.with_origin(path))
}

/// The content of an index.
pub(super) struct Index {
    pub(super) layer: String,
    pub(super) float_type: FloatType,
    /// Name and file of each case.
    pub(super) cases: Vec<(String, String)>,
}

/// A document of vectors, whose keys are all required.
struct Document<'a> {
    node: &'a Node,
}

impl<'a> Document<'a> {
    fn get(&self, path: &[&str]) -> Result<&'a Node, Error> {
        let key = |node: Option<&'a Node>, key: &&str| {
            let entries = node?.entries()?;
            entries.iter().find(|(known, _)| known == key).map(|(_, node)| node)
        };
        let node = path.iter().fold(Some(self.node), key);
        node.ok_or_else(|| damaged(format!("the key {} is missing", path.join("/")), &path.join("/")))
    }

    fn entries(&self, path: &[&str]) -> Result<&'a [(String, Node)], Error> {
        let entries = self.get(path)?.entries();
        entries.ok_or_else(|| damaged("expected an object".to_owned(), &path.join("/")))
    }

    fn arrays(&self, path: &[&str]) -> Result<Tensors<f64>, Error> {
        let array = |(name, node): &(String, Node)| {
            let value = node.array(&format!("/{}/{name}", path.join("/")))?;
            Ok((Name::new(name.as_str()), value))
        };
        self.entries(path)?.iter().map(array).collect()
    }

    fn text(&self, key: &str) -> Result<String, Error> {
        match self.get(&[key])? {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(damaged("expected a string".to_owned(), key)),
        }
    }
}

fn damaged(problem: String, path: &str) -> Error {
    Error::new(Code::Damaged, problem)
        .at(Place::Pointer(format!("/{path}")))
        .tip("write the vectors again: nnlayer vectors LAYER --out FOLDER")
}
