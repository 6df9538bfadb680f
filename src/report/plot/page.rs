//! The page of a training: the picture, and a table of all numbers.

use super::history::{History, Measure};
use super::svg;
use crate::core::language::{Language, phrase, translate};
use crate::network::learn::Score;
use std::fmt::Write;

/// Largest number of epochs in the table; of more, the last ones are shown.
const MAX_ROWS: usize = 1000;

/// Returns the page.
pub(super) fn render(history: &History) -> String {
    let page = include_str!("page.html").replace("<title>Training", &format!("<title>{}", translate("Training")));
    let page = page.replace("<summary>All numbers", &format!("<summary>{}", translate("All numbers")));
    let page = page.replace("lang=\"en\"", &format!("lang=\"{}\"", Language::current().code()));
    let page = page.replacen("<!--plot-->\n", &svg::element(history), 1);
    page.replacen("<!--table-->\n", &table(history), 1)
}

fn table(history: &History) -> String {
    let has_accuracy = history.epochs.iter().any(|scores| scores.train.accuracy.is_some());
    let has_held_out = history.epochs.iter().any(|scores| scores.held_out.is_some());
    let mut text = format!("<tr><th scope=\"col\">{}</th>", translate("epoch"));
    let column = |name: &str| format!("<th scope=\"col\">{}</th>", translate(name));
    let accuracy = |name: &str| if has_accuracy { column(name) } else { String::new() };
    text += &(column(&phrase("loss", &[])) + &accuracy("accuracy, %"));
    if has_held_out {
        text += &(column("held-out loss") + &accuracy("held-out accuracy, %"));
    }
    text += "</tr>\n";
    let cells = |score: Score| {
        let accuracy =
            Measure::Accuracy.value_of(score).map_or_else(String::new, |share| format!("<td>{share:.2}</td>"));
        format!("<td>{}</td>{accuracy}", score.loss)
    };
    for scores in &history.epochs[history.epochs.len().saturating_sub(MAX_ROWS)..] {
        let held_out = scores.held_out.map_or_else(String::new, cells);
        writeln!(text, "<tr><td>{}</td>{}{held_out}</tr>", scores.epoch, cells(scores.train)).ok();
    }
    text
}
