//! Where the program begins on Linux with glibc: `main` as C knows it, in the place of that of Rust's runtime. What the runtime does
//! first is done here but for one thing, a word on a stack that has overflowed: for that it reads /proc/self/maps and maps a
//! second stack, a twelfth of a small job. glibc itself gives the arguments to the standard library.
#![allow(unsafe_code)]

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_getfd};
use rustix::stdio;
use std::ffi::{c_char, c_int};

/// What glibc calls.
// Sound: no other function of the program has this name, and it is declared as C has it.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    if streams_are_open().is_err() {
        return 2;
    }
    // SAFETY: no other thread is there yet, and nothing is called when the signal comes.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    super::main();
    0
}

/// Opens what was closed, on nothing: the first file that is opened would be taken for a stream.
fn streams_are_open() -> rustix::io::Result<()> {
    for stream in [stdio::stdin(), stdio::stdout(), stdio::stderr()] {
        if fcntl_getfd(stream) == Err(Errno::BADF) {
            // It gets the lowest number that is free, which is the stream's, and keeps it.
            std::mem::forget(rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty())?);
        }
    }
    Ok(())
}
