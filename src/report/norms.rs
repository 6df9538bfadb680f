//! The report of the norms of a chain's gradients.

use super::numbers::{format_short, json_number, write_json};
use crate::core::error::format_shape;
use crate::core::language::{translate, translate_lines};
use crate::network::{EXPLODING_RATIO, Flow, GradientKind, GradientNorm, NormFinding, VANISHING_RATIO};
use serde_json::{Value, json};
use std::io;
use unicode_width::UnicodeWidthStr;

/// Maximum line width in characters.
const LINE_WIDTH: usize = 80;
/// Largest number of characters of a layer's name and of a shape; longer ones are shortened.
const MAX_NAME: usize = 20;
/// Smallest number of characters of the longest bar.
const MIN_BAR: usize = 8;

/// Writes a line with a bar for each gradient, and what is unusual about them. Bars in `ascii` consist of number signs.
pub fn write(norms: &[GradientNorm], findings: &[NormFinding], ascii: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let scale = Scale::new(norms);
    let rows: Vec<[String; 5]> = norms.iter().enumerate().map(|(n, norm)| cells(norms, n, norm)).collect();
    let head = ["layer", "gradient", "shape", "L2 norm", "largest"].map(|name| translate(name).into_owned());
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].width()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let line = |row: &[String; 5]| {
        let cell = |column: usize| {
            let blanks = " ".repeat(widths[column] - row[column].width());
            // Numbers are aligned at the right.
            if column < 3 { format!("{}{blanks}", row[column]) } else { format!("{blanks}{}", row[column]) }
        };
        [0, 1, 2, 3, 4].map(cell).join("  ")
    };
    let bar_width = LINE_WIDTH.saturating_sub(widths.iter().sum::<usize>() + 2 * widths.len()).max(MIN_BAR);
    let bars = scale.as_ref().map_or_else(String::new, |scale| scale.describe(bar_width));
    writeln!(out, "{}", format!("{}  {bars}", line(&head)).trim_end())?;
    for (row, norm) in rows.iter().zip(norms) {
        let bar = scale.as_ref().map_or_else(String::new, |scale| bar(scale.share(norm.l2), bar_width, ascii));
        writeln!(out, "{}", format!("{}  {bar}", line(row)).trim_end())?;
    }
    writeln!(out)?;
    for findings in findings.chunk_by(|a, b| (a.kind, a.flow) == (b.kind, b.flow)) {
        writeln!(out, "{}", translate_lines(&describe(findings)))?;
    }
    if findings.is_empty() {
        writeln!(out, "{}", translate("no gradients vanish or explode"))?;
    }
    let rule = format!(
        "rule: the largest L2 norm of a layer, of parameters or of inputs, below {VANISHING_RATIO:e} or\n\
         above {EXPLODING_RATIO:e} of that of the last layer that has some; or exactly 0, or not finite"
    );
    writeln!(out, "{}", translate_lines(&rule))
}

/// Returns the columns before the bar. The name of a layer is written once.
fn cells(norms: &[GradientNorm], n: usize, norm: &GradientNorm) -> [String; 5] {
    let is_first = n == 0 || norms[n - 1].layer != norm.layer;
    let layer = if is_first { shorten(&norm.layer) } else { String::new() };
    let shape = shorten(format_shape(&norm.shape).trim_matches(['(', ')']));
    [layer, norm.gradient.to_string(), shape, format_short(norm.l2), format_short(norm.max)]
}

/// Returns the text with an ellipsis in its middle if it is long.
fn shorten(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= MAX_NAME {
        return text.to_owned();
    }
    let (head, tail) = (MAX_NAME / 2, letters.len() - (MAX_NAME - MAX_NAME / 2 - 1));
    letters[..head].iter().chain(&['…']).chain(&letters[tail..]).collect()
}

/// A logarithmic scale from a power of ten to another, as exponents.
struct Scale {
    first: f64,
    last: f64,
}

