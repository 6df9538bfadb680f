//! Options of pictures.

/// Options of a picture.
#[derive(Clone, Debug)]
pub struct PictureOptions {
    /// Title above the graph.
    pub title: Option<String>,
    /// True if explanations are below the graph.
    pub has_legend: bool,
    /// True if operations say what they do with the gradient that comes back.
    pub has_hints: bool,
    /// Greatest number of significant digits.
    pub digits: usize,
    /// Greatest width, in pixels, or in columns of a terminal.
    pub width: Option<usize>,
    /// Width divided by height of the area that the graph is to fill.
    pub aspect: Option<f64>,
    /// Colours of a file.
    pub theme: Theme,
    /// True for ASCII characters only.
    pub is_ascii: bool,
}

impl Default for PictureOptions {
    fn default() -> PictureOptions {
        PictureOptions {
            title: None,
            has_legend: true,
            has_hints: false,
            digits: 5,
            width: None,
            aspect: None,
            theme: Theme::Auto,
            is_ascii: false,
        }
    }
}

/// Colours of a picture in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Those that the reader's system asks for.
    #[default]
    Auto,
    /// Dark lines on white.
    Light,
    /// Light lines on black.
    Dark,
}
