//! A large batch, computed a block of rows at a time: of what has a row for each sample no more than a block is in memory.
//!
//! It is taken where x is a .npy file of [`LARGE`] bytes or more, the layer's rows do not depend on each other, and results
//! with a row for each sample go to a .npy or .npz file. They are the same bits as if all were in memory.

use super::error::Messages;
use super::gather;
use super::job::Dout;
use super::layer::blocks as blocks_of;
use super::request::Request;
use crate::bundle::Bundle;
use crate::fault::{Fault, Note};
use crate::format::npy::rows::{self as blocks, Rows};
use crate::format::{Width, npz};
use crate::kernel::progress::Progress;
use crate::layer::{self, AnyLayer, Given, LayerSpec, Outcome, Precision, Role};
use crate::name::Name;
use crate::operand::{Operands, Origin, Reader};
use crate::report::{Report, write};
use crate::scalar::Running;
use clap::ArgMatches;
use ndarray::{ArrayD, Axis, Slice};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A batch of fewer bytes is computed at once.
const LARGE: u64 = 1 << 26;

/// Rows that are computed together: as many products as the kernel adds up before it goes on to the next so many.
const BLOCK: usize = 256;

/// An operand with a row for each sample.
enum Batch {
    Read(Rows),
    Held(ArrayD<f64>),
}

impl Batch {
    fn rank(&self) -> usize {
        match self {
            Batch::Read(rows) => rows.shape().len(),
            Batch::Held(all) => all.ndim(),
        }
    }