impl Scale {
    /// Returns a scale that has every norm that is neither 0 nor infinite, if there is one.
    fn new(norms: &[GradientNorm]) -> Option<Scale> {
        let positive = norms.iter().map(|norm| norm.l2).filter(|l2| *l2 > 0.0 && l2.is_finite());
        let (least, greatest) = positive.map(|l2| (l2, l2)).reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))?;
        let first = libm::log10(least).floor();
        Some(Scale { first, last: libm::log10(greatest).ceil().max(first + 1.0) })
    }

    /// Returns the share of the scale up to a number: at least a little for any that is not 0.
    fn share(&self, value: f64) -> f64 {
        if value == 0.0 || !value.is_finite() {
            return 0.0;
        }
        ((libm::log10(value) - self.first) / (self.last - self.first)).clamp(0.02, 1.0)
    }

    /// Returns the ends of the scale, as wide as the longest bar.
    fn describe(&self, width: usize) -> String {
        let (first, last) = (format!("1e{}", self.first), format!("1e{}", self.last));
        let gap = width.saturating_sub(first.len() + last.len());
        if gap == 0 { String::new() } else { format!("{first}{}{last}", " ".repeat(gap)) }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a line has few characters
fn bar(share: f64, width: usize, ascii: bool) -> String {
    let eighths = (share * width as f64 * 8.0).round() as usize;
    if ascii {
        return "#".repeat(eighths.div_ceil(8));
    }
    let end = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8];
    format!("{}{end}", "█".repeat(eighths / 8)).trim_end().to_owned()
}

/// Returns the text about findings of one kind.
fn describe(findings: &[NormFinding]) -> String {
    let (of, flow) = (operand_word(findings[0].kind), findings[0].flow);
    let names: Vec<String> = findings.iter().map(|finding| shorten(&finding.layer)).collect();
    let layers = match &names[..] {
        [first, second, _, .., last] => format!("{first}, {second}, … {last} ({} layers)", names.len()),
        few => few.join(", "),
    };
    let kind = match flow {
        Flow::Zero => return format!("the gradients of {of} are exactly 0: {layers}"),
        Flow::NotFinite => return format!("the gradients of {of} are not finite: {layers}"),
        Flow::Vanishes => "vanish",
        Flow::Explodes => "explode",
    };
    let ratios = findings.iter().map(|finding| finding.ratio);
    let (least, greatest) = (ratios.clone().fold(f64::INFINITY, f64::min), ratios.fold(0.0, f64::max));
    let range = match findings {
        [_] => format_short(least),
        _ => format!("{} to {}", format_short(least), format_short(greatest)),
    };
    let last = shorten(&findings[0].last);
    format!("the gradients of {of} {kind}: {layers}\n  {range} times the norm of {last}")
}

/// Writes one object, on one line or indented.
pub fn write_as_json(
    norms: &[GradientNorm],
    findings: &[NormFinding],
    pretty: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let object = json!({
        "norms": norms.iter().map(norm_to_json).collect::<Value>(),
        "findings": findings.iter().map(finding_to_json).collect::<Value>(),
    });
    write_json(&object, pretty, out)
}

fn norm_to_json(norm: &GradientNorm) -> Value {
    json!({
        "layer": norm.layer,
        "gradient": norm.gradient.as_str(),
        "kind": norm.kind.map(operand_word),
        "shape": norm.shape,
        "l2": json_number(norm.l2),
        "max": json_number(norm.max),
    })
}

fn finding_to_json(finding: &NormFinding) -> Value {
    let kind = match finding.flow {
        Flow::Zero => "zero",
        Flow::Vanishes => "vanishing",
        Flow::Explodes => "exploding",
        Flow::NotFinite => "not-finite",
    };
    json!({
        "layer": finding.layer,
        "kind": operand_word(finding.kind),
        "finding": kind,
        "l2": json_number(finding.l2),
        "ratio": json_number(finding.ratio),
        "last": finding.last,
    })
}

fn operand_word(kind: GradientKind) -> &'static str {
    match kind {
        GradientKind::Parameters => "parameters",
        GradientKind::Inputs => "inputs",
    }
}
