//! The language of what is written for people: English, or Japanese by a catalogue of sentences.
//!
//! Sentences are made in English, and translated where they are written. The catalogue has each English sentence above its Japanese
//! one, with `{}` in place of what varies. One that begins with `= ` is a phrase of the source, whose parts are filled in after its
//! translation. Results, JSON and errors are not translated.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Beginning of a phrase in the catalogue.
const PHRASE: &str = "= ";
/// Number of sentences within sentences that are translated.
const MAX_DEPTH: usize = 6;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// The language of the source.
    #[default]
    English,
    /// The language of the catalogue.
    Japanese,
}

thread_local! {
    static LANGUAGE: Cell<Language> = const { Cell::new(Language::English) };
}

impl Language {
    /// Returns the language of a code such as `ja`, or of a locale such as `ja_JP.UTF-8`.
    pub fn named(code: &str) -> Option<Language> {
        match code.split(['_', '-', '.']).next() {
            Some("ja") => Some(Language::Japanese),
            Some("en") => Some(Language::English),
            _ => None,
        }
    }

    /// Returns the code of the language.
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Japanese => "ja",
        }
    }

    /// Returns the language that this thread writes.
    pub fn current() -> Language {
        LANGUAGE.get()
    }
}

/// Runs `work` with this language on this thread.
pub fn with_language<R>(language: Language, work: impl FnOnce() -> R) -> R {
    /// Restores the previous language, even after a panic.
    struct Restore(Language);
    impl Drop for Restore {
        fn drop(&mut self) {
            LANGUAGE.set(self.0);
        }
    }
    let _restore = Restore(LANGUAGE.replace(language));
    work()
}

/// Returns a sentence in the language of this thread; unchanged if the catalogue does not have it.
pub fn translate(english: &str) -> Cow<'_, str> {
    match Language::current() {
        Language::English => Cow::Borrowed(english),
        Language::Japanese => translated(english, 0).map_or(Cow::Borrowed(english), Cow::Owned),
    }
}

/// Returns each sentence of a text of several lines in the language of this thread.
pub fn translate_lines(english: &str) -> String {
    let line = |line: &str| {
        let text = line.trim_start();
        format!("{}{}", &line[..line.len() - text.len()], translate(text))
    };
    english.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Returns a sentence of the catalogue with `{}` in place of what varies, in the language of this thread.
pub fn phrase(template: &'static str, varying: &[&str]) -> String {
    let template = match Language::current() {
        Language::English => template,
        Language::Japanese => catalogue().phrases.get(template).copied().unwrap_or(template),
    };
    fill(template, |n| varying.get(n).map(|&text| text.to_owned()))
}

/// Returns the names in a list, with the separator of the language.
pub fn list(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(|name| translate(name.as_ref())).collect();
    names.join(if Language::current() == Language::Japanese { "、" } else { ", " })
}

/// Returns the English sentences of the catalogue, each with its Japanese one.
pub fn pairs() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("japanese.txt").lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    lines.chunks(2).map(|pair| (pair[0], pair.get(1).copied().unwrap_or_default())).collect()
}

struct Catalogue {
    exact: HashMap<&'static str, &'static str>,
    phrases: HashMap<&'static str, &'static str>,
    patterns: Vec<Pattern>,
}

/// A sentence with parts that vary.
struct Pattern {
    /// The constant parts before, between and after those that vary.
    literals: Vec<&'static str>,
    japanese: &'static str,
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let mut catalogue = Catalogue { exact: HashMap::new(), phrases: HashMap::new(), patterns: Vec::new() };
        for (english, japanese) in pairs() {
            if let Some(phrase) = english.strip_prefix(PHRASE) {
                catalogue.phrases.insert(phrase, japanese);
                continue;
            }
            catalogue.exact.insert(english, japanese);
            if english.contains("{}") {
                catalogue.patterns.push(Pattern { literals: english.split("{}").collect(), japanese });
            }
        }
        // Of the patterns that fit, the one with the longest constant parts is taken.
        let size = |pattern: &Pattern| pattern.literals.iter().map(|literal| literal.len()).sum::<usize>();
        catalogue.patterns.sort_by_key(|pattern| std::cmp::Reverse(size(pattern)));
        catalogue
    })
}

impl Pattern {
    /// Returns the parts of a text that vary, if it has this form.
    fn matches<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, last) = (self.literals.first()?, self.literals.last()?);
        let mut rest = text.strip_prefix(first)?;
        let mut varying = Vec::new();
        for literal in &self.literals[1..self.literals.len() - 1] {
            let at = rest.find(literal)?;
            varying.push(&rest[..at]);
            rest = &rest[at + literal.len()..];
        }
        varying.push(rest.strip_suffix(last)?);
        Some(varying)
    }
}

fn translated(english: &str, depth: usize) -> Option<String> {
    let catalogue = catalogue();
    if let Some(japanese) = catalogue.exact.get(english) {
        return Some((*japanese).to_owned());
    }
    if depth == MAX_DEPTH || !english.contains(|letter: char| letter.is_ascii_lowercase()) {
        return None;
    }
    let (pattern, varying) =
        catalogue.patterns.iter().find_map(|pattern| Some((pattern, pattern.matches(english)?)))?;
    let part = |n: usize| varying.get(n).map(|text| translated(text, depth + 1).unwrap_or_else(|| (*text).to_owned()));
    Some(fill(pattern.japanese, part))
}

/// Replaces each `{}` by the next part, and `{1}` by the part of that number, counted from 0.
fn fill(template: &str, part: impl Fn(usize) -> Option<String>) -> String {
    let (mut text, mut rest, mut next) = (String::new(), template, 0);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((number, after)) =
            after.split_once('}').filter(|(number, _)| number.chars().all(|c| c.is_ascii_digit()))
        else {
            text += before;
            text.push('{');
            rest = after;
            continue;
        };
        text += before;
        let n = number.parse().unwrap_or(next);
        next += usize::from(number.is_empty());
        text += &part(n).unwrap_or_default();
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_english_sentence_has_a_japanese_one_with_the_same_parts() {
        let mut seen = HashMap::new();
        for (english, japanese) in pairs() {
            let is_japanese = |letter: char| {
                ('\u{3000}'..='\u{30ff}').contains(&letter) || ('\u{4e00}'..='\u{9fff}').contains(&letter)
            };
            assert!(japanese.contains(is_japanese) && !english.contains(is_japanese), "{english:?}: {japanese:?}");
            let count = english.matches("{}").count();
            let filled = fill(japanese, |n| Some(format!("<{n}>")));
            assert!((0..count).all(|n| filled.contains(&format!("<{n}>"))), "{english:?}: {japanese:?}");
            assert!(!filled.contains(&format!("<{count}>")), "{english:?}: {japanese:?}");
            assert!(seen.insert(english, japanese).is_none(), "{english:?} stands twice");
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn parts_of_a_sentence_are_filled_in_and_translated() {
        assert_eq!(fill("{}, {} {a}", |n| Some(n.to_string())), "0, 1 {a}");
        assert_eq!(fill("{1} {0}{", |n| Some(n.to_string())), "1 0{");
        let pattern = Pattern { literals: "a {} of {}!".split("{}").collect(), japanese: "" };
        assert_eq!(pattern.matches("a b of c of d!"), Some(vec!["b", "c of d"]));
        assert_eq!(pattern.matches("a b of c"), None);
        with_language(Language::Japanese, || {
            assert_eq!(translate("zzz qqq"), "zzz qqq");
            assert_eq!(translate("divisor of the mean"), "平均の除数");
        });
        assert_eq!(translate("divisor of the mean"), "divisor of the mean");
    }
}
