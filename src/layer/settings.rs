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
    /// A number.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
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
            Kind::Number => text.trim().parse().map(Value::Number).map_err(|_| refuse("a number")),
            Kind::Choice(words) => words
                .iter()
                .find(|word| **word == text)
                .map(|word| Value::Choice(word))
                .ok_or_else(|| refuse(&format!("one of {}", words.join(", ")))),
        }
    }
}

/// The settings that are not the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Vec<(&'static str, Value)>);

impl Settings {
    /// Sets a value, in place of an earlier one.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
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
}
