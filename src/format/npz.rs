//! NumPy's `.npz`: a zip archive with one `.npy` entry an array.

use super::elements::cut_off;
use super::npy::{read_array, write_array, written_size};
use super::{Format, Found, Selector, Source, Width, choose};
use crate::bundle::Bundle;
use crate::fault::{Code, Fault};
use crate::name::Name;
use std::io::{self, BufReader, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// Named arrays in NumPy's own format.
pub struct Npz;

type Archive<'a> = ZipArchive<BufReader<Source<'a>>>;

/// Deflate makes at most 1032 bytes of one; an entry that promises more than this lies.
const LARGEST_RATIO: u64 = 1100;

impl Format for Npz {
    fn name(&self) -> &'static str {
        ".npz"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn begins(&self, first: &[u8]) -> bool {
        first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06")
    }

    fn read(&self, source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<Found, Fault> {
        let label = source.label;
        read_entry(source, select, wanted).map_err(|fault| fault.from(label))
    }

    fn names(&self, source: Source<'_>) -> Result<Vec<String>, Fault> {
        let label = source.label;
        open(source).map(|archive| array_names(&archive)).map_err(|fault| fault.from(label))
    }

    fn holds_names(&self) -> bool {
        true
    }

    fn write(&self, values: &Bundle<f64>, wide: Width, out: &mut dyn Write) -> io::Result<()> {
        let mut sink = Sink { out, failed: None };
        write_entries(values, wide, &mut sink)?;
        sink.failed.map_or(Ok(()), Err)
    }
}

/// Reads the one selected array.
fn read_entry(source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<Found, Fault> {
    let len = source.len;
    let mut archive = open(source)?;
    let names = array_names(&archive);
    let name = choose(select, wanted, &names)?;
    let mut entry = archive.by_name(&format!("{name}.npy")).map_err(|error| unzippable(&error))?;
    let (size, packed) = (entry.size(), entry.compressed_size());
    let certain = entry.compression() == CompressionMethod::Stored;
    if packed > len || size > packed.saturating_mul(if certain { 1 } else { LARGEST_RATIO }) {
        let message = format!("is damaged: {size} bytes of numbers cannot come from {packed} in a file of {len}");
        return Err(Fault::new(Code::Damaged, message));
    }
    let found = read_array(&mut entry, size, certain)?;
    Ok(Found { pointer: name, ..found })
}

fn open(source: Source<'_>) -> Result<Archive<'_>, Fault> {
    ZipArchive::new(BufReader::new(source)).map_err(|error| unzippable(&error))
}

fn array_names(archive: &Archive<'_>) -> Vec<String> {
    archive.file_names().filter_map(|name| name.ok()?.strip_suffix(".npy").map(str::to_owned)).collect()
}

fn unzippable(error: &ZipError) -> Fault {
    match error {
        ZipError::Io(error) => cut_off(error),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Fault::new(Code::Damaged, "is encrypted or packed in a way that NumPy does not use")
                .tip("write it with numpy.savez or numpy.savez_compressed")
        }
        _ => Fault::new(Code::Damaged, "is cut off or damaged: it is no whole zip archive"),
    }
}

/// Stores the arrays unpacked, with the same bytes at any time and on any machine.
fn write_entries(values: &Bundle<f64>, wide: Width, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(sink);
    for (name, value) in values.iter() {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(written_size(value, wide) >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options)?;
        write_array(value, wide, &mut archive)?;
    }
    archive.finish()?;
    Ok(())
}

/// Keeps the first failure and takes the rest without a word: the archive's own last words would go to stderr.
struct Sink<'a> {
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.out.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed.is_none() {
            self.failed = self.out.flush().err();
        }
        Ok(())
    }
}
