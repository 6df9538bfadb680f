//! Computational graphs: nodes are operations, and each edge has the value that goes forward and the gradient that comes
//! back.
//!
//! [`build_graph`] builds a graph of numbers from a trace of the layers' formulas, or one of matrices from the operations
//! that the layers name. The layout is a layered one (Sugiyama, Tagawa and Toda 1981); a renderer per format draws it.

mod bands;
mod build;
mod label;
mod layout;
mod legend;
mod model;
mod options;
mod page;
mod render;
mod words;

pub use build::{ComputedLayer, build_graph};
pub use model::{Edge, Graph, Level, Node, NodeKind};
pub use options::{PictureOptions, Theme};
pub use page::{Arithmetic, PageContent, SlidingWindows};
pub use render::{PICTURES, Picture, Style, render_terminal};
