//! The hello of a program: its reply to the request without points, which is the first under `--persistent`.

use super::array_form::ArrayForm;
use crate::core::error::{Code, Error, join_names, sanitize};
use crate::format::json;
use crate::format::json::Node;

/// Properties of a program that it states in its hello.
#[derive(Clone, Copy)]
pub(super) struct Hello {
    /// Version of the protocol.
    pub(super) version: u32,
    /// Form of the arrays in requests.
    pub(super) arrays: ArrayForm,
}

impl Hello {
    /// A program of version 1, which says no hello.
    pub(super) const VERSION_1: Hello = Hello { version: 1, arrays: ArrayForm::Lists };

    /// Parses the reply to a request without points: a hello of version 2, or the reply of version 1. `None` if it is neither.
    pub(super) fn parse(reply: &[u8], layer: &str) -> Result<Option<Hello>, Error> {
        let Ok(Node::Object(entries)) = json::parse(reply, "") else { return Ok(None) };
        Hello::read(&entries, layer).map_err(|error| {
            error.tip(r#"reply with {"nnlayer":2,"layers":["affine"],"arrays":"base64"}, without layers or arrays if you like"#)
        })
    }

    fn read(entries: &[(String, Node)], layer: &str) -> Result<Option<Hello>, Error> {
        let value = |key: &str| entries.iter().find(|(known, _)| known == key).map(|(_, node)| node);
        match value("nnlayer") {
            Some(Node::Number(2.0)) => {}
            None | Some(Node::Number(1.0)) => {
                let is_empty = matches!(value("points"), Some(Node::Numbers(points)) if points.is_empty());
                return Ok(is_empty.then_some(Hello::VERSION_1));
            }
            Some(_) => {
                return Err(hello_error("the nnlayer of the hello must be 2, the version of the protocol".to_owned()));
            }
        }
        if let Some(layers) = value("layers") {
            let layers = read_names(layers)
                .ok_or_else(|| hello_error("the layers of the hello must be a list of names".to_owned()))?;
            if !layers.contains(&layer) {
                let message = format!("the program computes {}, not {layer}", join_names(&layers));
                return Err(hello_error(message)
                    .tip(format!("name one of them with --layer, or add {layer} to the layers of the hello")));
            }
        }
        let arrays = match value("arrays") {
            None => ArrayForm::Lists,
            Some(Node::Text(word)) if word == "lists" => ArrayForm::Lists,
            Some(Node::Text(word)) if word == "base64" => ArrayForm::Base64,
            Some(other) => {
                let got = sanitize(&other.word().unwrap_or_default());
                return Err(hello_error(format!("the arrays of the hello must be lists or base64, got {got:?}")));
            }
        };
        Ok(Some(Hello { version: 2, arrays }))
    }
}

/// Returns the strings of a list, which is not empty.
fn read_names(node: &Node) -> Option<Vec<&str>> {
    let Node::List(list) = node else { return None };
    let names = list.iter().map(|node| match node {
        Node::Text(name) => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

fn hello_error(message: String) -> Error {
    Error::new(Code::ReplyValue, message)
}
