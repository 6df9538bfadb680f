//! argv → [`nnlayer::run`] → exit status.

use anstream::AutoStream;
use nnlayer::core::streams::{Closed, Waiting};
use std::cell::RefCell;
use std::io::{self, IsTerminal, Read, Write};
use std::rc::Rc;
use std::thread;

#[global_allocator]
static ALLOCATOR: nnlayer::core::alloc::Allocator = nnlayer::core::alloc::Allocator;

/// Size of a stack that parses any command line and document.
const STACK_BYTES: usize = 1 << 22;

fn main() {
    // A write beyond the limit of `ulimit -f` then fails like one to a full disk. A program under test starts without this handler.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
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
    if nnlayer::cli::answer_shell(&args, std::env::current_dir().ok().as_deref()) {
        return nnlayer::Status::Done;
    }
    nnlayer::cli::color(&args).write_global();
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let (stdin_is_terminal, stdout_is_terminal) = (stdin.is_terminal(), stdout.is_terminal());
    let mut input: Box<dyn Read> = if closed::stdin() { Box::new(Closed) } else { Box::new(Waiting(stdin.lock())) };
    let colors = AutoStream::choice(&stdout);
    let mut output: Box<dyn Write> = if closed::stdout() { Box::new(Closed) } else { Box::new(Waiting(stdout.lock())) };
    if stdout_is_terminal {
        // Colours are for a terminal; data goes elsewhere as it is.
        output = Box::new(AutoStream::new(output, colors));
    }
    let stderr_is_terminal = stderr.is_terminal();
    let colors = AutoStream::choice(&stderr);
    let messages: Box<dyn Write> = Box::new(Waiting(stderr));
    let status = nnlayer::run(
        args,
        nnlayer::Io {
            stdin: &mut input,
            stdin_is_terminal,
            stdout: &mut output,
            stdout_is_terminal,
            columns: columns(stdout_is_terminal),
            language: std::env::var("NNLAYER_LANG").ok(),
            stderr: Rc::new(RefCell::new(AutoStream::new(messages, colors))),
            stderr_is_terminal,
        },
    );
    #[cfg(unix)]
    if status == nnlayer::Status::ClosedPipe {
        // Ends as every program of a pipeline does when its reader has gone.
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
    }
    status
}

/// Returns the width that the environment says, or that of the terminal.
fn columns(is_terminal: bool) -> Option<usize> {
    let explicit = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    // Standard output is the first stream whose size this asks for. Every target has this function, also WebAssembly.
    let size = || is_terminal.then(terminal_size::terminal_size).flatten();
    explicit.or_else(|| size().map(|(width, _)| usize::from(width.0)))
}

/// Which standard streams were closed when the process started. The standard library opens `/dev/null` in their place before
/// `main`, where it can no longer be told from one that the user has named.
#[cfg(unix)]
mod closed {
    use rustix::io::fcntl_getfd;
    use std::sync::atomic::{AtomicBool, Ordering};

    static STDIN: AtomicBool = AtomicBool::new(false);
    static STDOUT: AtomicBool = AtomicBool::new(false);

    ctor::declarative::ctor! {
        #[ctor(unsafe)]
        fn look_before_main() {
            STDIN.store(fcntl_getfd(rustix::stdio::stdin()).is_err(), Ordering::Relaxed);
            STDOUT.store(fcntl_getfd(rustix::stdio::stdout()).is_err(), Ordering::Relaxed);
        }
    }

    pub(crate) fn stdin() -> bool {
        STDIN.load(Ordering::Relaxed)
    }

    pub(crate) fn stdout() -> bool {
        STDOUT.load(Ordering::Relaxed)
    }
}

#[cfg(not(unix))]
mod closed {
    pub(crate) fn stdin() -> bool {
        false
    }

    pub(crate) fn stdout() -> bool {
        false
    }
}
