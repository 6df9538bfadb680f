//! Content of a page besides its graph.

use super::model::Graph;
use crate::layer::Windows;

/// Content of a page besides its first graph.
#[derive(Default)]
pub struct PageContent {
    /// Graphs of the computation at other levels of detail.
    pub others: Vec<Graph>,
    /// The arithmetic of results and gradients.
    pub arithmetic: Vec<Arithmetic>,
    /// Windows that slide over an input.
    pub windows: Vec<SlidingWindows>,
}

/// The arithmetic of a result or gradient.
pub struct Arithmetic {
    /// Its name: `y`, `affine1.dw`.
    pub name: String,
    /// A line for each of its first entries, without the layer's name: `y[0,0] = 1·2 + 3·4 = 14`.
    pub lines: Vec<String>,
}

/// Windows that slide over the last two axes of an input.
pub struct SlidingWindows {
    /// Name of the input.
    pub input: String,
    /// Name of the output.
    pub output: String,
    /// The windows.
    pub windows: Windows,
}
