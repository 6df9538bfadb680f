//! Names of operands and results. Options, JSON keys and messages take their spelling from here.

use super::printable::is_printable;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fmt::Write;

/// Returns the index of the key that is the name, or else of the only one that is the name in another case.
///
/// ```
/// use nnlayer::core::name::find_key;
/// assert_eq!(find_key(&["W", "w"], "w"), Some(1));
/// assert_eq!(find_key(&["x", "dW"], "dw"), Some(1));
/// assert_eq!(find_key(&["DW", "dW"], "dw"), None);
/// ```
pub fn find_key(keys: &[impl AsRef<str>], name: &str) -> Option<usize> {
    let exact = keys.iter().position(|key| key.as_ref() == name);
    let mut similar = keys.iter().enumerate().filter(|(_, key)| key.as_ref().eq_ignore_ascii_case(name));
    exact.or_else(|| match (similar.next(), similar.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    })
}

/// Returns a name as it is compared with those of other spellings: in lower case, without hyphens and underscores.
///
/// ```
/// use nnlayer::core::name::fold_spelling;
/// assert_eq!(fold_spelling("Layer_Norm"), fold_spelling("layernorm"));
/// ```
pub fn fold_spelling(name: &str) -> String {
    name.to_lowercase().replace(['-', '_'], "")
}

/// Returns the Damerau–Levenshtein distance of two names, if it is at most 3. Long texts are not compared, because the distance
/// takes memory proportional to the product of the lengths.
pub fn edit_distance(a: &str, b: &str) -> Option<usize> {
    const MAX_BYTES: usize = 200;
    (a.len() <= MAX_BYTES && b.len() <= MAX_BYTES)
        .then(|| strsim::damerau_levenshtein(a, b))
        .filter(|edits| *edits <= 3)
}

/// Gives keys that are a name in another case the spelling of that name.
pub fn adopt_spelling<'a>(keys: Vec<&mut Name>, names: impl Iterator<Item = &'a Name>) {
    let names: HashSet<&Name> = names.collect();
    if keys.iter().all(|key| names.contains(&**key)) {
        return;
    }
    let mut spelled: HashMap<String, Option<&Name>> = HashMap::new();
    for name in names {
        // Two names that differ only in case have no common spelling.
        spelled.entry(name.0.to_ascii_lowercase()).and_modify(|other| *other = None).or_insert(Some(name));
    }
    let mut found: HashMap<String, usize> = HashMap::new();
    keys.iter().for_each(|key| *found.entry(key.0.to_ascii_lowercase()).or_default() += 1);
    for key in keys {
        let lower = key.0.to_ascii_lowercase();
        if let Some(Some(name)) = spelled.get(&lower).filter(|_| found[&lower] == 1) {
            *key = (*name).clone();
        }
    }
}

/// The name of an operand or a result. `--x`, the JSON key `x` and "x" in a message are one `Name`.
///
/// ```
/// use nnlayer::core::name::Name;
/// assert_eq!(Name::W.gradient(), Name::DW);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// Input of a layer; the logits of `softmax` and `softmax-xent`.
    pub const X: Name = Name::fixed("x");
    /// First input of a layer of several.
    pub const X1: Name = Name::fixed("x1");
    /// Second input of a layer of several.
    pub const X2: Name = Name::fixed("x2");
    /// Weight W, (in, out).
    pub const W: Name = Name::fixed("w");
    /// Bias.
    pub const B: Name = Name::fixed("b");
    /// Output of a layer; the probabilities of `softmax`.
    pub const Y: Name = Name::fixed("y");
    /// Targets.
    pub const T: Name = Name::fixed("t");
    /// Row indices of an embedding.
    pub const IDS: Name = Name::fixed("ids");
    /// Positions of rows in a sequence.
    pub const POSITIONS: Name = Name::fixed("positions");
    /// Mask of dropout or attention.
    pub const MASK: Name = Name::fixed("mask");
    /// Weight of each class in a loss.
    pub const WEIGHT: Name = Name::fixed("weight");
    /// Upstream gradient ∂L/∂y.
    pub const DOUT: Name = Name::fixed("dout");
    /// Loss.
    pub const LOSS: Name = Name::fixed("loss");
    /// Number that a mean reduction divides by.
    pub const DIVISOR: Name = Name::fixed("divisor");
    /// Gradient ∂L/∂x.
    pub const DX: Name = Name::fixed("dx");
    /// Gradient ∂L/∂W.
    pub const DW: Name = Name::fixed("dw");
    /// Gradient ∂L/∂b.
    pub const DB: Name = Name::fixed("db");
    /// Gradient ∂L/∂y, of a loss by the probabilities.
    pub const DY: Name = Name::fixed("dy");

    /// Returns a name known at compile time.
    pub const fn fixed(text: &'static str) -> Name {
        Name(Cow::Borrowed(text))
    }

    /// Returns a name known at run time, such as a key of a program's reply.
    pub fn new(text: impl Into<String>) -> Name {
        Name(Cow::Owned(text.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name qualified by a layer of a chain: `fc1.w`.
    pub fn in_layer(&self, layer: &str) -> Name {
        Name::new(format!("{layer}.{}", self.0))
    }

    /// Returns the name of the gradient with respect to this operand: `w` gives `dw`.
    pub fn gradient(&self) -> Name {
        Name::new(format!("d{}", self.0))
    }

    /// Returns the operand whose gradient has this name: `dw` gives `w`.
    pub fn operand(&self) -> Option<Name> {
        self.0.strip_prefix('d').map(Name::new)
    }
}

/// For people: characters that no terminal should receive from a file are escaped, as `\n` or `\u{1b}`. Keys of files are written
/// from [`Name::as_str`].
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            if is_printable(letter) { f.write_char(letter)? } else { write!(f, "{}", letter.escape_default())? }
        }
        Ok(())
    }
}
