//! Folds formulas that are wider than the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Signs before which a formula is folded.
const OPERATORS: [&str; 7] = ["+", "−", "/", "=", "≈", "✓", "✗"];

/// Splits a formula into lines of at most `max_width` columns, as far as it has places for that: before an operator or, better, after a
/// comma, with as few open parentheses as possible. All lines but the first are indented.
pub(super) fn fold(formula: &str, indent: usize, max_width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = formula.to_owned();
    while rest.width() > max_width {
        let places = places(&rest, indent, max_width);
        // At least a quarter of a line is full, if possible.
        let is_short = |place: &Place| 4 * place.width < max_width + 3 * indent;
        let cost = |place: &&Place| (is_short(place), place.depth, !place.is_after_comma, rest.len() - place.at);
        let Some(at) = places.iter().min_by_key(cost).map(|place| place.at) else { break };
        let next = format!("{}{}", " ".repeat(indent), rest[at..].trim_start());
        rest.truncate(rest[..at].trim_end().len());
        lines.push(std::mem::replace(&mut rest, next));
    }
    lines.push(rest);
    lines
}

/// A place at which a formula may be folded.
struct Place {
    /// Its index in the text.
    at: usize,
    /// Width of the text before it.
    width: usize,
    /// Number of open parentheses.
    depth: usize,
    is_after_comma: bool,
}

/// Returns the places within a width and right of the indent, or the first one beyond the width if there are none.
fn places(text: &str, indent: usize, max_width: usize) -> Vec<Place> {
    let (mut places, mut depth, mut width, mut last) = (Vec::new(), 0usize, 0, ' ');
    for (at, letter) in text.char_indices() {
        if width > max_width && !places.is_empty() {
            break;
        }
        let is_after_comma = (last == ',' && letter == ' ') || last == '、';
        let next = text[at..].strip_prefix(' ').unwrap_or_default();
        // Two blanks precede a shape or a grade.
        let is_place = is_after_comma || next.starts_with(' ') || OPERATORS.iter().any(|sign| next.starts_with(sign));
        if is_place && width > indent {
            places.push(Place { at, width, depth, is_after_comma });
        }
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        width += letter.width().unwrap_or(0);
        last = letter;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_folded_before_operators_outside_of_parentheses() {
        let formula = "  dx = (1 + 2)·(3 + 4) + (5 + 6)·(7 + 8) ≈ 180";
        assert_eq!(fold(formula, 7, 30), ["  dx = (1 + 2)·(3 + 4)", "       + (5 + 6)·(7 + 8) ≈ 180"]);
        assert_eq!(fold(formula, 7, 60), [formula]);
    }

    #[test]
    fn a_formula_without_a_better_place_is_folded_in_parentheses_or_stays() {
        assert_eq!(fold("y = max(100, 200, 300, 400)", 4, 20), ["y = max(100, 200,", "    300, 400)"]);
        assert_eq!(fold("y = 100·200·300·400·500·600", 4, 20), ["y = 100·200·300·400·500·600"]);
        assert_eq!(fold("y = 100·200·300·400·500 + 6 + 7 ≈ 8", 4, 20), ["y = 100·200·300·400·500", "    + 6 + 7 ≈ 8"]);
    }
}
