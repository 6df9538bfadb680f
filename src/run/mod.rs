//! What commands do: from typed requests to results, messages and the exit status.

pub(crate) mod command;
pub(crate) mod compare;
pub(crate) mod io;
pub(crate) mod messages;
pub(crate) mod ndjson;
pub(crate) mod pages;
pub(crate) mod progress;
pub(crate) mod request;
pub(crate) mod status;
pub(crate) mod step;
pub(crate) mod sum;
pub(crate) mod tape;
pub(crate) mod train;

pub(crate) use command::Command;
pub use io::Io;
pub use status::Status;
