//! argv → [`nnlayer::run`] → exit status.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;

fn main() {
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
    std::process::exit(status.code());
}
