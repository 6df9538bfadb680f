//! The help of a command in the language of this thread. The argument parser breaks lines at blanks only, so that the lines of languages
//! without blanks are broken here.

use super::args::{keep_indented_lines, restore_spaces};
use crate::core::language::{phrase, translate};
use clap::builder::StyledStr;
use clap::{Arg, Command};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Indentation of the help of an option.
const INDENT: usize = 10;
/// Characters that begin no line.
const NOT_FIRST: &str = "、。，．・：；？！）」』】〕〉》ー々)],.:;?!";
/// Characters that end no line.
const NOT_LAST: &str = "（「『【〔〈《([";

/// Translates the help of a command and of its options, if the catalogue has what the command does.
pub(super) fn help_of(command: Command, columns: usize) -> Command {
    let width = columns.saturating_sub(INDENT).max(20);
    let english = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    let about = translate(&english);
    if about == english {
        return command;
    }
    let about = wrap(&about, columns);
    let after = command.get_after_long_help().map(|text| translate_paragraphs(&text.to_string(), columns));
    let template = format!("{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}", phrase("Usage:", &[]));
    let command = command.mut_args(|arg| option_of(arg, width)).next_line_help(true).help_template(template);
    let command = command.about(about);
    match after {
        Some(after) => command.after_long_help(keep_indented_lines(&after)),
        None => command,
    }
}

fn option_of(arg: Arg, width: usize) -> Arg {
    let plain = |text: Option<&StyledStr>| text.map(StyledStr::to_string);
    let heading = arg.get_help_heading().map(|heading| translate(heading).into_owned());
    let help = plain(arg.get_long_help().or(arg.get_help())).map(|help| wrap(&translate(&help), width));
    let arg = match help {
        Some(help) => arg.help(help.clone()).long_help(help),
        None => arg,
    };
    match heading {
        Some(heading) => arg.help_heading(heading),
        None => arg,
    }
}

/// Translates the lines of a text, and breaks those that are too long; indented lines are examples.
fn translate_paragraphs(text: &str, columns: usize) -> String {
    let text = restore_spaces(text);
    let line = |line: &str| {
        let content = line.trim_start();
        let (indent, content) = (&line[..line.len() - content.len()], translate_definition(content));
        if indent.is_empty() { wrap(&content, columns) } else { format!("{indent}{content}") }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Translates a line, or the formula of `name = formula  (shape)`.
fn translate_definition(line: &str) -> String {
    let whole = translate(line);
    match line.split_once(" = ") {
        Some((name, formula)) if whole == line => {
            let (formula, shape) = formula.split_at(formula.find("  (").unwrap_or(formula.len()));
            format!("{name} = {}{shape}", translate(formula))
        }
        _ => whole.into_owned(),
    }
}

/// Breaks a text into lines of at most that many columns: between words of Latin letters, and anywhere between others except where
/// Japanese typography does not.
fn wrap(text: &str, width: usize) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for piece in pieces(text) {
        let piece_width = piece.trim_end().width();
        if used > 0 && used + piece_width > width {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        line += piece;
        used += piece.width();
    }
    lines.push(line.trim_end().to_owned());
    lines.join("\n")
}

/// Splits a text where a line may end.
fn pieces(text: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    let is_wide = |letter: char| letter.width() == Some(2);
    let may_break = |pair: &&[(usize, char)]| {
        let (before, after) = (pair[0].1, pair[1].1);
        (before == ' ' || is_wide(before) || is_wide(after))
            && after != ' '
            && !NOT_FIRST.contains(after)
            && !NOT_LAST.contains(before)
    };
    let ends = letters.windows(2).filter(may_break).map(|pair| pair[1].0);
    let mut begin = 0;
    let mut pieces = Vec::new();
    for end in ends.chain([text.len()]) {
        pieces.push(&text[begin..end]);
        begin = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_japanese_letters_and_between_words() {
        assert_eq!(wrap("勾配を計算する。", 8), "勾配を計\n算する。");
        assert_eq!(wrap("勾配を計算。値", 10), "勾配を計\n算。値");
        assert_eq!(wrap("値（example）は one two", 12), "値\n（example）\nは one two");
        assert_eq!(wrap("plain words stay as they are", 5), "plain words stay as they are");
    }
}
