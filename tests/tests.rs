//! The one test binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, unreachable_pub)]

mod support; // running commands and console blocks

mod affine; // one module a command
mod compare;
mod gradcheck;
mod relu;
mod shell;
mod sigmoid;
mod softmax;
mod softmax_xent;
mod tanh;
mod xent;

mod chain; // chains under check
mod exact; // every number the double nearest to the real one, against arbitrary precision
mod examples; // programs to be checked, in several languages
mod expect; // results against what was worked out by hand
mod graph; // computational graphs, and that they can be read
mod jacobian; // every derivative of an output
mod net; // chains: networks from a file
mod net_ndjson; // records through a network
mod page; // the page of a graph, opened in a browser
mod picture; // pictures of them, parsed
mod program; // somebody's program, spoken to as docs/gradcheck-protocol.md says
mod steps; // the arithmetic with the numbers filled in
mod tape; // layers that extend each other's document over a pipe
mod train; // learning, against NumPy and on the real digits

mod article; // the source's numbers, nothing else
mod digits; // real input: handwritten digits through a pipe
mod docs; // every console block of README, docs and help
mod hostile; // files made to do harm: what they cost
mod json; // the JSON reader, by the standard
mod mutated; // files with something changed in them
mod ndjson; // records, one a line
mod only; // what --only leaves out changes no bit of the rest
mod operands; // every command × operand × form
mod output; // text, JSON, files; what is written is read back
mod refusals; // every code has an input that causes it
mod registry; // what every layer must have
mod rows; // batches computed a block of rows at a time
mod shards; // the examples that go past one machine
mod streams; // standard input, closed pipes, terminals
mod sum; // shards as one
mod tidy; // the rules of the architecture
mod whole; // files that are written: the old one or the new one
