//! NDJSON: one JSON object a line in, one result a line out, in order, on all cores, in memory that does not grow.
//!
//! Lines are read in rounds; threads take a round each, and what comes of them is written in order while the next are read.
//! No more rounds are in memory than threads have use for. In a round, records that are alike are computed together.

use super::error::{Messages, wire};
use super::{Status, flag, flag_of, option, text_of};
use crate::fault::{Code, Fault, Note, Place, Severity, count};
use crate::format::{self, json};
use crate::kernel::pipeline;
use crate::name::Name;
use crate::operand::Reader;
use clap::{Arg, ArgMatches, parser::ValueSource};
use serde_json::json;
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

/// Bytes that are read and given to a thread at a time.
const ROUND: usize = 1 << 18;
/// Bytes that are read at a time where each record is answered before the next is read.
const LEAST: usize = 1 << 14;
/// Records that are computed together: as many rows as stay in the first cache.
const TOGETHER: usize = 128;

/// The options of a command that takes streams.
pub(super) fn options() -> [Arg; 3] {
    [
        option("ndjson", "FILE",
            "read records, one JSON object a line (keys as the operands' options), from standard input or FILE, and write one object of results a line, in order; other keys go on in front",
        ).num_args(0..=1).default_missing_value("-"),
        flag("keep-going", "write {\"error\":{…},\"line\":N} for a bad record and go on; status 1 at the end")
            .requires("ndjson"),
        flag("unbuffered", "write each record's results before the next record is read; so it is on a terminal")
            .requires("ndjson"),
    ]
}

/// The file that records come from, `-` for standard input, where they are asked for.
pub(super) fn asked_for(matches: &ArgMatches) -> Option<&str> {
    text_of(matches, "ndjson")
}

/// Options that have no meaning record by record, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("check", "check one record, without --ndjson"),
    ("expect", "compare a whole file of results: nnlayer compare"),
    ("tape", "a tape carries one batch: give its rows as --x, without --ndjson"),
    ("name", "it names a layer of a tape"),
    ("graph", "draw one record, without --ndjson"),
    ("steps", "show one record, without --ndjson"),
    ("jacobian", "show one record, without --ndjson"),
    ("pretty", "a record's results stand on one line: leave --pretty out"),
    ("out", "send standard output to a file: > results.ndjson"),
    ("in-format", "records are JSON: leave --in-format out"),
];

/// Refuses what does not go with records.
pub(super) fn admit(matches: &ArgMatches) -> Result<(), Fault> {
    let given = |option: &str| {
        matches.try_contains_id(option).unwrap_or_default()
            && matches.value_source(option) == Some(ValueSource::CommandLine)
    };
    match REFUSED.iter().find(|(option, _)| given(option)) {
        Some((option, tip)) => {
            Err(Fault::new(Code::Usage, "does not go with --ndjson").of(&Name::new(*option)).tip(*tip))
        }
        None => Ok(()),
    }
}

/// What is done to each record. Records know nothing of each other: any thread may take any.
pub(super) trait Each: Sync {
    /// What a thread keeps from record to record.
    type Worker: Send;

    /// A thread's own.
    fn worker(&self) -> Result<Self::Worker, Fault>;

    /// Appends the results of a record, and a line break. What it appended before a fault is taken back.
    fn record(&self, worker: &mut Self::Worker, spot: &Spot<'_>, out: &mut Vec<u8>) -> Result<Vec<Note>, Fault>;

    /// Appends the results of records after one that `record` took without a note, where all are like that one: the same
    /// bytes as `record` for each, and no note. Nothing, and nothing appended, where that is not to be had.
    fn alike(&self, worker: &mut Self::Worker, first: &[u8], rest: &[Spot<'_>], out: &mut Vec<u8>) -> Option<()>;
}

/// A record, and where it stands.
pub(super) struct Spot<'a> {
    /// The file, or standard input.
    pub(super) file: &'a str,
    /// Its line, from 1.
    pub(super) number: usize,
    pub(super) text: &'a [u8],
}

impl Spot<'_> {
    /// `file:line`.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.file, self.number)
    }

