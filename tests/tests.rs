//! The one test binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, unreachable_pub)]

mod support; // runs commands and console blocks

mod affine; // one module a command
mod attention;
mod broadcast; // add, mul and prelu
mod compare;
mod dropout;
mod embedding;
mod glu;
mod gradcheck;
mod matmul;
mod nll;
mod rearrange; // reshape, flatten, transpose and concat
mod relu;
mod rope;
mod shell;
mod sigmoid;
mod softmax;
mod softmax_xent;
mod tanh;
mod vectors; // test vectors
mod vectors_onnx; // the ONNX files of test vectors
mod xent;

mod chain; // gradient checks of chains of layers
mod custom; // inputs of a custom layer by name
mod exact; // correctly rounded results, against arbitrary precision
mod examples; // programs under test in several languages
mod expect; // results compared with worked answers
mod files; // files as other programs write them
mod gradient_norms; // norms of the gradients of a chain
mod graph; // computational graphs
mod jacobian; // full Jacobians
mod language; // steps, verdicts and help in Japanese
mod losses; // the losses of one table of functions
mod net; // networks from a file
mod net_ndjson; // records through a network
mod page; // the interactive page of a graph, in a browser
mod picture; // drawings of graphs, parsed
mod pointwise; // the layers of one table of functions
mod printed; // operands as people paste them
mod program; // the protocol of docs/gradcheck-protocol.md
mod protocol; // version 2 of that protocol
mod reply_names; // names in replies that were not asked for
mod shapes; // arrays of every rank, written and read back
mod steps; // worked steps with the numbers filled in
mod tape; // layers that extend a tape over a pipe
mod templates; // programs that gradcheck --template prints
mod tensors; // layers on arrays of any rank
mod train;
mod train_plot; // loss and accuracy by epoch as a picture // training, against NumPy and on real digits
mod types;
mod windows; // convolutions and poolings // files of every element type

mod article; // the numbers of the source article
mod checked_programs;
mod chunked; // batches computed in chunks of rows
mod connections;
mod corpus; // right and wrong programs that judge the gradient check
mod digits; // handwritten digits through a pipe
mod docs; // console blocks of README, docs and help
mod header; // programs in C and C++ with include/nnlayer.h
mod help; // summaries, full help, and what each names
mod hostile; // memory that hostile files may cost
mod interrupted; // output files when the program is killed or the disk is full
mod isa; // the same bits with every instruction set
mod json; // which JSON is read
mod layers_page;
mod mutated; // files with random changes
mod ndjson; // streams of records
mod new_layer; // a layer added to a copy of the crate
mod norms; // the normalisation layers of one table
mod only; // --only changes no bit of the results it keeps
mod onnx; // the node tests of ONNX
mod operands; // every command × operand × form
mod options; // options without effect, names of other tools, files that are replaced
mod output; // text, JSON and files; round trips
mod ranks; // every way to show a layer, for three and more axes
mod refusals; // every error code and its message
mod registry; // rules for every layer
mod resources; // sizes beyond every memory, and machines without memory, threads or stack
mod schemas; // documents against the schemas of nnlayer schema
mod shards; // results of several machines combined
mod signals; // what signals leave behind
mod streams; // standard input, closed pipes, terminals
mod sum; // sums over shards
mod terminal; // names with control characters in reports
mod text; // text of any rank, as NumPy prints it
mod tidy; // architecture rules
mod tips; // tips for files, followed as they are printed
