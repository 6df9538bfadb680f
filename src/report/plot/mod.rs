//! The loss and accuracy of a training, as a picture, a page and a line of text.

mod axis;
mod history;
mod page;
mod sparkline;
mod svg;

pub use history::{EpochScores, History};
pub use sparkline::summary_line;

/// Kinds of files of a training's plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlotFormat {
    /// A picture.
    Svg,
    /// A page with the picture and a table of all numbers.
    Html,
}

impl PlotFormat {
    /// Returns the format of that extension.
    pub fn named(extension: &str) -> Option<PlotFormat> {
        match extension.to_ascii_lowercase().as_str() {
            "svg" => Some(PlotFormat::Svg),
            "html" => Some(PlotFormat::Html),
            _ => None,
        }
    }

    /// Draws a training.
    pub fn draw(self, history: &History) -> String {
        match self {
            PlotFormat::Svg => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", svg::element(history)),
            PlotFormat::Html => page::render(history),
        }
    }
}
