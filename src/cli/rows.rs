//! A large batch, read and computed a block of rows at a time: of what has a row for each sample no more than a block is in
//! memory.
//!
//! It is taken where x is a .npy file of [`LARGE`] bytes or more, the layer's rows do not depend on each other, and results
//! with a row for each sample go to a file. They are the same bits as if all were in memory. Several exact ones
//! that one pass computes are made in memory.

use super::blocks::{Batch, Batches, Blocks, Upstream, in_blocks};
use super::gather;
use super::layer::width;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::{ArrayStream, InMemoryArrays};
use crate::layer::{LayerSpec, Role};
use crate::operand::{OperandReader, Operands, Origin};
use crate::report::write::file;
use crate::run::messages::Messages;
use crate::run::request::Request;
use clap::ArgMatches;
use std::borrow::Cow;
use std::io::{self, Write};

/// A batch of fewer bytes is in memory.
const LARGE: u64 = 1 << 26;

impl Batches {
    /// The batch, where it is one; whatever is unusual is left to the way that has everything in memory.
    pub(super) fn in_file(
        spec: &'static LayerSpec,
        matches: &ArgMatches,
        request: &Request,
        reader: &mut OperandReader<'_>,
    ) -> Result<Option<Batches>, Error> {
        let text = |name: &Name| matches.get_one::<String>(name.as_str());
        let Some(input) = spec.slots.iter().find(|slot| slot.role == Role::Input) else { return Ok(None) };
        let alone = spec.slots.iter().any(|slot| !slot.optional && text(&slot.name).is_none());
        if alone || !in_blocks(spec, request.precision) {
            return Ok(None);
        }
        let Some(path) = text(&input.name) else { return Ok(None) };
        let Some(x) = reader.open_rows(path, LARGE)?.filter(|x| x.shape().len() == 2) else { return Ok(None) };
        let layer = (spec.build)(&gather::settings(spec, matches)?)?;
        if !layer.independent_rows() && !spec.is_loss() {
            return Ok(None);
        }
        let mut large = Batches::new(spec, layer, Operands::default(), request.precision);
        large.admits = true;
        large.operands.note(&input.name, Origin::File(path.clone(), String::new()), x.rounding());
        large.batches.push((input.name.clone(), Batch::Read(x)));
        for slot in spec.slots.iter().filter(|slot| slot.name != input.name) {
            let Some(text) = text(&slot.name) else { continue };
            if slot.role != Role::Target {
                large.operands.insert(slot.name.clone(), reader.read(&slot.name, text, &gather::stand_ins(slot))?);
            } else if let Some(batch) = large.batch(&slot.name, text, reader)?.filter(|batch| batch.rank() > 0) {
                large.batches.push((slot.name.clone(), batch));
            } else {
                return Ok(None);
            }
        }
        large.said = text(&Name::DOUT).is_some();
        large.dout = match text(&Name::DOUT).map(String::as_str) {
            _ if !request.backward(spec) => Upstream::None,
            None | Some("ones") => Upstream::Number(1.0),
            Some(text) => match large.batch(&Name::DOUT, text, reader)? {
                Some(batch) if batch.rank() == if spec.is_loss() { 1 } else { 2 } => Upstream::Batch(batch),
                Some(Batch::Held { blocks, .. }) if blocks[0].ndim() == 0 && spec.is_loss() => {
                    Upstream::Number(blocks[0][[]])
                }
                _ => return Ok(None),
            },
        };
        Ok(if large.settle()? { Some(large) } else { None })
    }

    /// An operand with as many rows as there are samples, or a number.
    fn batch(&mut self, name: &Name, text: &str, reader: &mut OperandReader<'_>) -> Result<Option<Batch>, Error> {
        let batch = match reader.open_rows(text, LARGE / 16)? {
            Some(rows) => {
                self.operands.note(name, Origin::File(text.to_owned(), String::new()), rows.rounding());
                Batch::Read(rows)
            }
            None => {
                Batch::held(self.operands.record_origin(name, reader.read(name, text, std::slice::from_ref(name))?))
            }
        };
        Ok(Some(batch).filter(|batch| batch.rank() == 0 || batch.len() == self.rows()))
    }
}

/// Why it could not go on.
enum Failed {
    Error(Error),
    Write(io::Error),
    Other(anyhow::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Error(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Write(error)
    }
}

/// Computes and writes a batch in files; false where its results are not written to one as they come.
pub(super) fn run(
    mut large: Batches,
    request: &Request,
    reader: &OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<bool> {
    write(&mut large, request, out, messages).map_err(|failed| match failed {
        Failed::Error(error) => reader.locate_in_source(error, &large.operands).into(),
        Failed::Write(error) => error.into(),
        Failed::Other(error) => error,
    })
}

fn write(large: &mut Batches, request: &Request, out: &mut dyn Write, messages: &mut Messages) -> Result<bool, Failed> {
    large.look(request)?;
    if large.wants_memory() {
        return Ok(false);
    }
    let (heads, width) = (large.heads(), width(request));
    let Some((path, format)) = request.file() else {
        if !large.sums_only() {
            return Ok(false);
        }
        let mut sums = Vec::new();
        pass(large, request, messages, |arrays| {
            while let Some((name, _)) = arrays.next_array()? {
                sums.extend(arrays.next_rows()?.map(|sum| (name, Cow::Owned(sum.into_owned()))));
            }
            Ok(())
        })?;
        let written = request.write_each(&heads, &mut InMemoryArrays::new(sums.into_iter()), width, out);
        return written.map(|()| true).map_err(Failed::Other);
    };
    request.admit_one(&heads)?;
    let mut failed = None;
    let written = file(path, |out| {
        pass(large, request, messages, |arrays| format.write(arrays, width, out)).map_err(|why| match why {
            Failed::Write(error) => error,
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

/// Goes over all rows, and says what is worth saying of them, before anybody reads what was written.
fn pass(
    large: &mut Batches,
    request: &Request,
    messages: &mut Messages,
    write: impl FnOnce(&mut dyn ArrayStream) -> io::Result<()>,
) -> Result<(), Failed> {
    let mut blocks = Blocks::new(large);
    let written = write(&mut blocks);
    if let Some(error) = blocks.error {
        return Err(error.into());
    }
    written?;
    Ok(messages.notes(&large.notes, request.strict)?)
}