    /// The rows from `begin` on.
    fn block(&mut self, begin: usize, count: usize) -> Result<ArrayD<f64>, Fault> {
        match self {
            Batch::Read(rows) => rows.next(count),
            Batch::Held(all) => {
                let end = (begin + count).min(all.len_of(Axis(0)));
                Ok(all.slice_axis(Axis(0), Slice::from(begin.min(end)..end)).to_owned())
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Batch::Read(rows) => rows.shape()[0],
            Batch::Held(all) => all.len_of(Axis(0)),
        }
    }
}

/// A large batch with all that is needed for it.
pub(super) struct Large {
    spec: &'static LayerSpec,
    layer: Box<dyn AnyLayer>,
    /// What is there for all rows, and where everything came from.
    operands: Operands,
    batches: Vec<(Name, Batch)>,
    dout: Upstream,
    rows: usize,
}

/// The upstream gradient.
enum Upstream {
    None,
    Ones { said: bool },
    Number(f64),
    Batch(Box<Batch>),
}

impl Large {
    /// The batch, where it is one; whatever is unusual is left to the way that has everything in memory.
    pub(super) fn wanted(
        spec: &'static LayerSpec,
        matches: &ArgMatches,
        request: &Request,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Large>, Fault> {
        let text = |name: &Name| matches.get_one::<String>(name.as_str());
        let Some(input) = spec.slots.iter().find(|slot| slot.role == Role::Input) else { return Ok(None) };
        let alone = spec.slots.iter().any(|slot| !slot.optional && text(&slot.name).is_none());
        if alone || request.precision == Precision::Exact {
            return Ok(None);
        }
        let Some(path) = text(&input.name) else { return Ok(None) };
        let Some(x) = reader.rows(path, LARGE)?.filter(|x| x.shape().len() == 2) else { return Ok(None) };
        let layer = (spec.build)(&gather::settings(spec, matches)?)?;
        if !layer.independent_rows() {
            return Ok(None);
        }
        let rows = x.shape()[0];
        let mut large =
            Large { spec, layer, operands: Operands::default(), batches: Vec::new(), dout: Upstream::None, rows };
        large.operands.note(&input.name, Origin::File(path.clone(), String::new()), x.rounding());
        large.batches.push((input.name.clone(), Batch::Read(x)));
        for slot in spec.slots.iter().filter(|slot| slot.name != input.name) {
            let Some(text) = text(&slot.name) else { continue };
            if slot.role != Role::Target {
                large.operands.insert(slot.name.clone(), reader.read(&slot.name, text, &gather::stand_ins(slot))?);
            } else if let Some(batch) = large.batch(&slot.name, text, reader)? {
                large.batches.push((slot.name.clone(), batch));
            } else {
                return Ok(None);
            }
        }
        large.dout = match text(&Name::DOUT) {
            _ if !request.backward(spec) => Upstream::None,
            None => Upstream::Ones { said: false },
            Some(text) if text == "ones" => Upstream::Ones { said: true },
            Some(text) => match large.batch(&Name::DOUT, text, reader)? {
                Some(batch) if batch.rank() == if spec.is_loss() { 1 } else { 2 } => Upstream::Batch(Box::new(batch)),
                Some(Batch::Held(number)) if number.ndim() == 0 && spec.is_loss() => Upstream::Number(number[[]]),
                _ => return Ok(None),
            },
        };
        Ok(Some(large))
    }

    /// An operand with as many rows as there are samples, or a number.
    fn batch(&mut self, name: &Name, text: &str, reader: &mut Reader<'_>) -> Result<Option<Batch>, Fault> {
        let batch = match reader.rows(text, LARGE / 16)? {
            Some(rows) => {
                self.operands.note(name, Origin::File(text.to_owned(), String::new()), rows.rounding());
                Batch::Read(rows)
            }
            None => Batch::Held(self.operands.come_from(name, reader.read(name, text, std::slice::from_ref(name))?)),
        };
        Ok(Some(batch).filter(|batch| batch.rank() == 0 || batch.len() == self.rows))
    }

    /// Computes block after block; `each` gets the results of one and the row that it begins with.
    fn blocks(
        &mut self,
        precision: Precision,
        mut each: impl FnMut(Outcome, usize) -> Result<(), Failed>,
    ) -> Result<Vec<Note>, Failed> {
        let mut notes: Vec<Note> = Vec::new();
        let mut at = std::mem::take(&mut self.operands.values);
        let mut begin = 0;
        while begin < self.rows {
            for (name, batch) in &mut self.batches {
                let block = batch.block(begin, BLOCK).map_err(|fault| fault.of(name))?;
                at.insert(name.clone(), block);
            }
            let rounding = |name: &Name| self.operands.rounding(name);
            let given = Given { at: &at, rounding: &rounding, x_was_y: false };
            for note in layer::admit(self.layer.as_ref(), &given).map_err(|fault| blocks::later(fault, begin))? {
                let known = notes
                    .iter()
                    .any(|known| known.fault.code == note.fault.code && known.fault.operand == note.fault.operand);
                if !known {
                    notes.push(Note { fault: blocks::later(note.fault, begin), ..note });
                }
            }
            let shape = self.layer.output_shape(&at);
            let dout = match &mut self.dout {
                Upstream::None => None,
                Upstream::Ones { .. } => Some(Dout::ones(&shape).value),
                Upstream::Number(number) => Some(ArrayD::from_elem(shape, *number)),
                Upstream::Batch(batch) => {
                    let block = batch.block(begin, BLOCK).map_err(|fault| fault.of(&Name::DOUT))?;
                    let dout =
                        Dout::new(self.spec, &shape, block, false).map_err(|fault| blocks::later(fault, begin))?;
                    Some(dout.value)
                }
            };
            each(layer::compute(self.layer.as_ref(), &at, dout.as_ref(), precision), begin)?;
            begin += BLOCK;
        }
        self.operands.values = at;
        Ok(notes)
    }
}

/// Why it could not go on.
enum Failed {
    /// It has to be done with everything in memory.
    Unfit,
    Fault(Fault),
    Write(io::Error),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed::Fault(fault)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Write(error)
    }
}

/// What becomes of a result.
enum Kept {
    Sum(Box<Running>),
    /// Its numbers are in a file without a name, which goes into the archive at the end.
    Beside(File, Vec<usize>),
    /// It is the only one, and goes where it belongs at once.
    There,
}

/// Where results with a row for each sample go.
struct Target<'a> {
    folder: &'a Path,
    archive: bool,
    out: &'a mut dyn Write,
}

impl Large {
    /// Computes and writes; false where results do not go where they can be written as they come.
    pub(super) fn run(
        mut self,
        request: &Request,
        reader: &Reader<'_>,
        out: &mut dyn Write,
        messages: &mut Messages,
    ) -> anyhow::Result<bool> {
        let target = request.file().filter(|(_, format)| [".npy", ".npz"].contains(&format.name()));
        let Some((path, format)) = target else {
            return match self.compute(request, None, messages) {
                Ok(kept) => {
                    request.write(self.report(kept, request), out)?;
                    Ok(true)
                }
                Err(failed) => self.failed(failed, reader),
            };
        };
        let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (archive, mut failed) = (format.holds_names(), None);
        let written = write::file(path, |out| {
            let target = Target { folder, archive, out: &mut *out };
            match self.compute(request, Some(target), messages) {
                Ok(kept) if archive => npz::write_large(kept.into_iter().map(entry).collect(), width(request), out),
                Ok(kept) => kept.into_iter().try_for_each(|(_, kept)| match kept {
                    Kept::Sum(sum) => format.write(&Bundle::new().with(Name::Y, sum.finish()), width(request), out),
                    Kept::There | Kept::Beside(..) => Ok(()),
                }),
                Err(Failed::Write(error)) => Err(error),
                Err(other) => {
                    failed = Some(other);
                    Err(io::ErrorKind::Other.into())
                }
            }
        });
        match (failed, written) {
            (Some(failed), _) => self.failed(failed, reader),
            (None, written) => written.map(|()| true).map_err(|fault| fault.of(&Name::new("out")).into()),
        }
    }

