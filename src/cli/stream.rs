//! NDJSON: one JSON object a line in, one result a line out, in order, on all cores, in memory that does not grow.
//!
//! Lines are read in rounds; threads take a round each, and what comes of them is written in order while the next are read.
//! No more rounds are in memory than threads have use for. In a round, records that are alike are computed together.

use super::{flag, flag_of, option, text_of};
use crate::core::error::{Code, Error, Note, Place, Severity, format_count};
use crate::core::name::Name;
use crate::format;
use crate::format::json;
use crate::operand::OperandReader;
use crate::parallel::pipeline;
use crate::run::Status;
use crate::run::messages::{Messages, wire};
use crate::run::ndjson::line_chunks::{CHUNK_BYTES, LineChunk, LineReader};
use clap::{Arg, ArgMatches, parser::ValueSource};
use serde_json::json;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

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
pub(super) fn admit(matches: &ArgMatches) -> Result<(), Error> {
    let given = |option: &str| {
        matches.try_contains_id(option).unwrap_or_default()
            && matches.value_source(option) == Some(ValueSource::CommandLine)
    };
    match REFUSED.iter().find(|(option, _)| given(option)) {
        Some((option, tip)) => {
            Err(Error::new(Code::Usage, "does not go with --ndjson").with_operand(&Name::new(*option)).tip(*tip))
        }
        None => Ok(()),
    }
}

/// What is done to each record. Records know nothing of each other: any thread may take any.
pub(super) trait Each: Sync {
    /// What a thread keeps from record to record.
    type Worker: Send;

    /// A thread's own.
    fn worker(&self) -> Result<Self::Worker, Error>;

