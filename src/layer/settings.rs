//! What can be set on a layer, declared without knowing how it is typed.

use crate::core::error::{Code, Error};
use crate::core::name::Name;

/// A setting of a layer: option, JSON key and help line.
pub struct Setting {
    /// Option and key.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Half a line of help.
    pub doc: &'static str,
}

/// What a setting takes.
pub enum Kind {
    /// Given or not.
    Flag,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of these words; the first where nothing is said, unless the layer decides.
    Choice(&'static [&'static str]),
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a flag.
    Flag(bool),
    /// Of a whole number.
    Integer(i64),
    /// Of a number.
    Number(f64),
    /// Of a choice.
    Choice(&'static str),
}

impl Setting {
    /// Reads what was typed, or stands as a string or number in JSON.
    pub fn read(&self, text: &str) -> Result<Value, Error> {
        let refuse = |wanted: String| {
            Error::new(Code::Setting, format!("{text:?} is not {wanted}"))
                .with_operand(&Name::new(self.name))
                .tip(self.doc)
        };
        match &self.kind {
            Kind::Flag => match text {
                "true" => Ok(Value::Flag(true)),
                "false" => Ok(Value::Flag(false)),
                _ => Err(refuse("true or false".to_owned())),
            },
            Kind::Integer => text.trim().parse().map(Value::Integer).map_err(|_| refuse("a whole number".to_owned())),
            Kind::Number => text.trim().parse().map(Value::Number).map_err(|_| refuse("a number".to_owned())),
            Kind::Choice(words) => words
                .iter()
                .find(|word| **word == text)
                .map(|word| Value::Choice(word))
                .ok_or_else(|| refuse(format!("one of {}", words.join(", ")))),
        }
    }
}

/// The settings that were given; everything else has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Vec<(&'static str, Value)>);

impl Settings {
    /// Sets a value; the last one counts.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
    }

    /// The value, where one was given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Whether a flag is up.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Value::Number(value)) => Some(*value),
            _ => None,
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// A word.
    pub fn choice(&self, name: &str) -> Option<&'static str> {
        match self.get(name) {
            Some(Value::Choice(word)) => Some(word),
            _ => None,
        }
    }
}
