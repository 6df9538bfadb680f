//! The parts of the document's schema that reader and writer share.

use crate::network::chain::Stage;

/// Key that identifies a document; its value is the version.
pub const KEY: &str = "nnlayer-tape";

/// Version of the documents that are written, and the only one that is read.
pub(super) const VERSION: u32 = 1;

/// Returns the reference by which the next layer names the output of `stage` as its input: `affine1.y`.
pub(super) fn output_reference(stage: &Stage) -> String {
    format!("{}.{}", stage.name, stage.spec.output)
}