    /// Appends the results of a record, and a line break. What it appended before an error is taken back.
    fn record(&self, worker: &mut Self::Worker, spot: &Spot<'_>, out: &mut Vec<u8>) -> Result<Vec<Note>, Error>;

    /// Appends the results of records after one that `record` took last and without a note, where all are like that one: the
    /// same bytes as `record` for each, and no note. Nothing, and nothing appended, where that is not to be had.
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

    /// An error as one of this record: at what a pointer leads to, where the error does not say better.
    pub(super) fn inside(&self, error: Error, pointer: &str) -> Error {
        let (column, pointer) = match &error.at {
            Some(Place::Text { column, pointer, .. }) => (*column, pointer.clone()),
            Some(Place::Pointer(pointer)) => (self.column(pointer), pointer.clone()),
            _ => (self.column(pointer), pointer.to_owned()),
        };
        error.with_origin(self.file).at(Place::Text { line: self.number, column, pointer })
    }

    fn column(&self, pointer: &str) -> usize {
        json::locate(self.text, pointer).map_or(1, |(_, column)| column)
    }
}

/// Takes every record of a stream.
pub(super) fn run<E: Each>(
    each: &E,
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let file = asked_for(matches).unwrap_or("-");
    if reader.stdin.terminal && file == "-" {
        return Err(Error::new(Code::OperandMissing, "records come from standard input, which is a terminal")
            .with_operand(&Name::new("ndjson"))
            .tip("pipe them in, or name their file: --ndjson FILE")
            .into());
    }
    let (mut source, file) = reader.open_stream(file)?;
    let keep_going = flag_of(matches, "keep-going");
    let unbuffered = flag_of(matches, "unbuffered") || messages.stdout_is_terminal;
    let mut rounds = LineReader::new(&mut *source, if unbuffered { LEAST } else { CHUNK_BYTES });
    let mut so_far = SoFar { file: &file, noted: Vec::new(), bad: 0, lines: 0 };
    if unbuffered {
        let mut own = each.worker()?;
        while let Some(text) = rounds.next_lines(true).map_err(|error| format::read_error(&file, &error))? {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let start = Start { file: &file, lines: so_far.lines, keep_going };
                so_far.write(part(each, &mut own, line, Vec::new(), &start), out, messages)?;
                out.flush()?;
            }
        }
    } else {
        let (mut before, mut unread, mut failed) = (0, None, None);
        // What was read, worked on and written is used again.
        let (empty, written) = (Spare::default(), Spare::default());
        let bring = || match rounds.next_chunk(empty.get()) {
            Ok(round) => round.map(|round| {
                let lines = before;
                before += memchr::memchr_iter(b'\n', round.text()).count();
                (round, lines)
            }),
            Err(error) => {
                unread = Some(format::read_error(&file, &error));
                None
            }
        };
        // As many as there are threads, each kept for the rounds to come.
        let workers = Spare::default();
        let make = |(round, lines): (LineChunk, usize)| {
            let mut worker = workers.get().map_or_else(|| each.worker(), Ok)?;
            let out = written.get().unwrap_or_default();
            let done = part(each, &mut worker, round.text(), out, &Start { file: &file, lines, keep_going });
            workers.keep(worker);
            if round.buffer.len() <= CHUNK_BYTES {
                empty.keep(round.buffer);
            }
            Ok(done)
        };
        let take = |done: Result<Done, Error>| {
            let text = done.map_err(Into::into).and_then(|done| so_far.write(done, out, messages));
            failed = text.map(|text| written.keep(text)).err();
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

/// What threads leave for each other to use again.
struct Spare<T>(Mutex<Vec<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Spare(Mutex::default())
    }
}

impl<T> Spare<T> {
    fn get(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, used: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(used);
    }
}

/// Where a part of a stream begins, and what becomes of bad records.
struct Start<'a> {
    file: &'a str,
    /// The lines before it.
    lines: usize,
    keep_going: bool,
}

/// What became of a part of a stream.
struct Done {
    out: Vec<u8>,
    notes: Vec<Noted>,
    bad: usize,
    lines: usize,
    /// Why it ended before its last line.
    end: Option<Error>,
}

/// The first warning of its kind, and how many followed.
struct Noted {
    note: Note,
    more: usize,
}

fn note(notes: &mut Vec<Noted>, new: Noted) -> bool {
    let kind = |noted: &Noted| (noted.note.error.code, noted.note.error.operand.clone());
    match notes.iter_mut().find(|noted| kind(noted) == kind(&new)) {
        Some(noted) => noted.more += 1 + new.more,
        None => {
            notes.push(new);
            return true;
        }
    }
    false
}

/// Takes the records of a part; `out` is empty.
fn part<E: Each>(each: &E, worker: &mut E::Worker, text: &[u8], out: Vec<u8>, start: &Start<'_>) -> Done {
    let &Start { file, lines, keep_going } = start;
    let mut done = Done { out, notes: Vec::new(), bad: 0, lines: 0, end: None };
    let (mut spots, mut begin) = (Vec::new(), 0);
    // The last line may have no end.
    let open = (!text.ends_with(b"\n")).then_some(text.len());
    for end in memchr::memchr_iter(b'\n', text).chain(open) {
        done.lines += 1;
        let line = &text[begin..end];
        begin = end + 1;
        // A blank line is no record.
        if !line.trim_ascii().is_empty() {
            spots.push(Spot { file, number: lines + done.lines, text: line });
        }
    }
    // The last that was taken on its own, where all after it were like it.
    let mut model: Option<&Spot<'_>> = None;
    for group in spots.chunks(TOGETHER) {
        model = model.filter(|model| each.alike(worker, model.text, group, &mut done.out).is_some());
        if model.is_some() {
            continue;
        }
        for (n, spot) in group.iter().enumerate() {
            let ordinary = done.record(each, worker, spot, keep_going);
            if done.end.is_some() {
                return done;
            }
            let rest = &group[n + 1..];
            if n == 0 && ordinary && !rest.is_empty() && each.alike(worker, spot.text, rest, &mut done.out).is_some() {
                model = Some(spot);
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
            Err(error) => {
                self.out.truncate(whole);
                if keep_going {
                    self.bad += 1;
                    let line = json!({"error": wire(&error), "line": spot.number});
                    self.out.extend_from_slice(line.to_string().as_bytes());
                    self.out.push(b'\n');
                } else {
                    self.end = Some(error);
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
    /// Writes what was done, and gives the emptied text back.
    fn write(&mut self, mut done: Done, out: &mut dyn Write, messages: &mut Messages) -> anyhow::Result<Vec<u8>> {
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
            Some(error) => {
                out.flush()?;
                self.end(messages);
                Err(error.into())
            }
            None => {
                done.out.clear();
                Ok(done.out)
            }
        }
    }

    /// Says how often what was said once.
    fn end(&self, messages: &mut Messages) {
        for Noted { note, more } in self.noted.iter().filter(|noted| noted.more > 0) {
            let what = match note.severity {
                Severity::Warning => "warning",
                Severity::Info => "note",
            };
            let message =
                format!("{} more with the {what} {}", format_count(*more, "record"), note.error.code.as_str());
            let error =
                Error::new(note.error.code, message).update(|said| said.operand.clone_from(&note.error.operand));
            messages.note(&Note::info(error.with_origin(self.file).tip("the first is named above")));
        }
        if self.bad > 0 {
            let message = format!("{} in place of results", format_count(self.bad, "error"));
            messages.note(&Note::warning(Error::new(Code::BadRecords, message).with_origin(self.file)));
        }
    }
}
