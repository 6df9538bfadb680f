//! Standard streams as other programs leave them: non-blocking, as a pipe that nnlayer shares with an event loop, or closed.

use std::io::{self, ErrorKind, Read, Write};

#[cfg(unix)]
use std::os::fd::AsFd as Descriptor;

/// A stream that may be open without blocking: an operation that would block waits.
pub struct Waiting<S>(pub S);

/// A stream that was closed when the process started. Nothing is read from it, or written to it, in silence.
pub struct Closed;

#[derive(Clone, Copy)]
enum Direction {
    Input,
    Output,
}

impl<S: Write + Descriptor> Write for Waiting<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(&mut self.0, Direction::Output, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        retry(&mut self.0, Direction::Output, Write::flush)
    }
}

impl<S: Read + Descriptor> Read for Waiting<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        retry(&mut self.0, Direction::Input, |stream| stream.read(bytes))
    }
}

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(ErrorKind::NotConnected, "it is closed"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Closed {
    fn read(&mut self, _bytes: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(ErrorKind::NotConnected, "it is closed"))
    }
}

/// Repeats an operation until it does not fail for want of blocking, and waits in between.
fn retry<S: Descriptor, T>(
    stream: &mut S,
    direction: Direction,
    mut operation: impl FnMut(&mut S) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match operation(stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(stream, direction)?,
            result => return result,
        }
    }
}

#[cfg(unix)]
fn wait(stream: &impl Descriptor, direction: Direction) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    let ready = match direction {
        Direction::Input => PollFlags::IN,
        Direction::Output => PollFlags::OUT,
    };
    let mut descriptors = [PollFd::new(stream, ready)];
    rustix::io::retry_on_intr(|| poll(&mut descriptors, None))?;
    Ok(())
}

/// Any stream, where standard streams always block.
#[cfg(not(unix))]
pub trait Descriptor {}

#[cfg(not(unix))]
impl<S> Descriptor for S {}

#[cfg(not(unix))]
fn wait(_stream: &impl Descriptor, _direction: Direction) -> io::Result<()> {
    Err(ErrorKind::WouldBlock.into())
}