    /// A fault as one of this record: at what a pointer leads to, where the fault does not say better.
    pub(super) fn inside(&self, fault: Fault, pointer: &str) -> Fault {
        let (column, pointer) = match &fault.at {
            Some(Place::Text { column, pointer, .. }) => (*column, pointer.clone()),
            Some(Place::Pointer(pointer)) => (self.column(pointer), pointer.clone()),
            _ => (self.column(pointer), pointer.to_owned()),
        };
        fault.from(self.file).at(Place::Text { line: self.number, column, pointer })
    }

    fn column(&self, pointer: &str) -> usize {
        json::locate(self.text, pointer).map_or(1, |(_, column)| column)
    }
}

/// Takes every record of a stream.
pub(super) fn run<E: Each>(
    each: &E,
    matches: &ArgMatches,
    reader: &mut Reader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> anyhow::Result<Status> {
    let file = asked_for(matches).unwrap_or("-");
    if reader.stdin.terminal && file == "-" {
        return Err(Fault::new(Code::OperandMissing, "records come from standard input, which is a terminal")
            .of(&Name::new("ndjson"))
            .tip("pipe them in, or name their file: --ndjson FILE")
            .into());
    }
    let (mut source, file) = reader.stream(file)?;
    let keep_going = flag_of(matches, "keep-going");
    let unbuffered = flag_of(matches, "unbuffered") || messages.watched;
    let mut rounds = Rounds::new(&mut *source, if unbuffered { LEAST } else { ROUND });
    let mut so_far = SoFar { file: &file, noted: Vec::new(), bad: 0, lines: 0 };
    if unbuffered {
        let mut own = each.worker()?;
        while let Some(text) = rounds.next(true).map_err(|error| format::unreadable(&file, &error))? {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let done = part(each, &mut own, line, &file, so_far.lines, keep_going);
                so_far.write(done, out, messages)?;
                out.flush()?;
            }
        }
    } else {
        let (mut before, mut unread, mut failed) = (0, None, None);
        let bring = || match rounds.next(false) {
            Ok(text) => text.map(|text| {
                let lines = before;
                before += memchr::memchr_iter(b'\n', text).count();
                (text.to_vec(), lines)
            }),
            Err(error) => {
                unread = Some(format::unreadable(&file, &error));
                None
            }
        };
        // As many as there are threads, each kept for the rounds to come.
        let workers = Mutex::new(Vec::new());
        let workers = || workers.lock().unwrap_or_else(PoisonError::into_inner);
        let make = |(text, lines): (Vec<u8>, usize)| {
            let idle = workers().pop();
            let mut worker = idle.map_or_else(|| each.worker(), Ok)?;
            let done = part(each, &mut worker, &text, &file, lines, keep_going);
            workers().push(worker);
            Ok(done)
        };
        let take = |done: Result<Done, Fault>| {
            let written = done.map_err(Into::into).and_then(|done| so_far.write(done, out, messages));
            failed = written.err();
            failed.is_none()
        };
        pipeline::run(bring, make, take);
        if let Some(error) = failed.or(unread.map(Into::into)) {
            return Err(error);
        }
    }
    out.flush()?;
    so_far.end(messages);
    Ok(if so_far.bad > 0 { Status::No } else { Status::Done })
}

/// What became of a part of a round.
struct Done {
    out: Vec<u8>,
    notes: Vec<Noted>,
    bad: usize,
    lines: usize,
    /// Why it ended before its last line.
    end: Option<Fault>,
}

/// The first warning of its kind, and how many followed.
struct Noted {
    note: Note,
    more: usize,
}

fn note(notes: &mut Vec<Noted>, new: Noted) -> bool {
    let kind = |noted: &Noted| (noted.note.fault.code, noted.note.fault.operand.clone());
    match notes.iter_mut().find(|noted| kind(noted) == kind(&new)) {
        Some(noted) => noted.more += 1 + new.more,
        None => {
            notes.push(new);
            return true;
        }
    }
    false
}

