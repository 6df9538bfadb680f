//! How far something long is: a bar on a terminal, after a second.

use super::io::Stderr;
use crate::parallel::progress::Listener;
use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How wide the bar is.
const WIDTH: usize = 30;
/// The time between two looks of the bar.
const PAUSE: Duration = Duration::from_millis(200);

/// A bar that is there while something takes long.
pub(crate) struct Bar {
    stream: Stderr,
    next: Cell<Instant>,
    shown: Cell<bool>,
    /// Whether output on the same terminal stands within a line.
    within: Cell<bool>,
}

impl Bar {
    /// A bar that is shown after so long.
    pub(crate) fn new(stream: Stderr, after: Duration) -> Rc<Bar> {
        let next = Cell::new(Instant::now() + after);
        Rc::new(Bar { stream, next, shown: Cell::new(false), within: Cell::new(false) })
    }

    /// What shows it.
    pub(crate) fn listener(self: Rc<Bar>) -> Listener {
        Rc::new(move |what, part| if part < 1.0 { self.show(what, part) } else { self.clear() })
    }

    fn show(&self, what: &str, part: f64) {
        if self.within.get() || Instant::now() < self.next.get() {
            return;
        }
        self.next.set(Instant::now() + PAUSE);
        self.shown.set(true);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        // a part of the width
        let full = (WIDTH as f64 * part) as usize;
        self.say(&format!("\r\x1b[K{what} {}{} ", "█".repeat(full), "░".repeat(WIDTH.saturating_sub(full))));
    }

    fn clear(&self) {
        if self.shown.replace(false) {
            self.say("\r\x1b[K");
        }
    }

    /// A bar that cannot be shown is missed by nobody.
    fn say(&self, text: &str) {
        let mut stream = self.stream.borrow_mut();
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }
}

/// Output on the terminal of the bar, which is gone when it comes, and does not come back within a line.
pub(crate) struct BarWriter<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) bar: Rc<Bar>,
}

impl Write for BarWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.clear();
        let written = self.out.write(bytes)?;
        if let Some(last) = bytes[..written].last() {
            self.bar.within.set(*last != b'\n');
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

    /// What a terminal is told of some work, and of output beside it.
    fn told(after: Duration, work: impl FnOnce(&mut BarWriter<'_>)) -> String {
        let screen = Rc::new(RefCell::new(Vec::new()));
        let bar = Bar::new(Rc::clone(&screen) as Stderr, after);
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
    fn a_bar_is_shown_after_a_while_and_goes_with_its_work() {
        let bar = format!("\r\x1b[Kreading {}{} \r\x1b[K", "█".repeat(10), "░".repeat(20));
        assert_eq!(told(Duration::ZERO, |_| third("reading")), bar);
        assert_eq!(told(Duration::from_secs(60), |_| third("reading")), "");
    }

    #[test]
    fn it_looks_no_more_often_than_an_eye_does() {
        let many = |_: &mut BarWriter<'_>| {
            let progress = Progress::new("computing", 1000);
            (0..999).for_each(|_| progress.advance(1));
        };
        assert_eq!(told(Duration::ZERO, many).matches("computing").count(), 1);
    }

    #[test]
    fn output_is_not_mixed_with_it() {
        let told = told(Duration::ZERO, |out| {
            let progress = Progress::new("writing", 3);
            progress.advance(1);
            out.write_all(b"[1,").unwrap();
            std::thread::sleep(PAUSE);
            progress.advance(1);
            out.write_all(b"2]\n").unwrap();
            std::thread::sleep(PAUSE);
            third("not heard");
            progress.advance(0);
        });
        let bars: Vec<&str> = told.split("\r\x1b[K").collect();
        assert!(bars.len() == 5 && bars[1].starts_with("writing █") && bars[3].starts_with("writing █"), "{told:?}");
        assert_eq!((bars[0], bars[2], bars[4]), ("", "[1,2]\n", ""));
    }
}
