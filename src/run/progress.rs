//! The progress bar on a terminal.

use super::io::Stderr;
use crate::parallel::progress::Listener;
use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Width of the bar, in characters.
const BAR_CHARS: usize = 30;
/// Minimum time between two updates of the bar.
const UPDATE_INTERVAL: Duration = Duration::from_millis(200);

/// A progress bar.
pub(crate) struct Bar {
    stream: Stderr,
    next_update: Cell<Instant>,
    is_shown: Cell<bool>,
    /// True if the last output on the same terminal did not end its line.
    is_within_line: Cell<bool>,
}

impl Bar {
    /// Returns a bar that is shown after a delay.
    pub(crate) fn new(stream: Stderr, delay: Duration) -> Rc<Bar> {
        let next_update = Cell::new(Instant::now() + delay);
        Rc::new(Bar { stream, next_update, is_shown: Cell::new(false), is_within_line: Cell::new(false) })
    }

    /// Returns the listener that shows progress in the bar.
    pub(crate) fn listener(self: Rc<Bar>) -> Listener {
        Rc::new(move |name, fraction| if fraction < 1.0 { self.show(name, fraction) } else { self.clear() })
    }

    fn show(&self, name: &str, fraction: f64) {
        if self.is_within_line.get() || Instant::now() < self.next_update.get() {
            return;
        }
        self.next_update.set(Instant::now() + UPDATE_INTERVAL);
        self.is_shown.set(true);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        // A fraction of the width is small and not negative.
        let full = (BAR_CHARS as f64 * fraction) as usize;
        self.write(&format!("\r\x1b[K{name} {}{} ", "█".repeat(full), "░".repeat(BAR_CHARS.saturating_sub(full))));
    }

    fn clear(&self) {
        if self.is_shown.replace(false) {
            self.write("\r\x1b[K");
        }
    }

    /// Writes to standard error; a failure is ignored, since the bar carries no result.
    fn write(&self, text: &str) {
        let mut stream = self.stream.borrow_mut();
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }
}

/// Writer for output on the terminal of the bar: it clears the bar first and keeps it away within a line.
pub(crate) struct BarWriter<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) bar: Rc<Bar>,
}

impl Write for BarWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.clear();
        let written = self.out.write(bytes)?;
        if let Some(last) = bytes[..written].last() {
            self.bar.is_within_line.set(*last != b'\n');
            self.out.flush()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::parallel::progress::{Progress, with_listener};
    use std::cell::RefCell;

    /// Returns what a terminal receives during some work that writes output.
    fn screen_of(delay: Duration, work: impl FnOnce(&mut BarWriter<'_>)) -> String {
        let screen = Rc::new(RefCell::new(Vec::new()));
        let bar = Bar::new(Rc::clone(&screen) as Stderr, delay);
        let mut output = Screen(Rc::clone(&screen));
        let mut out = BarWriter { out: &mut output, bar: Rc::clone(&bar) };
        with_listener(Some(bar.listener()), || work(&mut out));
        String::from_utf8(screen.take()).unwrap()
    }

    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn third(what: &'static str) {
        Progress::new(what, 3).advance(1);
    }

    #[test]
    fn the_bar_is_shown_after_a_delay_and_cleared_at_the_end() {
        let bar = format!("\r\x1b[Kreading {}{} \r\x1b[K", "█".repeat(10), "░".repeat(20));
        assert_eq!(screen_of(Duration::ZERO, |_| third("reading")), bar);
        assert_eq!(screen_of(Duration::from_secs(60), |_| third("reading")), "");
    }

    #[test]
    fn updates_are_at_least_an_interval_apart() {
        let many = |_: &mut BarWriter<'_>| {
            let progress = Progress::new("computing", 1000);
            (0..999).for_each(|_| progress.advance(1));
        };
        assert_eq!(screen_of(Duration::ZERO, many).matches("computing").count(), 1);
    }

    #[test]
    fn the_bar_is_cleared_before_output() {
        let screen = screen_of(Duration::ZERO, |out| {
            let progress = Progress::new("writing", 3);
            progress.advance(1);
            out.write_all(b"[1,").unwrap();
            std::thread::sleep(UPDATE_INTERVAL);
            progress.advance(1);
            out.write_all(b"2]\n").unwrap();
            std::thread::sleep(UPDATE_INTERVAL);
            third("not heard");
            progress.advance(0);
        });
        let bars: Vec<&str> = screen.split("\r\x1b[K").collect();
        assert!(bars.len() == 5 && bars[1].starts_with("writing █") && bars[3].starts_with("writing █"), "{screen:?}");
        assert_eq!((bars[0], bars[2], bars[4]), ("", "[1,2]\n", ""));
    }
}
