//! NDJSON: computes one JSON object a line, in order, on all cores and in bounded memory.
//!
//! The stream is read in chunks of whole lines. Each thread processes a chunk; the results are written in order while the
//! next chunks are read, and the number of chunks in memory is bounded by the number of threads. Within a chunk, records of
//! one schema are computed as a batch.

use super::messages::{Messages, wire};
use super::request::RecordOptions;
use super::session::Streams;
use super::status::Status;
use crate::core::error::{Code, Error, Note, Severity, format_count};
use crate::core::name::Name;
use crate::format;
use crate::parallel::pipeline;
use line_chunks::{CHUNK_BYTES, LineChunk};
use record::{RecordRef, RecordWorker};
use serde_json::json;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

mod engine;
mod layer;
pub(crate) mod line_chunks;
mod network;
mod plan;
mod record;
mod record_batch;

pub(crate) use plan::RecordPlan;

/// Size of a read if each record is answered before the next one is read, in bytes.
const UNBUFFERED_BYTES: usize = 1 << 14;
/// Number of records in a batch; their rows fit the L1 cache. Batches are small in debug builds, whose tests need several.
const BATCH_RECORDS: usize = if cfg!(debug_assertions) { 32 } else { 128 };

/// Computes the records of a stream and writes their results.
pub(crate) fn run(plan: &RecordPlan, options: &RecordOptions, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let Streams { reader, out, messages, .. } = streams;
    let &RecordOptions { ref file, keep_going, unbuffered } = options;
    if reader.stdin.terminal && file == "-" {
        return Err(Error::new(Code::OperandMissing, "reads records from standard input, but that is a terminal")
            .with_operand(&Name::new("ndjson"))
            .tip("pipe the records in, or name their file: --ndjson FILE")
            .into());
    }
    let unbuffered = unbuffered || messages.stdout_is_terminal;
    let (mut source, file) = reader.open_stream(file)?;
    let mut lines = line_chunks::LineReader::new(&mut *source, if unbuffered { UNBUFFERED_BYTES } else { CHUNK_BYTES });
    let mut state = StreamState { file: &file, warnings: Vec::new(), bad_records: 0, lines: 0 };
    if unbuffered {
        let mut worker = RecordWorker::new(plan);
        while let Some(text) = lines.next_lines(true).map_err(|error| format::read_error(&file, &error))? {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let start = ChunkStart { file: &file, lines: state.lines, keep_going };
                state.write(process(&mut worker, line, Vec::new(), &start), out, messages)?;
            }
        }
    } else {
        let (mut lines_before, mut read_error, mut failure) = (0, None, None);
        let (input_buffers, output_buffers) = (BufferPool::default(), BufferPool::default());
        let read = || match lines.next_chunk(input_buffers.get()) {
            Ok(chunk) => chunk.map(|chunk| {
                let before = lines_before;
                lines_before += memchr::memchr_iter(b'\n', chunk.text()).count();
                (chunk, before)
            }),
            Err(error) => {
                read_error = Some(format::read_error(&file, &error));
                None
            }
        };
        // At most one worker for each thread is created.
        let workers = BufferPool::default();
        let compute = |(chunk, lines): (LineChunk, usize)| {
            let mut worker = workers.get().unwrap_or_else(|| RecordWorker::new(plan));
            let out = output_buffers.get().unwrap_or_default();
            let result = process(&mut worker, chunk.text(), out, &ChunkStart { file: &file, lines, keep_going });
            workers.put(worker);
            if chunk.buffer.len() <= CHUNK_BYTES {
                input_buffers.put(chunk.buffer);
            }
            result
        };
        let write = |result: ChunkResult| {
            let written = state.write(result, out, messages);
            failure = written.map(|buffer| output_buffers.put(buffer)).err();
            failure.is_none()
        };
        pipeline::run(read, compute, write);
        if let Some(error) = failure.or(read_error.map(Into::into)) {
            return Err(error);
        }
    }
    state.report_totals(messages);
    Ok(if state.bad_records > 0 { Status::No } else { Status::Done })
}

/// Buffers and workers that threads recycle.
struct BufferPool<T>(Mutex<Vec<T>>);

impl<T> Default for BufferPool<T> {
    fn default() -> Self {
        BufferPool(Mutex::default())
    }
}