    /// Computes all blocks and keeps, of the results that are asked for, sums and rows.
    fn compute(
        &mut self,
        request: &Request,
        mut target: Option<Target<'_>>,
        messages: &mut Messages,
    ) -> Result<Vec<(Name, Kept)>, Failed> {
        let (rows, width) = (self.rows, width(request));
        let mut kept: Vec<(Name, Kept)> = Vec::new();
        let progress = Progress::new("computing", rows.div_ceil(BLOCK));
        let parameters: Vec<Name> = self
            .spec
            .slots
            .iter()
            .filter(|slot| slot.role == Role::Parameter)
            .map(|slot| slot.name.gradient())
            .collect();
        let notes = self.blocks(request.precision, |outcome, begin| {
            let names: Vec<&str> = outcome.results.names().chain(outcome.gradients.names()).map(Name::as_str).collect();
            if begin == 0 {
                request.admit_only(&names)?;
            }
            let wanted =
                |name: &Name| request.only.as_ref().is_none_or(|only| only.iter().any(|one| one == name.as_str()));
            let results = outcome.results.into_iter().chain(outcome.gradients).filter(|(name, _)| wanted(name));
            let results: Vec<(Name, ArrayD<f64>)> = results.collect();
            if begin == 0 && target.as_ref().is_some_and(|target| !target.archive) {
                request.admit_one(&results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
            }
            for (n, (name, value)) in results.into_iter().enumerate() {
                if value.ndim() == 0 || parameters.contains(&name) {
                    match kept.get_mut(n) {
                        Some((_, Kept::Sum(sum))) => sum.add(&value),
                        _ => kept.push((name, Kept::Sum(Box::new(Running::new(value, width == Width::Single))))),
                    }
                    continue;
                }
                let Some(target) = &mut target else { return Err(Failed::Unfit) };
                if begin == 0 {
                    let mut shape = value.shape().to_vec();
                    shape[0] = rows;
                    kept.push((
                        name,
                        if target.archive {
                            Kept::Beside(tempfile::tempfile_in(target.folder)?, shape)
                        } else {
                            blocks::begin(&shape, width, target.out)?;
                            Kept::There
                        },
                    ));
                }
                match &mut kept[n].1 {
                    Kept::Beside(file, _) => blocks::append(&value, width, file)?,
                    _ => blocks::append(&value, width, target.out)?,
                }
            }
            progress.done(1);
            Ok(())
        })?;
        drop(progress);
        messages.notes(&notes, request.strict)?;
        Ok(kept)
    }

    /// Sums as a report.
    fn report(&self, kept: Vec<(Name, Kept)>, request: &Request) -> Report {
        let mut outcome = Outcome { results: Bundle::new(), gradients: Bundle::new() };
        for (name, kept) in kept {
            let (Kept::Sum(sum), into) =
                (kept, if name.is_gradient() { &mut outcome.gradients } else { &mut outcome.results })
            else {
                continue;
            };
            into.insert(name, sum.finish());
        }
        let dout = match self.dout {
            Upstream::None => None,
            _ => Some(Dout { said: !matches!(self.dout, Upstream::Ones { said: false }), ..Dout::ones(&[]) }),
        };
        let blocks = blocks_of(self.spec, self.layer.as_ref(), &self.operands.values, dout.as_ref(), outcome);
        Report { blocks, width: width(request) }
    }

    fn failed(&self, failed: Failed, reader: &Reader<'_>) -> anyhow::Result<bool> {
        match failed {
            Failed::Unfit => Ok(false),
            Failed::Fault(fault) => Err(reader.place(fault, &self.operands).into()),
            Failed::Write(error) => Err(error.into()),
        }
    }
}

fn width(request: &Request) -> Width {
    if request.precision == Precision::F32 { Width::Single } else { Width::Double }
}

fn entry((name, kept): (Name, Kept)) -> (Name, npz::Entry) {
    let entry = match kept {
        Kept::Sum(sum) => npz::Entry::Array(sum.finish()),
        Kept::Beside(file, shape) => npz::Entry::Numbers(file, shape),
        Kept::There => unreachable!("an archive has every result beside it first"),
    };
    (name, entry)
}
