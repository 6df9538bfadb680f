//! argv → [`nnlayer::run`] → exit status.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::thread;

#[global_allocator]
static ALLOCATOR: nnlayer::core::alloc::Allocator = nnlayer::core::alloc::Allocator;

/// Size of a stack that parses any command line and document.
const STACK_BYTES: usize = 1 << 22;

fn main() {
    // The stack of the first thread may be small, by `ulimit -s`.
    let has_small_stack = has_small_stack();
    let status = match has_small_stack.then(|| thread::Builder::new().stack_size(STACK_BYTES).spawn(run)) {
        Some(Ok(thread)) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Some(Err(_)) | None => run(),
    };
    std::process::exit(status.code());
}

/// Returns true if the stack of the first thread is limited to less than [`STACK_BYTES`].
fn has_small_stack() -> bool {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
    #[cfg(not(unix))]
    let limit = Some(1 << 20);
    limit.is_some_and(|bytes| bytes < STACK_BYTES as u64)
}

/// Runs the command line.
fn run() -> nnlayer::Status {
    let args: Vec<_> = std::env::args_os().collect();
    nnlayer::cli::color(&args).write_global();
    let stdin = io::stdin();
    // Colours are for a terminal; data goes elsewhere as it is.
    let stdout_is_terminal = io::stdout().is_terminal();
    let mut stdout: Box<dyn Write> =
        if stdout_is_terminal { Box::new(anstream::stdout().lock()) } else { Box::new(io::stdout().lock()) };
    let status = nnlayer::run(
        args,
        nnlayer::Io {
            stdin: &mut stdin.lock(),
            stdin_is_terminal: stdin.is_terminal(),
            stdout: &mut stdout,
            stdout_is_terminal,
            columns: std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()),
            stderr: Rc::new(RefCell::new(anstream::stderr())),
            stderr_is_terminal: io::stderr().is_terminal(),
        },
    );
    let _ = stdout.flush();
    #[cfg(unix)]
    if status == nnlayer::Status::ClosedPipe {
        // Ends as every program of a pipeline does when its reader has gone.
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
    }
    status
}
