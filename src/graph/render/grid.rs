//! A grid of characters: text, and lines that are joined with box-drawing characters.

use crate::graph::label::to_ascii;
use unicode_width::UnicodeWidthChar;

/// Style of the output in a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// True for ASCII characters only.
    pub ascii: bool,
    /// True for colours.
    pub color: bool,
}

/// Colour of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Forward,
    Backward,
}

impl Ink {
    /// Returns the escape sequence of the colour: a blue and an orange that colour-blind readers can distinguish.
    fn sequence(self) -> &'static str {
        match self {
            Ink::Plain => "\x1b[0m",
            Ink::Forward => "\x1b[38;5;33m",
            Ink::Backward => "\x1b[38;5;208m",
        }
    }
}

/// Stands for the second half of a wide character.
const SECOND_HALF: char = '\0';

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const UP: u8 = 4;
const DOWN: u8 = 8;

#[derive(Clone, Copy)]
struct Cell {
    text: Option<char>,
    ink: Ink,
    lines: u8,
    /// Owner of the horizontal line.
    across: usize,
    /// Owner of the vertical line.
    along: usize,
}

/// A grid of characters; what is written outside of it is ignored.
pub(super) struct Grid {
    width: usize,
    cells: Vec<Cell>,
}

impl Grid {
    pub(super) fn new(width: usize, height: usize) -> Grid {
        let none = Cell { text: None, ink: Ink::Plain, lines: 0, across: usize::MAX, along: usize::MAX };
        Grid { width, cells: vec![none; width * height] }
    }

    fn at(&mut self, x: i32, y: i32) -> Option<&mut Cell> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        if x < self.width { self.cells.get_mut(y * self.width + x) } else { None }
    }

    pub(super) fn write(&mut self, x: i32, y: i32, text: &str, ink: Ink) {
        let mut x = x;
        for char in text.chars() {
            if let Some(cell) = self.at(x, y) {
                (cell.text, cell.ink) = (Some(char), ink);
            }
            if char.width() == Some(2)
                && let Some(cell) = self.at(x + 1, y)
            {
                (cell.text, cell.ink) = (Some(SECOND_HALF), ink);
            }
            x += if char.width() == Some(2) { 2 } else { 1 };
        }
    }

    /// Draws a line from the middle of the cell at `from` to that at `to`.
    pub(super) fn horizontal(&mut self, y: i32, from: i32, to: i32, owner: usize) {
        for x in from..=to {
            let lines = if x > from { LEFT } else { 0 } | if x < to { RIGHT } else { 0 };
            if let Some(cell) = self.at(x, y) {
                cell.lines |= lines;
                cell.across = owner;
            }
        }
    }

    pub(super) fn vertical(&mut self, x: i32, from: i32, to: i32, owner: usize) {
        let (top, bottom) = (from.min(to), from.max(to));
        for y in top..=bottom {
            let lines = if y > top { UP } else { 0 } | if y < bottom { DOWN } else { 0 };
            if let Some(cell) = self.at(x, y) {
                cell.lines |= lines;
                cell.along = owner;
            }
        }
    }

    /// Returns true if lines cross.
    pub(super) fn has_crossing(&self) -> bool {
        self.cells.iter().any(Cell::is_crossing)
    }

    pub(super) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for row in self.cells.chunks(self.width.max(1)) {
            let end = row.iter().rposition(|cell| cell.char() != ' ').map_or(0, |last| last + 1);
            let mut ink = Ink::Plain;
            for cell in &row[..end] {
                if style.color && cell.ink != ink {
                    text.push_str(cell.ink.sequence());
                    ink = cell.ink;
                }
                match style.ascii {
                    _ if cell.text == Some(SECOND_HALF) => (),
                    true => text.push_str(&to_ascii(cell.char())),
                    false => text.push(cell.char()),
                }
            }
            if style.color && ink != Ink::Plain {
                text.push_str(Ink::Plain.sequence());
            }
            text.push('\n');
        }
        text.truncate(text.trim_end_matches('\n').len());
        text + "\n"
    }
}

impl Cell {
    /// Returns true if a horizontal line passes below the vertical line of another owner.
    fn is_crossing(&self) -> bool {
        let is_vertical = self.text.is_none() && self.lines & (UP | DOWN) == UP | DOWN;
        is_vertical && self.lines & (LEFT | RIGHT) != 0 && self.across != self.along
    }

    fn char(&self) -> char {
        if let Some(text) = self.text {
            return text;
        }
        match if self.is_crossing() { UP | DOWN } else { self.lines } {
            0 => ' ',
            l if l & (UP | DOWN) == 0 => '─',
            l if l & (LEFT | RIGHT) == 0 => '│',
            l if l == RIGHT | DOWN => '┌',
            l if l == LEFT | DOWN => '┐',
            l if l == RIGHT | UP => '└',
            l if l == LEFT | UP => '┘',
            l if l == RIGHT | UP | DOWN => '├',
            l if l == LEFT | UP | DOWN => '┤',
            l if l == LEFT | RIGHT | DOWN => '┬',
            l if l == LEFT | RIGHT | UP => '┴',
            _ => '┼',
        }
    }
}