fn part<E: Each>(each: &E, worker: &mut E::Worker, text: &[u8], file: &str, before: usize, keep_going: bool) -> Done {
    let mut done = Done { out: Vec::with_capacity(text.len() / 2), notes: Vec::new(), bad: 0, lines: 0, end: None };
    let mut spots = Vec::new();
    for text in text.split_inclusive(|&byte| byte == b'\n') {
        done.lines += 1;
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        // A blank line is no record.
        if !text.trim_ascii().is_empty() {
            spots.push(Spot { file, number: before + done.lines, text });
        }
    }
    for group in spots.chunks(TOGETHER) {
        for (n, spot) in group.iter().enumerate() {
            let ordinary = done.record(each, worker, spot, keep_going);
            if done.end.is_some() {
                return done;
            }
            let rest = &group[n + 1..];
            if n == 0 && ordinary && !rest.is_empty() && each.alike(worker, spot.text, rest, &mut done.out).is_some() {
                break;
            }
        }
    }
    done
}

impl Done {
    /// Takes a record; whether there was nothing to say of it.
    fn record<E: Each>(&mut self, each: &E, worker: &mut E::Worker, spot: &Spot<'_>, keep_going: bool) -> bool {
        let whole = self.out.len();
        match each.record(worker, spot, &mut self.out) {
            Ok(notes) => {
                let ordinary = notes.is_empty();
                notes.into_iter().for_each(|new| {
                    note(&mut self.notes, Noted { note: new, more: 0 });
                });
                ordinary
            }
            Err(fault) => {
                self.out.truncate(whole);
                if keep_going {
                    self.bad += 1;
                    let line = json!({"error": wire(&fault), "line": spot.number});
                    self.out.extend_from_slice(line.to_string().as_bytes());
                    self.out.push(b'\n');
                } else {
                    self.end = Some(fault);
                }
                false
            }
        }
    }
}

/// What is known of the stream up to here.
struct SoFar<'a> {
    file: &'a str,
    noted: Vec<Noted>,
    bad: usize,
    lines: usize,
}

impl SoFar<'_> {
    fn write(&mut self, done: Done, out: &mut dyn Write, messages: &mut Messages<'_>) -> anyhow::Result<()> {
        out.write_all(&done.out)?;
        for new in done.notes {
            let first = new.note.clone();
            if note(&mut self.noted, new) {
                messages.note(&first);
            }
        }
        self.bad += done.bad;
        self.lines += done.lines;
        match done.end {
            Some(fault) => {
                out.flush()?;
                self.end(messages);
                Err(fault.into())
            }
            None => Ok(()),
        }
    }

    /// Says how often what was said once.
    fn end(&self, messages: &mut Messages<'_>) {
        for Noted { note, more } in self.noted.iter().filter(|noted| noted.more > 0) {
            let what = match note.severity {
                Severity::Warning => "warning",
                Severity::Info => "note",
            };
            let message = format!("{} more with the {what} {}", count(*more, "record"), note.fault.code.as_str());
            let fault = Fault::new(note.fault.code, message).with(|said| said.operand.clone_from(&note.fault.operand));
            messages.note(&Note::info(fault.from(self.file).tip("the first is named above")));
        }
        if self.bad > 0 {
            let message = format!("{} in place of results", count(self.bad, "error"));
            messages.note(&Note::warning(Fault::new(Code::BadRecords, message).from(self.file)));
        }
    }
}

/// A stream's lines, so many bytes at a time, and at least one line.
pub(super) struct Rounds<'a> {
    source: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// Where what was not handed out yet begins and ends.
    begin: usize,
    end: usize,
    ended: bool,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(source: &'a mut dyn Read, size: usize) -> Rounds<'a> {
        Rounds { source, buffer: vec![0; size], begin: 0, end: 0, ended: false }
    }

    /// The next lines: as many as there is room for, or, where `eager`, all that one reading brings.
    pub(super) fn next(&mut self, eager: bool) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        // Up to here no line ends.
        let mut searched = 0;
        while !self.ended {
            if self.end == self.buffer.len() {
                self.buffer.resize(2 * self.end, 0);
            }
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if eager || self.end == self.buffer.len() {
                if let Some(at) = self.buffer[searched..self.end].iter().rposition(|&byte| byte == b'\n') {
                    self.begin = searched + at + 1;
                    return Ok(Some(&self.buffer[..self.begin]));
                }
                searched = self.end;
            }
        }
        self.begin = self.end;
        Ok((self.end > 0).then(|| &self.buffer[..self.end]))
    }
}
