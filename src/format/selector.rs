//! Selectors: the text after `#`, which names one array of a file.

/// Selection of one of a file's arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// No selector: the only array, or the one with the operand's name.
    Default,
    /// A JSON pointer, `/layers/0/w`; in an archive the array's name after the first `/`.
    Pointer(String),
}

impl Selector {
    /// Parses the text after `#`; `#w` is short for `#/w`.
    pub fn parse(text: &str) -> Selector {
        match text {
            "" => Selector::Default,
            pointer if pointer.starts_with('/') => Selector::Pointer(pointer.to_owned()),
            key => Selector::Pointer(format!("/{}", escape(key))),
        }
    }

    /// Returns the JSON pointer; without a selector that of the whole document.
    pub fn pointer(&self) -> &str {
        match self {
            Selector::Default => "",
            Selector::Pointer(pointer) => pointer,
        }
    }

    /// Returns the array's name in an archive: `/layers/0/w` selects `layers/0/w`.
    pub fn name(&self) -> Option<String> {
        match self {
            Selector::Default => None,
            Selector::Pointer(pointer) => Some(unescape(pointer.strip_prefix('/').unwrap_or(pointer))),
        }
    }
}

/// Escapes a key as a token of a JSON pointer (RFC 6901): `~` is `~0`, `/` is `~1`.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the key that a token of a JSON pointer stands for.
pub fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
