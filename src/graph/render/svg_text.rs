//! Text in an SVG file: lines, formulas, brackets around matrices.

use crate::graph::label::{LabelLine, LineKind};
use crate::graph::model::Level;
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// Width of a character, in pixels.
pub(super) const CHAR_WIDTH: i32 = 8;
/// Height of a line of text, in pixels.
pub(super) const LINE_HEIGHT: i32 = 16;

/// Returns the identifier of an arrow head; the graphs of a page have different ones.
pub(super) fn marker_id(name: &str, level: Level) -> String {
    let level = match level {
        Level::Scalar => "",
        Level::Tensor => "-tensor",
        Level::Layer => "-layer",
    };
    format!("nnlayer-{name}{level}")
}

/// Writes lines of text, the first at `y`.
pub(super) fn text_lines(class: &str, lines: &[LabelLine], x: f64, y: i32, text: &mut String) {
    for (y, line) in (y..).step_by(usize::try_from(LINE_HEIGHT).unwrap_or(1)).zip(lines) {
        let class = match line.kind {
            LineKind::Missing => "none",
            LineKind::Sum => "sum",
            _ => class,
        };
        let _ = writeln!(
            text,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" xml:space=\"preserve\">{}</text>",
            escape(&typeset(&line.text))
        );
    }
}

/// Replaces the hyphen before a number by a minus sign.
pub(super) fn typeset(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_minus = |n: usize| {
        chars[n] == '-'
            && (n == 0 || !chars[n - 1].is_alphanumeric())
            && chars.get(n + 1).is_some_and(|next| next.is_ascii_digit() || *next == 'i')
    };
    (0..chars.len()).map(|n| if is_minus(n) { '−' } else { chars[n] }).collect()
}

/// Draws brackets around the rows of each matrix among the lines, the first of which is at `y`.
pub(super) fn brackets(class: &str, lines: &[LabelLine], middle: f64, y: i32, text: &mut String) {
    let width = lines.iter().filter(|line| line.kind == LineKind::Numbers).map(|line| chars(&line.text)).max();
    let half = f64::from(width.unwrap_or(0) * CHAR_WIDTH) / 2.0 + 3.0;
    let mut first = 0;
    for matrix in lines.chunk_by(|a, b| a.kind == b.kind) {
        let y = y + LINE_HEIGHT * i32::try_from(first).unwrap_or(0);
        first += matrix.len();
        if matrix[0].kind != LineKind::Numbers {
            continue;
        }
        let (top, bottom) = (y - 12, y - 13 + LINE_HEIGHT * i32::try_from(matrix.len()).unwrap_or(0));
        for (side, foot) in [(-1.0, 3.0), (1.0, -3.0)] {
            let x = middle + side * half;
            let _ = writeln!(text, "<path class=\"bracket {class}\" d=\"M{} {top}H{x}V{bottom}h{foot}\"/>", x + foot);
        }
    }
}

/// Returns the number of characters; wide ones, such as those of Japanese, count twice.
pub(super) fn chars(text: &str) -> i32 {
    i32::try_from(text.width()).unwrap_or(i32::MAX / 64).min(i32::MAX / 64)
}

/// Splits `e^(x−3)` into e and its exponent.
pub(super) fn exponent(label: &str) -> Option<&str> {
    label.strip_prefix("e^(")?.strip_suffix(')')
}

/// Returns the label of an operation as text with its exponent raised.
pub(super) fn formula(label: &str) -> String {
    match exponent(label) {
        Some(exponent) => format!("e<tspan class=\"exponent\" dy=\"-5\">{}</tspan>", escape(exponent)),
        None => escape(&typeset(label)),
    }
}

/// Returns the width of an operation's label.
pub(super) fn label_width(label: &str) -> i32 {
    exponent(label).map_or_else(|| chars(label) * CHAR_WIDTH, |exponent| CHAR_WIDTH + chars(exponent) * 6)
}

/// Escapes a text for XML, without the control characters that XML cannot represent.
pub(super) fn escape(text: &str) -> String {
    let is_allowed = |c: &char| !c.is_control() || "\n\t".contains(*c);
    let text: String = text.chars().filter(is_allowed).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
