//! Shards, one after the other: of a file, or as lines of a stream that is never in memory whole.

use crate::cli::stream::Rounds;
use crate::core::error::{Code, Error, Place};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format;
use crate::format::json::Node;
use crate::format::{Format, Selector, json};
use crate::operand::grammar::OperandSpec;
use crate::operand::{Document, OperandReader, grammar, stdin};
use std::path::Path;

/// Bytes that are read at a time.
const ROUND: usize = 1 << 18;

/// What is done with a shard and its name.
type Add<'a> = dyn FnMut(Tensors<f64>, &str) -> Result<(), Error> + 'a;

/// Does something with each shard that a text stands for, and with its name.
pub(super) fn each(text: &str, reader: &mut OperandReader<'_>, add: &mut Add<'_>) -> Result<(), Error> {
    let (source, selector) = match grammar::parse(text)? {
        OperandSpec::Stdin(selector) => ("-".to_owned(), selector),
        OperandSpec::File(path, selector) => (path, selector),
        OperandSpec::Literal(_) | OperandSpec::Json(_) => {
            return Err(Error::new(Code::FormatUnknown, format!("{text:?} is no shard"))
                .tip("name a .json or .npz file; @NAME is always a file"));
        }
    };
    let label = if source == "-" { stdin::LABEL.to_owned() } else { source.clone() };
    if let Selector::Pointer(pointer) = &selector {
        let tree = reader.read_json(&format!("@{source}"))?.0;
        let node = tree.find(pointer).map_err(|error| error.with_origin(label.as_str()))?;
        return add(entries(&node, &label, 1)?, &format!("{label}#{pointer}"));
    }
    let extension = Path::new(&source).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if format::find_by_extension(extension).is_some_and(|format| format.name() != json::Json.name()) {
        return add(archive(text, reader, &label)?, &label);
    }
    lines(&source, reader, add)
}

/// A file that holds arrays by name.
fn archive(text: &str, reader: &mut OperandReader<'_>, label: &str) -> Result<Tensors<f64>, Error> {
    let unnamed = |error: Error| error.update(|said| said.operand = None);
    match reader.read_document(&Name::new("shard"), text).map_err(unnamed)? {
        Document::Named(named) => Ok(named.into_iter().map(|(name, operand)| (name, operand.value)).collect()),
        Document::Single(_) => Err(Error::new(Code::KeyMissing, "holds one array without a name")
            .with_origin(label)
            .tip("shards hold loss, dw, db by name: .json or .npz")),
    }
}

/// One object a line, or one over many lines.
fn lines(source: &str, reader: &mut OperandReader<'_>, add: &mut Add<'_>) -> Result<(), Error> {
    let (mut source, label) = reader.open_stream(&format!("@{source}"))?;
    let mut rounds = Rounds::new(&mut *source, ROUND);
    let (mut before, mut whole) = (0, None::<Vec<u8>>);
    while let Some(text) = rounds.next(false).map_err(|error| format::unreadable(&label, &error))? {
        if let Some(whole) = &mut whole {
            whole.extend_from_slice(text);
        } else if before == 0 && !begins_with_a_whole_object(text) {
            whole = Some(text.to_vec());
        } else {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                before += 1;
                if !line.trim_ascii().is_empty() {
                    add(shard(line, &label, before)?, &format!("{label}:{before}"))?;
                }
            }
        }
    }
    match whole {
        Some(whole) => add(shard(&whole, &label, 1)?, &label),
        None if before == 0 => {
            Err(Error::new(Code::EmptyValue, "is empty").with_origin(label).tip("did the command before it fail?"))
        }
        None => Ok(()),
    }
}

/// Whether the first line with something on it is an object; else the document may go over many lines.
fn begins_with_a_whole_object(text: &[u8]) -> bool {
    let first = text.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    first.is_some_and(|line| json::parse(line, "").is_ok())
}

/// A shard that begins in a line.
fn shard(text: &[u8], label: &str, line: usize) -> Result<Tensors<f64>, Error> {
    let node = json::parse(text.trim_ascii_end(), label).map_err(|error| later(error, line))?;
    entries(&node, label, line)
}

/// An error whose lines are counted from there.
fn later(error: Error, line: usize) -> Error {
    match error.at.clone() {
        Some(Place::Text { line: own, column, pointer }) => {
            error.at(Place::Text { line: own + line - 1, column, pointer })
        }
        _ => error,
    }
}

/// Every array of an object, those of an object inside it under both names.
fn entries(node: &Node, label: &str, line: usize) -> Result<Tensors<f64>, Error> {
    let refuse = |message: &str, tip: &str| {
        Err(Error::new(Code::KeyMissing, message)
            .with_origin(label)
            .at(Place::Text { line, column: 1, pointer: String::new() })
            .tip(tip))
    };
    let Node::Object(keys) = node else {
        return refuse("is no object with results by name", "shards are written with --json, or as .npz");
    };
    let has = |name: &str| keys.iter().any(|(key, _)| key == name);
    if has(crate::network::document::KEY) {
        return refuse("is a tape", "nnlayer backward --json writes its gradients");
    }
    if has("error") {
        return refuse("is an error in the place of results", "repair what it names, or leave the record out");
    }
    let mut found = Tensors::new();
    flatten(keys, "", &mut found);
    Ok(found)
}

/// What is no array of numbers is not for summing.
fn flatten(keys: &[(String, Node)], prefix: &str, found: &mut Tensors<f64>) {
    for (key, node) in keys {
        match node {
            Node::Object(keys) => flatten(keys, &format!("{prefix}{key}."), found),
            node => {
                if let Ok(value) = node.matrix("") {
                    found.insert(Name::new(format!("{prefix}{key}")), value);
                }
            }
        }
    }
}
