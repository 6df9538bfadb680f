//! Results that are computed in chunks of rows as they are written, so that of the arrays with a row for each sample at most one
//! chunk is in memory beside the operands. Results have the same bits as if they were computed at once, except for sums over the
//! rows: the sums of chunks are added in order.

mod job;
mod out_of_core;
mod passes;
mod rows;

pub(crate) use job::ChunkedJob;
pub(crate) use out_of_core::{open, run};
pub(crate) use passes::write_in_memory;
