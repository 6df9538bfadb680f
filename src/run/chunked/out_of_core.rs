//! A batch in a file that need not fit in memory: it is read, computed and written in chunks of rows.
//!
//! It is computed so if x is a .npy file of at least [`MIN_FILE_BYTES`], the layer's rows are independent, and results with a row
//! for each sample go to a file. Results have the same bits as those of a batch in memory.

use super::job::{ChunkedJob, has_chunks};
use super::passes::ChunkedResults;
use super::rows::RowSource;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::InMemoryArrays;
use crate::layer::Role;
use crate::operand::grammar::OperandSpec;
use crate::operand::{OperandReader, Operands, Origin};
use crate::report::write_file;
use crate::run::dout::Dout;
use crate::run::job::Job;
use crate::run::operands::accepted_keys;
use crate::run::request::{DoutOption, LayerRequest, OUT, Request, width};
use crate::run::session::Streams;
use std::borrow::Cow;
use std::io;

/// Minimum size of a file that is read in chunks; small in debug builds, whose tests read such files.
const MIN_FILE_BYTES: u64 = if cfg!(debug_assertions) { 1 << 20 } else { 1 << 26 };

/// Opens the batch of a command. Returns `None` if it must be read into memory: for any reason, since only that way reports
/// every error.
pub(crate) fn open(request: &LayerRequest, reader: &mut OperandReader<'_>) -> Result<Option<ChunkedJob>, Error> {
    let (spec, specs) = (request.spec, &request.operands);
    let Some(input) = spec.slots.iter().find(|slot| slot.role == Role::Input) else { return Ok(None) };
    let is_missing = spec.slots.iter().any(|slot| !slot.optional && !specs.contains_key(&slot.name));
    if is_missing || !has_chunks(spec, request.common.precision) {
        return Ok(None);
    }
    let Some(x_spec @ OperandSpec::File(path, _)) = specs.get(&input.name) else { return Ok(None) };
    let Some(x) = reader.open_rows(x_spec, MIN_FILE_BYTES)?.filter(|x| x.shape().len() > 1) else { return Ok(None) };
    let layer = (spec.build)(&request.settings)?;
    let rank = x.shape().len();
    if !layer.independent_rows(rank) && !spec.is_loss() {
        return Ok(None);
    }
    let (settings, operands) = (request.settings.clone(), Operands::default());
    let job = Job { spec, layer, settings, operands, tape: None, sources: Vec::new(), dout: None, notes: Vec::new() };
    let mut chunked = ChunkedJob::new(job, request.common.precision);
    chunked.admits_chunks = true;
    chunked.job.operands.note(&input.name, Origin::File(path.clone(), String::new()), x.element());
    chunked.sources.push((input.name.clone(), RowSource::File(x)));
    for slot in spec.slots.iter().filter(|slot| slot.name != input.name) {
        let Some(spec) = specs.get(&slot.name) else { continue };
        if slot.role != Role::Target {
            let operand = reader.read_spec(&slot.name, spec.clone(), &accepted_keys(slot))?;
            chunked.job.operands.insert(slot.name.clone(), operand);
            continue;
        }
        match open_source(&mut chunked, &slot.name, spec, reader)?.filter(|source| source.rank() > 0) {
            Some(source) => chunked.sources.push((slot.name.clone(), source)),
            None => return Ok(None),
        }
    }
    if request.common.needs_gradients(spec) {
        let mut dout =
            if matches!(request.dout, DoutOption::Default) { Dout::default_ones(&[]) } else { Dout::ones(&[]) };
        chunked.dout = match &request.dout {
            DoutOption::Default | DoutOption::Ones => Some(RowSource::in_memory(dout.take_value())),
            DoutOption::Operand(option) => match open_source(&mut chunked, &Name::DOUT, option, reader)? {
                Some(source) if source.rank() == rank - usize::from(spec.is_loss()) => Some(source),
                Some(source) if source.rank() == 0 && spec.is_loss() => Some(source),
                _ => return Ok(None),
            },
        };
        chunked.job.dout = Some(dout);
    }
    chunked.job.notes.extend(request.common.warn_of_replaced(&chunked.job.operands));
    Ok(if chunked.compute_divisor()? { Some(chunked) } else { None })
}

/// Opens an operand that is a number or has a row for each sample; returns `None` for any other.
fn open_source(
    chunked: &mut ChunkedJob,
    name: &Name,
    spec: &OperandSpec,
    reader: &mut OperandReader<'_>,
) -> Result<Option<RowSource>, Error> {
    let source = match (reader.open_rows(spec, MIN_FILE_BYTES / 16)?, spec) {
        (Some(rows), OperandSpec::File(path, _)) => {
            chunked.job.operands.note(name, Origin::File(path.clone(), String::new()), rows.element());
            RowSource::File(rows)
        }
        _ => {
            let operand = reader.read_spec(name, spec.clone(), std::slice::from_ref(name))?;
            RowSource::in_memory(chunked.job.operands.record_origin(name, operand))
        }
    };
    Ok(Some(source).filter(|source| source.rank() == 0 || source.rows() == chunked.rows()))
}

/// Computes and writes a batch in files; returns false if its results must be computed in memory.
pub(crate) fn run(mut chunked: ChunkedJob, request: &Request, streams: &mut Streams<'_>) -> anyhow::Result<bool> {
    write(&mut chunked, request, streams).map_err(|error| match error.downcast::<Error>() {
        Ok(error) => streams.reader.locate_in_source(error, &chunked.job.operands).into(),
        Err(error) => error,
    })
}

fn write(chunked: &mut ChunkedJob, request: &Request, streams: &mut Streams<'_>) -> anyhow::Result<bool> {
    chunked.infer_results(request)?;
    if chunked.needs_memory() || (request.out.is_none() && !chunked.has_only_sums()) {
        return Ok(false);
    }
    let (headers, width) = (chunked.headers(), width(request.precision));
    let Some((path, format)) = &request.out else {
        let sums = ChunkedResults::new(chunked).compute_sums()?.into_iter();
        let sums = sums.map(|(name, sum)| (name, Cow::Owned(sum)));
        streams.messages.notes(&chunked.job.notes, request.strict)?;
        request.write_each(&headers, &mut InMemoryArrays::new(sums), width, &mut streams.out)?;
        return Ok(true);
    };
    request.admit_one(&headers)?;
    write_file(&OUT, path, |out| {
        format.write(&mut ChunkedResults::new(chunked), width, out)?;
        // Warnings of all rows are reported before the written file takes its name.
        streams.messages.notes(&chunked.job.notes, request.strict).map_err(io::Error::other)
    })?;
    Ok(true)
}
