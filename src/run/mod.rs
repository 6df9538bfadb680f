//! What commands do: from typed requests to results, messages and the exit status.

pub(crate) mod io;
pub(crate) mod messages;
pub(crate) mod progress;
pub(crate) mod request;
pub(crate) mod status;

pub use io::Io;
pub use status::Status;
