//! A batch in a file that need not fit in memory: it is read, computed and written in chunks of rows.
//!
//! It is computed so if x is a .npy file of at least [`MIN_FILE_BYTES`], the layer's rows are independent, and results with a row
//! for each sample go to a file. Results have the same bits as those of a batch in memory.

use super::job::{ChunkedDout, ChunkedJob, has_chunks};
use super::passes::ChunkedResults;
use super::rows::RowSource;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::{ArrayStream, InMemoryArrays};
use crate::layer::Role;
use crate::operand::grammar::OperandSpec;
use crate::operand::{OperandReader, Operands, Origin};
use crate::report::write_file;
use crate::run::messages::Messages;
use crate::run::operands::accepted_keys;
use crate::run::request::{DoutOption, LayerRequest, Request};
use std::borrow::Cow;
use std::io::{self, Write};

/// Minimum size of a file that is read in chunks.
const MIN_FILE_BYTES: u64 = 1 << 26;

/// Opens the batch of a command. Returns `None` if it must be read into memory: for any reason, since only that way reports
/// every error.
pub(crate) fn open(request: &LayerRequest, reader: &mut OperandReader<'_>) -> Result<Option<ChunkedJob>, Error> {
    let (spec, specs) = (request.spec, &request.operands);
    let Some(input) = spec.slots.iter().find(|slot| slot.role == Role::Input) else { return Ok(None) };
    let is_missing = spec.slots.iter().any(|slot| !slot.optional && specs.get(&slot.name).is_none());
    if is_missing || !has_chunks(spec, request.common.precision) {
        return Ok(None);
    }
    let Some(x_spec @ OperandSpec::File(path, _)) = specs.get(&input.name) else { return Ok(None) };
    let Some(x) = reader.open_rows(x_spec, MIN_FILE_BYTES)?.filter(|x| x.shape().len() == 2) else { return Ok(None) };
    let layer = (spec.build)(&request.settings)?;
    if !layer.independent_rows() && !spec.is_loss() {
        return Ok(None);
    }
    let mut job = ChunkedJob::new(spec, layer, Operands::default(), request.common.precision);
    job.admits_chunks = true;
    job.operands.note(&input.name, Origin::File(path.clone(), String::new()), x.rounding());
    job.sources.push((input.name.clone(), RowSource::File(x)));
    for slot in spec.slots.iter().filter(|slot| slot.name != input.name) {
        let Some(spec) = specs.get(&slot.name) else { continue };
        if slot.role != Role::Target {
            job.operands.insert(slot.name.clone(), reader.read_spec(&slot.name, spec.clone(), &accepted_keys(slot))?);
            continue;
        }
        match open_source(&mut job, &slot.name, spec, reader)?.filter(|source| source.rank() > 0) {
            Some(source) => job.sources.push((slot.name.clone(), source)),
            None => return Ok(None),
        }
    }
    job.is_dout_explicit = !matches!(request.dout, DoutOption::Default);
    job.dout = match &request.dout {
        _ if !request.common.needs_gradients(spec) => ChunkedDout::None,
        DoutOption::Default | DoutOption::Ones => ChunkedDout::Number(1.0),
        DoutOption::Operand(dout) => match open_source(&mut job, &Name::DOUT, dout, reader)? {
            Some(source) if source.rank() == if spec.is_loss() { 1 } else { 2 } => ChunkedDout::Rows(source),
            Some(RowSource::Memory { chunks, .. }) if chunks[0].ndim() == 0 && spec.is_loss() => {
                ChunkedDout::Number(chunks[0][[]])
            }
            _ => return Ok(None),
        },
    };
    Ok(if job.compute_divisor()? { Some(job) } else { None })
}

/// Opens an operand that is a number or has a row for each sample; returns `None` for any other.
fn open_source(
    job: &mut ChunkedJob,
    name: &Name,
    spec: &OperandSpec,
    reader: &mut OperandReader<'_>,
) -> Result<Option<RowSource>, Error> {
    let source = match (reader.open_rows(spec, MIN_FILE_BYTES / 16)?, spec) {
        (Some(rows), OperandSpec::File(path, _)) => {
            job.operands.note(name, Origin::File(path.clone(), String::new()), rows.rounding());
            RowSource::File(rows)
        }
        _ => {
            let operand = reader.read_spec(name, spec.clone(), std::slice::from_ref(name))?;
            RowSource::in_memory(job.operands.record_origin(name, operand))
        }
    };
    Ok(Some(source).filter(|source| source.rank() == 0 || source.rows() == job.rows()))
}

/// Reason why a batch could not be computed or written.
enum Failure {
    Error(Error),
    Io(io::Error),
    Other(anyhow::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// Computes and writes a batch in files; returns false if its results must be computed in memory.
pub(crate) fn run(
    mut job: ChunkedJob,
    request: &Request,
    reader: &OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<bool> {
    write(&mut job, request, out, messages).map_err(|failure| match failure {
        Failure::Error(error) => reader.locate_in_source(error, &job.operands).into(),
        Failure::Io(error) => error.into(),
        Failure::Other(error) => error,
    })
}

fn write(
    job: &mut ChunkedJob,
    request: &Request,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> Result<bool, Failure> {
    job.infer_results(request)?;
    if job.needs_memory() {
        return Ok(false);
    }
    let (headers, width) = (job.headers(), request.width());
    let Some((path, format)) = &request.out else {
        if !job.has_only_sums() {
            return Ok(false);
        }
        let mut sums = Vec::new();
        compute(job, request, messages, |arrays| {
            while let Some((name, _)) = arrays.next_array()? {
                sums.extend(arrays.next_rows()?.map(|sum| (name, Cow::Owned(sum.into_owned()))));
            }
            Ok(())
        })?;
        let written = request.write_each(&headers, &mut InMemoryArrays::new(sums.into_iter()), width, out);
        return written.map(|()| true).map_err(Failure::Other);
    };
    request.admit_one(&headers)?;
    let mut failed = None;
    let written = write_file(path, |out| {
        compute(job, request, messages, |arrays| format.write(arrays, width, out)).map_err(|failure| match failure {
            Failure::Io(error) => error,
            other => {
                failed = Some(other);
                io::ErrorKind::Other.into()
            }
        })
    });
    match failed {
        Some(failed) => Err(failed),
        None => Ok(written.map(|()| true).map_err(|error| error.with_operand(&Name::new("out")))?),
    }
}

/// Computes all results and reports the warnings and notes of all rows before the written file takes its name.
fn compute(
    job: &mut ChunkedJob,
    request: &Request,
    messages: &mut Messages,
    write: impl FnOnce(&mut dyn ArrayStream) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut results = ChunkedResults::new(job);
    let written = write(&mut results);
    if let Some(error) = results.error {
        return Err(error.into());
    }
    written?;
    Ok(messages.notes(&job.notes, request.strict)?)
}