impl<T> BufferPool<T> {
    fn get(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, buffer: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Place of a chunk in the stream.
struct ChunkStart<'a> {
    file: &'a str,
    /// Number of lines before the chunk.
    lines: usize,
    keep_going: bool,
}

/// Results of a chunk.
#[derive(Default)]
struct ChunkResult {
    out: Vec<u8>,
    warnings: Vec<CountedNote>,
    bad_records: usize,
    lines: usize,
    /// Error that ended the chunk before its last line.
    error: Option<Error>,
}

/// The first note of its kind, and the number of those that followed.
struct CountedNote {
    note: Note,
    more: usize,
}

/// Adds a note, or counts it if there is one of its kind. Returns true if it is the first.
fn add_note(notes: &mut Vec<CountedNote>, new: CountedNote) -> bool {
    let kind = |counted: &CountedNote| (counted.note.error.code, counted.note.error.operand.clone());
    let known = notes.iter_mut().find(|known| kind(known) == kind(&new));
    let is_first = known.is_none();
    match known {
        Some(known) => known.more += 1 + new.more,
        None => notes.push(new),
    }
    is_first
}

/// Computes the records of a chunk into the empty buffer `out`.
fn process(worker: &mut RecordWorker<'_>, text: &[u8], out: Vec<u8>, start: &ChunkStart<'_>) -> ChunkResult {
    let mut result = ChunkResult { out, ..ChunkResult::default() };
    let (mut records, mut begin) = (Vec::new(), 0);
    // The last line of a stream may have no line break.
    let unterminated = (!text.ends_with(b"\n")).then_some(text.len());
    for end in memchr::memchr_iter(b'\n', text).chain(unterminated) {
        result.lines += 1;
        let line = &text[begin..end];
        begin = end + 1;
        // A blank line is no record.
        if !line.trim_ascii().is_empty() {
            records.push(RecordRef { file: start.file, line: start.lines + result.lines, text: line });
        }
    }
    // The record that was computed on its own last, while all records since then have its schema.
    let mut template: Option<&RecordRef<'_>> = None;
    for group in records.chunks(BATCH_RECORDS) {
        template = template.filter(|template| worker.compute_batch(template, group, &mut result.out).is_some());
        if template.is_some() {
            continue;
        }
        for (n, record) in group.iter().enumerate() {
            let is_plain = result.add(worker, record, start.keep_going);
            if result.error.is_some() {
                return result;
            }
            let rest = &group[n + 1..];
            if n == 0 && is_plain && !rest.is_empty() && worker.compute_batch(record, rest, &mut result.out).is_some() {
                template = Some(record);
                break;
            }
        }
    }
    result
}

impl ChunkResult {
    /// Computes a record. Returns true if it gave neither an error nor a note.
    fn add(&mut self, worker: &mut RecordWorker<'_>, record: &RecordRef<'_>, keep_going: bool) -> bool {
        let length = self.out.len();
        match worker.compute(record, &mut self.out) {
            Ok(notes) => {
                let is_plain = notes.is_empty();
                for note in notes {
                    add_note(&mut self.warnings, CountedNote { note, more: 0 });
                }
                is_plain
            }
            Err(error) => {
                self.out.truncate(length);
                if keep_going {
                    self.bad_records += 1;
                    let line = json!({"error": wire(&error), "line": record.line});
                    self.out.extend_from_slice(line.to_string().as_bytes());
                    self.out.push(b'\n');
                } else {
                    self.error = Some(error);
                }
                false
            }
        }
    }
}

/// Totals of the chunks that were written.
struct StreamState<'a> {
    file: &'a str,
    warnings: Vec<CountedNote>,
    bad_records: usize,
    lines: usize,
}

impl StreamState<'_> {
    /// Writes the results of a chunk, and returns its emptied buffer.
    fn write(
        &mut self,
        mut result: ChunkResult,
        out: &mut dyn Write,
        messages: &mut Messages,
    ) -> anyhow::Result<Vec<u8>> {
        out.write_all(&result.out)?;
        out.flush()?;
        for new in result.warnings {
            let first = new.note.clone();
            if add_note(&mut self.warnings, new) {
                messages.note(&first);
            }
        }
        self.bad_records += result.bad_records;
        self.lines += result.lines;
        match result.error {
            Some(error) => {
                self.report_totals(messages);
                Err(error.into())
            }
            None => {
                result.out.clear();
                Ok(result.out)
            }
        }
    }

    /// Reports how often warnings were repeated, and the number of bad records.
    fn report_totals(&self, messages: &mut Messages) {
        for CountedNote { note, more } in self.warnings.iter().filter(|counted| counted.more > 0) {
            let kind = match note.severity {
                Severity::Warning => "warning",
                Severity::Info => "note",
            };
            let repeated =
                if *more == 1 { "1 more record has".to_owned() } else { format!("{more} more records have") };
            let message = format!("{repeated} the {kind} {}", note.error.code.as_str());
            let error =
                Error::new(note.error.code, message).update(|parts| parts.operand.clone_from(&note.error.operand));
            messages.note(&Note::info(error.with_origin(self.file).tip("see the first one above")));
        }
        if self.bad_records > 0 {
            let message = format!("{} written in place of results", format_count(self.bad_records, "error"));
            messages.note(&Note::warning(Error::new(Code::BadRecords, message).with_origin(self.file)));
        }
    }
}
