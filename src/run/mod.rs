//! Runs commands: from typed requests to results, messages and the exit status.

pub(crate) mod backward;
mod chain;
pub(crate) mod chain_output;
pub(crate) mod check;
pub(crate) mod chunked;
pub(crate) mod compare;
pub(crate) mod dout;
pub(crate) mod expect;
pub(crate) mod gradcheck;
pub(crate) mod graph;
pub(crate) mod io;
mod jacobian;
mod job;
pub(crate) mod layer;
pub(crate) mod layer_tape;
pub(crate) mod messages;
pub(crate) mod ndjson;
pub(crate) mod net;
pub(crate) mod operands;
pub(crate) mod pages;
pub(crate) mod progress;
pub(crate) mod request;
mod results;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod step;
pub(crate) mod steps;
pub(crate) mod sum;
pub(crate) mod tape;
pub(crate) mod template;
pub(crate) mod train;
pub(crate) mod vectors;

pub use io::Io;
pub(crate) use session::Command;
pub use status::Status;
