//! Symbols: the names that a picture has for operands and results. `w` is W as in prose; in a chain whose layers have no names of
//! their own, the weights are W₁, W₂, …, and the values between layers x₁, x₂, ….

use super::computed_layer::ComputedLayer;
use crate::core::name::Name;
use crate::graph::words;
use crate::network::Source;
use std::collections::BTreeMap;

/// Number of layers up to which a chain says what x₁, x₂, … are.
const MAX_EXPLAINED_LAYERS: usize = 8;

/// Symbols of names.
#[derive(Default)]
pub(super) struct Symbols {
    /// Symbol of each name whose symbol is another.
    pub(super) by_name: BTreeMap<String, String>,
    /// Explains the symbols.
    pub(super) note: Option<String>,
}

/// The number of a layer among those that have an operand or result, and how many have it.
struct Numbers {
    count: BTreeMap<Name, usize>,
    seen: BTreeMap<Name, usize>,
}

impl Numbers {
    fn new(layers: &[ComputedLayer<'_>]) -> Numbers {
        let mut count = BTreeMap::new();
        layers.iter().flat_map(own_names).for_each(|name| *count.entry(name.clone()).or_insert(0) += 1);
        Numbers { count, seen: BTreeMap::new() }
    }

    /// Returns the symbol of a layer's operand or result: a weight is W. Where several layers have it, the layer's number or name
    /// tells them apart.
    fn symbol(&mut self, layer: &ComputedLayer<'_>, name: &Name, is_numbered: bool) -> String {
        let symbol = if *name == Name::W { "W".to_owned() } else { name.to_string() };
        let number = self.seen.entry(name.clone()).or_insert(0);
        *number += 1;
        match (layer.name, self.count.get(name)) {
            (Some(_), Some(2..)) if is_numbered => symbol + &subscript(*number),
            (Some(layer), Some(2..)) => format!("{layer}.{symbol}"),
            _ => symbol,
        }
    }
}

/// Returns the operands that no other layer gives, and the results but the output.
fn own_names<'a>(layer: &'a ComputedLayer<'_>) -> impl Iterator<Item = &'a Name> {
    let operands = layer.at.iter().map(|(name, _)| name).filter(|name| source_of(layer, name).is_none());
    operands.chain(layer.outcome.results.iter().map(|(name, _)| name).filter(|name| **name != layer.spec.output))
}

fn source_of(layer: &ComputedLayer<'_>, operand: &Name) -> Option<Source> {
    layer.sources.iter().find(|(name, _)| name == operand).map(|(_, source)| *source)
}

impl Symbols {
    pub(super) fn new(layers: &[ComputedLayer<'_>]) -> Symbols {
        let mut symbols = Symbols::default();
        let is_default = |layer: &ComputedLayer<'_>| {
            let number = layer.name.and_then(|name| name.strip_prefix(layer.spec.name));
            number.is_some_and(|number| number.chars().all(|digit| digit.is_ascii_digit()))
        };
        let is_numbered = layers.iter().all(is_default);
        let mut numbers = Numbers::new(layers);
        // Number of operands that each source gives; gradients of several readers of a value keep their names.
        let mut readers: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        let key = |source: Source| if let Source::Layer(layer) = source { Some(layer) } else { None };
        let sources = layers.iter().flat_map(|layer| layer.sources.iter().map(|(_, source)| key(*source)));
        sources.for_each(|source| *readers.entry(source).or_insert(0) += 1);
        let mut explained = (Vec::new(), Vec::new());
        for (n, layer) in layers.iter().enumerate() {
            for (operand, _) in layer.at.iter() {
                let source = source_of(layer, operand);
                let is_only = source.is_none_or(|source| readers.get(&key(source)) == Some(&1));
                let symbol = match source {
                    Some(Source::Layer(earlier)) if is_numbered => format!("x{}", subscript(earlier + 1)),
                    Some(Source::Layer(_)) => continue,
                    Some(Source::Input) if layer.name.is_some() => Name::X.to_string(),
                    _ => numbers.symbol(layer, operand, is_numbered),
                };
                if is_only {
                    symbols.insert(layer, &operand.gradient(), format!("d{symbol}"));
                }
                symbols.insert(layer, operand, symbol);
            }
            let is_last = n + 1 == layers.len();
            for (result, _) in layer.outcome.results.iter() {
                let is_output = *result == layer.spec.output;
                let symbol = match is_numbered {
                    true if is_output && !is_last => format!("x{}", subscript(n + 1)),
                    true if !is_output => numbers.symbol(layer, result, true),
                    _ if is_last => result.to_string(),
                    _ => continue,
                };
                if is_output && !is_last {
                    explained.0.push(symbol.clone());
                    explained.1.push(layer.name.unwrap_or_default());
                }
                symbols.insert(layer, &result.gradient(), format!("d{symbol}"));
                symbols.insert(layer, result, symbol);
            }
        }
        if (1..=MAX_EXPLAINED_LAYERS).contains(&explained.0.len()) {
            symbols.note = Some(words::layer_outputs(&explained.0, &explained.1));
        }
        symbols
    }

    fn insert(&mut self, layer: &ComputedLayer<'_>, name: &Name, symbol: String) {
        self.by_name.insert(layer.qualified_name(name), symbol);
    }

    /// Returns a formula of a layer's operands with their symbols: `x₁·W₂` for `x·W`.
    pub(super) fn formula(&self, layer: &ComputedLayer<'_>, formula: &str) -> String {
        let symbol = |word: &str| {
            let (operand, _) = layer.at.iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case(word))?;
            self.by_name.get(&layer.qualified_name(operand)).cloned()
        };
        let mut text = String::new();
        let mut rest = formula;
        while let Some(first) = rest.chars().next() {
            // The sign of a transpose counts as a letter elsewhere.
            let is_letter = |c: char| c.is_alphanumeric() && c != 'ᵀ';
            let is_word = is_letter(first);
            let end = rest.find(|c: char| is_letter(c) != is_word).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            text += &symbol(word).unwrap_or_else(|| word.to_owned());
            rest = after;
        }
        text
    }
}

/// Returns a number as a subscript.
fn subscript(number: usize) -> String {
    let digit = |digit: char| char::from_u32(u32::from('₀') + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit);
    number.to_string().chars().map(digit).collect()
}
