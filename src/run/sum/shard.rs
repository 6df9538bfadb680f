//! Reads shards one after the other: files, or lines of a stream of any length.

use crate::core::error::{Code, Error, Place};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format;
use crate::format::json::Node;
use crate::format::{Format, Selector, json};
use crate::network::document;
use crate::operand::grammar::OperandSpec;
use crate::operand::{OperandReader, OperandSet, grammar, stdin};
use crate::run::ndjson::line_chunks::{CHUNK_BYTES, LineReader};
use std::path::Path;

/// Function that receives each shard and its name.
type AddShard<'a> = dyn FnMut(Tensors<f64>, &str) -> Result<(), Error> + 'a;

/// Calls `add` with each shard of a file, or of standard input.
pub(super) fn for_each(text: &str, reader: &mut OperandReader<'_>, add: &mut AddShard<'_>) -> Result<(), Error> {
    let (source, selector) = match grammar::parse(text)? {
        OperandSpec::Stdin(selector) => ("-".to_owned(), selector),
        OperandSpec::File(path, selector) => (path, selector),
        OperandSpec::Literal(_) | OperandSpec::Json(_) | OperandSpec::Layer(_) => {
            return Err(Error::new(Code::FormatUnknown, format!("expected the file of a shard, got {text:?}"))
                .tip("name a .json or .npz file; @NAME is always a file"));
        }
    };
    let label = if source == "-" { stdin::LABEL.to_owned() } else { source.clone() };
    if let Selector::Pointer(pointer) = &selector {
        let tree = reader.read_json(&format!("@{source}"))?.0;
        let node = tree.find(pointer).map_err(|error| error.with_origin(label.as_str()))?;
        return add(read_results(&node, &label, 1)?, &format!("{label}#{pointer}"));
    }
    let extension = Path::new(&source).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if format::find_by_extension(extension).is_some_and(|format| format.name() != json::Json.name()) {
        return add(read_archive(text, reader, &label)?, &label);
    }
    for_each_line(&source, reader, add)
}

/// Reads a file that holds named arrays.
fn read_archive(text: &str, reader: &mut OperandReader<'_>, label: &str) -> Result<Tensors<f64>, Error> {
    let document = reader.read_document(&Name::new("shard"), text);
    match document.map_err(|error| error.update(|parts| parts.operand = None))? {
        OperandSet::Named(named) => Ok(named.into_iter().map(|(name, operand)| (name, operand.value)).collect()),
        OperandSet::Single(_) => Err(Error::new(Code::KeyMissing, "is a single array without a name")
            .with_origin(label)
            .tip("write shards (loss, dw, db, …) as .json or .npz")),
    }
}

/// Reads a JSON object from each line, or a single object from all lines.
fn for_each_line(source: &str, reader: &mut OperandReader<'_>, add: &mut AddShard<'_>) -> Result<(), Error> {
    let (mut source, label) = reader.open_stream(&format!("@{source}"))?;
    let mut lines = LineReader::new(&mut *source, CHUNK_BYTES);
    let (mut line_count, mut document) = (0, None::<Vec<u8>>);
    while let Some(text) = lines.next_lines(false).map_err(|error| format::read_error(&label, &error))? {
        if let Some(document) = &mut document {
            document.extend_from_slice(text);
        } else if line_count == 0 && !starts_with_record(text) {
            document = Some(text.to_vec());
        } else {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                line_count += 1;
                if !line.trim_ascii().is_empty() {
                    add(parse(line, &label, line_count)?, &format!("{label}:{line_count}"))?;
                }
            }
        }
    }
    match document {
        Some(document) => add(parse(&document, &label, 1)?, &label),
        None if line_count == 0 => Err(Error::new(Code::EmptyValue, "is empty")
            .with_origin(label)
            .tip("check that the command before it succeeded")),
        None => Ok(()),
    }
}

/// Returns true if the first line that is not blank is a document of its own.
fn starts_with_record(text: &[u8]) -> bool {
    let first = text.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    first.is_some_and(|line| json::parse(line, "").is_ok())
}

/// Parses a shard that starts in the given line.
fn parse(text: &[u8], label: &str, first_line: usize) -> Result<Tensors<f64>, Error> {
    let node = json::parse(text.trim_ascii_end(), label).map_err(|error| match error.at.clone() {
        Some(Place::Text { line, column, pointer }) => {
            error.at(Place::Text { line: line + first_line - 1, column, pointer })
        }
        _ => error,
    })?;
    read_results(&node, label, first_line)
}

/// Returns every array of an object; those of an object inside are named `layer.result`.
fn read_results(node: &Node, label: &str, line: usize) -> Result<Tensors<f64>, Error> {
    let refuse = |message: &str, tip: &str| {
        let place = Place::Text { line, column: 1, pointer: String::new() };
        Err(Error::new(Code::KeyMissing, message).with_origin(label).at(place).tip(tip))
    };
    let Node::Object(keys) = node else {
        return refuse("expected an object with results by name", "write shards with --json, or as .npz");
    };
    let has = |name: &str| keys.iter().any(|(key, _)| key == name);
    if has(document::KEY) {
        return refuse("expected results, got a tape", "compute its gradients with nnlayer backward --json");
    }
    if has("error") {
        return refuse("expected results, got an error", "correct the record that it reports, or remove it");
    }
    let mut results = Tensors::new();
    collect_arrays(keys, "", &mut results);
    Ok(results)
}

/// Adds the arrays of an object to `results`; other values are ignored.
fn collect_arrays(keys: &[(String, Node)], prefix: &str, results: &mut Tensors<f64>) {
    for (key, node) in keys {
        if let Some(keys) = node.entries() {
            collect_arrays(keys, &format!("{prefix}{key}."), results);
        } else if let Ok(value) = node.array("") {
            results.insert(Name::new(format!("{prefix}{key}")), value);
        }
    }
}
