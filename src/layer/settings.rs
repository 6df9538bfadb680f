//! Settings of layers: options that are not arrays, independent of the command line.

use crate::core::error::{Code, Error};
use crate::core::name::Name;

/// A setting of a layer: an option, JSON key and help text.
pub struct Setting {
    /// The name of the option and of the JSON key.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// Help text.
    pub doc: &'static str,
}

/// Kind of a setting's values.
pub enum Kind {
    /// True or false.
    Flag,
    /// An integer.
    Integer,
    /// A number; usual values, with which a check compares a wrong program. The first is the default if that is a number.
    Number(&'static [f64]),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of integers: `2,1`, in JSON `[2,1]`.
    Integers,
    /// Rows of integers, or one of these words: `1,2;0,1`, in JSON `[[1,2],[0,1]]`.
    IntegerRows(&'static [&'static str]),
}

/// Value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The value of a flag.
    Flag(bool),
    /// An integer.
    Integer(i64),
    /// A number.
    Number(f64),
    /// The word of a choice.
    Choice(&'static str),
    /// A list of integers, which is not empty.
    Integers(Vec<i64>),
    /// Rows of integers, none of them empty.
    IntegerRows(Vec<Vec<i64>>),
}

impl Setting {
    /// Parses the text of an option, or of a JSON string or number.
    pub fn parse(&self, text: &str) -> Result<Value, Error> {
        let refuse = |expected: &str| {
            Error::new(Code::Setting, format!("expected {expected}, got {text:?}"))
                .with_operand(&Name::new(self.name))
                .tip(self.doc)
        };
        match &self.kind {
            Kind::Flag => match text {
                "true" => Ok(Value::Flag(true)),
                "false" => Ok(Value::Flag(false)),
                _ => Err(refuse("true or false")),
            },
            Kind::Integer => text.trim().parse().map(Value::Integer).map_err(|_| refuse("an integer")),
            Kind::Number(_) => text.trim().parse().map(Value::Number).map_err(|_| refuse("a number")),
            Kind::Choice(words) => word_of(words, text).ok_or_else(|| refuse(&format!("one of {}", words.join(", ")))),
            Kind::Integers => integers(text).map(Value::Integers).ok_or_else(|| refuse("integers such as 2,1")),
            Kind::IntegerRows(words) => word_of(words, text).or_else(|| integer_rows(text)).ok_or_else(|| {
                refuse(&format!("a number, rows of integers such as 1,2;0,1, or one of {}", words.join(", ")))
            }),
        }
    }
}

/// Returns the choice of a word.
fn word_of(words: &[&'static str], text: &str) -> Option<Value> {
    words.iter().find(|word| **word == text).map(|word| Value::Choice(word))
}

/// Parses `2,1` or `2 1`.
fn integers(text: &str) -> Option<Vec<i64>> {
    if text.contains(',') {
        return text.split(',').map(|integer| integer.trim().parse().ok()).collect();
    }
    let integers: Option<Vec<i64>> = text.split_whitespace().map(|integer| integer.parse().ok()).collect();
    integers.filter(|integers| !integers.is_empty())
}

/// Parses `1,2;0,1`. A single row may end with a semicolon, as that of an operand does.
fn integer_rows(text: &str) -> Option<Value> {
    let text = text.trim();
    let rows = text.strip_suffix(';').unwrap_or(text).split(';');
    rows.map(integers).collect::<Option<_>>().map(Value::IntegerRows)
}

/// The settings that are not the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Vec<(&'static str, Value)>);

impl Settings {
    /// Sets a value, in place of an earlier one.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.unset(name);
        self.0.push((name, value));
    }

    /// Sets a value back to the default.
    pub fn unset(&mut self, name: &str) {
        self.0.retain(|(known, _)| *known != name);
    }

    /// Returns the value, if it is set.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns names and values, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Returns true if a flag is set.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// Returns a number, if it is set.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Value::Number(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns an integer, if it is set.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns the word of a choice, if it is set.
    pub fn choice(&self, name: &str) -> Option<&'static str> {
        match self.get(name) {
            Some(Value::Choice(word)) => Some(word),
            _ => None,
        }
    }

    /// Returns a list of integers, if it is set.
    pub fn integers(&self, name: &str) -> Option<&[i64]> {
        match self.get(name) {
            Some(Value::Integers(values)) => Some(values),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_rows_of_integers_are_read_and_others_refused() {
        let list = |text: &str| Setting { name: "stride", kind: Kind::Integers, doc: "" }.parse(text).ok();
        for (text, values) in [("2", &[2][..]), ("2,1", &[2, 1]), (" -1, 0 ", &[-1, 0]), ("3 4", &[3, 4])] {
            assert_eq!(list(text), Some(Value::Integers(values.to_vec())), "{text}");
        }
        for text in ["", "2,", "2,,1", "2.5", "2;1", "a", "9223372036854775808"] {
            assert_eq!(list(text), None, "{text}");
        }
        let kind = || Kind::IntegerRows(&["same"]);
        let rows = |text: &str| Setting { name: "padding", kind: kind(), doc: "" }.parse(text).ok();
        let some = |rows: &[&[i64]]| Some(Value::IntegerRows(rows.iter().map(|row| row.to_vec()).collect()));
        assert_eq!(rows("same"), Some(Value::Choice("same")));
        assert_eq!((rows("1"), rows("1,2"), rows("1,2;")), (some(&[&[1]]), some(&[&[1, 2]]), some(&[&[1, 2]])));
        assert_eq!((rows("1,2;0,1"), rows("1;2")), (some(&[&[1, 2], &[0, 1]]), some(&[&[1], &[2]])));
        assert_eq!((rows(""), rows(";"), rows("1;;2"), rows("valid")), (None, None, None, None));
    }
}
