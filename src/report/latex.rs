//! Steps as a LaTeX document, which pdflatex compiles with the packages of its base.

use super::step_lines::{WorkedResult, definitions, describe_grade_in_words, equality_sign, hidden_entries};
use crate::core::language::translate;
use crate::steps::{Markup, Step};
use std::fmt::Write;
use std::io;

/// Number of characters of the longest line that is aligned with the others. Longer ones are paragraphs, which LaTeX breaks.
const MAX_ALIGNED: usize = 80;

/// Returns the lines before the steps.
pub(super) const PREAMBLE: &str = "\
\\documentclass{article}
\\usepackage[margin=2cm]{geometry}
\\usepackage{amsmath}
\\setlength{\\parindent}{0pt}
\\lineskiplimit=2pt
\\lineskip=3pt
\\allowdisplaybreaks
\\begin{document}
";

/// The lines after the steps.
pub(super) const END: &str = "\\end{document}\n";

/// Writes the steps of a result.
pub(super) fn write(worked: &WorkedResult, first_wrong: Option<usize>, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "\\subsection*{{\\normalfont {}}}", to_latex(&worked.title()))?;
    let before = worked.block.header.before.as_ref().map(|before| translate(before).into_owned());
    for line in before.into_iter().chain(definitions(&worked.section)) {
        writeln!(out, "{}\\par", to_latex(&line))?;
    }
    let steps: Vec<(usize, &Step)> = worked.visible_steps(first_wrong).collect();
    let mut lines: Vec<[String; 3]> = Vec::new();
    let mut next = 0;
    for (n, step) in steps {
        if n > next && n < worked.section.shown {
            lines.push(["\\vdots".to_owned(), String::new(), String::new()]);
        }
        next = n + 1;
        lines.push(write_parts(step, first_wrong == Some(n)));
    }
    let longest =
        lines.iter().map(|line| line.iter().map(|part| visible_length(part)).sum::<usize>()).max().unwrap_or(0);
    if lines.is_empty() {
        return writeln!(out);
    }
    if longest <= MAX_ALIGNED {
        let aligned: Vec<String> = lines.iter().map(|[name, rest, grade]| format!("{name} &{rest}{grade}")).collect();
        writeln!(out, "\\begin{{align*}}\n{}\n\\end{{align*}}", aligned.join(" \\\\\n"))?;
    } else {
        for [name, rest, grade] in &lines {
            writeln!(out, "{{\\raggedright\\hangindent=2em\\hangafter=1 ${name} {rest}${grade}\\par}}")?;
        }
    }
    match hidden_entries(&worked.section) {
        Some(line) => writeln!(out, "{}\\par", to_latex(&line)),
        None => Ok(()),
    }
}

/// Returns the name of a step, its arithmetic and value, and the grade of the user's number.
fn write_parts(step: &Step, is_first_wrong: bool) -> [String; 3] {
    let sign = if equality_sign(step) == "=" { "=" } else { "\\approx" };
    let arithmetic = step.arithmetic.as_ref().map_or_else(String::new, |arithmetic| format!("= {arithmetic} "));
    let grade = describe_grade_in_words(step, is_first_wrong);
    let grade = grade.map_or_else(String::new, |grade| format!("\\quad\\text{{{}}}", to_latex(&grade)));
    [Markup::Latex.label(&step.name, &step.index), format!("{arithmetic}{sign} {}", step.written), grade]
}

/// Returns about the number of characters that a formula is wide: commands count as one, braces as none.
fn visible_length(formula: &str) -> usize {
    let mut count = 0;
    let mut letters = formula.chars().peekable();
    while let Some(letter) = letters.next() {
        count += usize::from(!"{}_^".contains(letter));
        if letter == '\\' {
            while letters.next_if(char::is_ascii_alphabetic).is_some() {}
        }
    }
    count
}

/// Returns text with mathematical signs as LaTeX for the mode of text.
pub(super) fn to_latex(text: &str) -> String {
    let mut latex = String::new();
    let letters: Vec<char> = text.chars().collect();
    let mut n = 0;
    while n < letters.len() {
        let letter = letters[n];
        n += 1;
        match letter {
            '^' | '_' if n < letters.len() => {
                let end = script_end(&letters, n);
                let script: String = letters[n..end].iter().collect();
                let script = script.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(&script);
                let command = if letter == '^' { "textsuperscript" } else { "textsubscript" };
                write!(latex, "\\{command}{{{}}}", to_latex(script)).ok();
                n = end;
            }
            _ => latex.push_str(&character(letter)),
        }
    }
    latex
}

/// Returns the end of a superscript or subscript: parentheses with their content, or letters and digits.
fn script_end(letters: &[char], begin: usize) -> usize {
    if letters[begin] != '(' {
        let is_inside = |letter: &&char| letter.is_alphanumeric() || **letter == '-';
        return (begin + letters[begin..].iter().take_while(is_inside).count()).max(begin + 1);
    }
    let mut depth = 0_i32;
    for (n, letter) in letters.iter().enumerate().skip(begin) {
        depth += i32::from(*letter == '(') - i32::from(*letter == ')');
        if depth == 0 {
            return n + 1;
        }
    }
    letters.len()
}

/// Returns a character of text in LaTeX.
fn character(letter: char) -> String {
    let known = match letter {
        '·' => "$\\cdot$",
        '∘' => "$\\circ$",
        '×' => "$\\times$",
        '−' => "$-$",
        'Σ' => "$\\Sigma$",
        '√' => "$\\surd$",
        '∂' => "$\\partial$",
        'Φ' => "$\\Phi$",
        'φ' => "$\\varphi$",
        'σ' => "$\\sigma$",
        'π' => "$\\pi$",
        '≤' => "$\\le$",
        '≈' => "$\\approx$",
        '′' => "$'$",
        '½' => "$\\tfrac12$",
        '…' => "\\dots{}",
        'ᵀ' => "\\textsuperscript{T}",
        'ᵗ' => "\\textsuperscript{t}",
        'ˣ' => "\\textsuperscript{x}",
        '⁻' => "\\textsuperscript{$-$}",
        '¹' => "\\textsuperscript{1}",
        '²' => "\\textsuperscript{2}",
        '³' => "\\textsuperscript{3}",
        '₁' => "\\textsubscript{1}",
        '₂' => "\\textsubscript{2}",
        '<' => "$<$",
        '>' => "$>$",
        '|' => "$|$",
        '\\' => "\\textbackslash{}",
        '~' => "\\textasciitilde{}",
        '^' => "\\textasciicircum{}",
        '{' | '}' | '$' | '%' | '&' | '#' | '_' => return format!("\\{letter}"),
        // A sign that LaTeX may not have; names of layers may have any letter.
        _ if !letter.is_ascii() => return format!("[U+{:04X}]", u32::from(letter)),
        _ => return letter.to_string(),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LAYERS;

    #[test]
    fn every_sign_of_the_formulas_is_known() {
        for spec in LAYERS {
            for (name, formula) in spec.results() {
                let latex = to_latex(formula);
                assert!(latex.is_ascii() && !latex.contains("[U+"), "{} {name}: {formula} is {latex}", spec.name);
            }
        }
    }

    #[test]
    fn powers_and_special_characters_are_commands() {
        assert_eq!(to_latex("e^(x − max(a)) _b"), "e\\textsuperscript{x $-$ max(a)} \\textsubscript{b}");
        assert_eq!(to_latex("50 % of {a}^"), "50 \\% of \\{a\\}\\textasciicircum{}");
        assert_eq!(visible_length("\\frac{a}{b} \\cdot 12"), 8);
    }
}
