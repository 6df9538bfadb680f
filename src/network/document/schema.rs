//! The parts of the document's schema that reader and writer share.

/// Key that identifies a document; its value is the version.
pub const KEY: &str = "nnlayer-tape";

/// Version of the documents that are written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
