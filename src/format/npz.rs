//! NumPy's `.npz`: a zip archive with one `.npy` entry an array.

use super::elements::cut_off;
use super::npy::{read_array, write_array, written_size};
use super::{ArrayStream, Format, LoadedArray, OutputDtype, Selector, Source, choose};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crc32fast::Hasher;
use flate2::read::DeflateDecoder;
use std::io::{self, BufReader, Read, Write};
use zip::read::ZipFile;
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

    fn recognizes(&self, first: &[u8]) -> bool {
        first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06")
    }

    fn read(&self, source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error> {
        let label = source.label;
        read_entry(source, select, wanted).map_err(|error| error.with_origin(label))
    }

    fn names(&self, source: Source<'_>) -> Result<Vec<String>, Error> {
        let label = source.label;
        open(source).map(|archive| array_names(&archive)).map_err(|error| error.with_origin(label))
    }

    fn read_all_arrays(&self, source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
        let label = source.label;
        read_entries(source).map_err(|error| error.with_origin(label))
    }

    fn has_names(&self) -> bool {
        true
    }

    fn write(&self, arrays: &mut dyn ArrayStream, wide: OutputDtype, out: &mut dyn Write) -> io::Result<()> {
        let mut sink = Sink { out, failed: None };
        write_entries(arrays, wide, &mut sink)?;
        sink.failed.map_or(Ok(()), Err)
    }
}

/// Reads the one selected array.
fn read_entry(source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error> {
    let len = source.len;
    let mut archive = open(source)?;
    let names = array_names(&archive);
    let name = choose(select, wanted, &names)?;
    let at = archive.index_for_name(&format!("{name}.npy")).ok_or_else(|| unzippable(&ZipError::FileNotFound))?;
    read_array_of(archive.by_index_raw(at).map_err(|error| unzippable(&error))?, name, len)
}

/// Reads all arrays, in the archive's order.
fn read_entries(source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
    let len = source.len;
    let mut archive = open(source)?;
    // Entries may lie over one another; together they then promise more than the file can hold.
    let mut promised = 0_u64;
    for at in 0..archive.len() {
        promised = promised.saturating_add(archive.by_index_raw(at).map_err(|error| unzippable(&error))?.size());
    }
    if promised > len.saturating_mul(LARGEST_RATIO) {
        return Err(Error::new(Code::Damaged, format!("is damaged: its arrays cannot all come from {len} bytes")));
    }
    let mut found = Vec::new();
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(|error| unzippable(&error))?;
        let name = entry.name().ok().and_then(|name| Some(name.strip_suffix(".npy")?.to_owned()));
        if let Some(name) = name {
            found.push(read_array_of(entry, name, len)?);
        }
    }
    Ok(found)
}

/// Reads one array of an archive of `len` bytes, from its bytes as they are packed: the archive's own way to unpack them would
/// bring a way to pack them along.
fn read_array_of<R: Read>(entry: ZipFile<'_, R>, name: String, len: u64) -> Result<LoadedArray, Error> {
    let (size, packed, sum, method) = (entry.size(), entry.compressed_size(), entry.crc32(), entry.compression());
    let certain = method == CompressionMethod::STORE;
    if entry.encrypted() || !(certain || method == CompressionMethod::DEFLATE) {
        return Err(unzippable(&ZipError::UnsupportedArchive("method")));
    }
    if packed > len || size > packed.saturating_mul(if certain { 1 } else { LARGEST_RATIO }) {
        let message = format!("is damaged: {size} bytes of numbers cannot come from {packed} in a file of {len}");
        return Err(Error::new(Code::Damaged, message));
    }
    let (found, read) = if certain {
        summed(&mut { entry }, size, certain)?
    } else {
        summed(&mut DeflateDecoder::new(entry), size, certain)?
    };
    if read != sum {
        return Err(Error::new(Code::Damaged, "is cut off or damaged"));
    }
    Ok(LoadedArray { pointer: name, ..found })
}

/// Reads an array, and the checksum of its bytes.
fn summed(from: &mut dyn Read, size: u64, certain: bool) -> Result<(LoadedArray, u32), Error> {
    let mut from = Summed { from, sum: Hasher::new() };
    let found = read_array(&mut from, size, certain)?;
    Ok((found, from.sum.finalize()))
}

struct Summed<'a> {
    from: &'a mut dyn Read,
    sum: Hasher,
}

impl Read for Summed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.sum.update(&into[..count]);
        Ok(count)
    }
}

fn open(source: Source<'_>) -> Result<Archive<'_>, Error> {
    ZipArchive::new(BufReader::new(source)).map_err(|error| unzippable(&error))
}

fn array_names(archive: &Archive<'_>) -> Vec<String> {
    archive.file_names().filter_map(|name| name.ok()?.strip_suffix(".npy").map(str::to_owned)).collect()
}

fn unzippable(error: &ZipError) -> Error {
    match error {
        ZipError::Io(error) => cut_off(error),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Error::new(Code::Damaged, "is encrypted or packed in a way that NumPy does not use")
                .tip("write it with numpy.savez or numpy.savez_compressed")
        }
        _ => Error::new(Code::Damaged, "is cut off or damaged: it is no whole zip archive"),
    }
}

/// Stores the arrays unpacked, with the same bytes at any time and on any machine.
fn write_entries(arrays: &mut dyn ArrayStream, wide: OutputDtype, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(sink);
    while let Some((name, shape)) = arrays.next_array()? {
        archive.start_file(format!("{name}.npy"), options(&shape, wide))?;
        write_array(&shape, arrays, wide, &mut archive)?;
    }
    archive.finish()?;
    Ok(())
}

fn options(shape: &[usize], wide: OutputDtype) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::STORE)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(written_size(shape, wide) >= u64::from(u32::MAX))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::tensors::Tensors;
    use crate::format::InMemoryArrays;
    use crate::format::npy::Npy;
    use ndarray::{ArrayD, arr0, arr1, arr2};
    use proptest::prelude::*;

    fn bundle() -> Tensors<f64> {
        Tensors::new()
            .with(Name::Y, arr2(&[[1.0, -0.0], [f64::NAN, f64::INFINITY]]).into_dyn())
            .with(Name::LOSS, arr0(0.25).into_dyn())
            .with(Name::DB, arr1(&[5e-324]).into_dyn())
    }

    fn written(values: &Tensors<f64>, wide: OutputDtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        Npz.write(&mut InMemoryArrays::from(values), wide, &mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8], select: &str, wanted: &[Name]) -> Result<LoadedArray, Error> {
        Npz.read(Source::bytes("m.npz", bytes), &Selector::parse(select), wanted)
    }

    fn zipped(packed: CompressionMethod, entry: &[u8]) -> Vec<u8> {
        let mut archive = ZipWriter::new(io::Cursor::new(Vec::new()));
        archive.start_file("w.npy", SimpleFileOptions::default().compression_method(packed)).unwrap();
        archive.write_all(entry).unwrap();
        archive.finish().unwrap().into_inner()
    }

    fn entry(value: ArrayD<f64>, wide: OutputDtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        Npy.write(&mut InMemoryArrays::from(&Tensors::new().with(Name::Y, value)), wide, &mut bytes).unwrap();
        bytes
    }

    fn bits(array: &ArrayD<f64>) -> Vec<u64> {
        array.iter().map(|number| number.to_bits()).collect()
    }

    #[test]
    fn every_array_is_read_back_bit_for_bit() {
        let bytes = written(&bundle(), OutputDtype::F64);
        for (name, value) in bundle().iter() {
            let found = read(&bytes, "", &[Name::X, name.clone()]).unwrap();
            assert_eq!((found.value.shape(), bits(&found.value)), (value.shape(), bits(value)));
            assert_eq!(found.pointer, name.as_str());
            assert_eq!(read(&bytes, name.as_str(), &[]).unwrap().value.shape(), value.shape());
        }
    }

    #[test]
    fn the_same_values_are_the_same_bytes() {
        assert_eq!(written(&bundle(), OutputDtype::F32), written(&bundle(), OutputDtype::F32));
    }

    #[test]
    fn a_missing_name_lists_the_names() {
        let error = read(&written(&bundle(), OutputDtype::F64), "w", &[]).unwrap_err();
        assert_eq!((error.code, error.origin.as_deref()), (Code::KeyMissing, Some("m.npz")));
        assert_eq!(error.facts, [crate::core::error::Fact::Text("it has y, loss, db".into())]);
    }

    #[test]
    fn deflated_arrays_are_read() {
        let entry = entry(ArrayD::zeros(vec![300, 7]), OutputDtype::F32);
        let bytes = zipped(CompressionMethod::Deflated, &entry);
        assert!(bytes.len() < entry.len() / 10);
        let found = read(&bytes, "w", &[]).unwrap();
        assert_eq!((found.value.shape(), found.rounding), (&[300, 7][..], 2f64.powi(-24)));
    }

    #[test]
    fn an_entry_that_promises_more_than_deflate_can_hold_is_refused() {
        let entry = entry(ArrayD::zeros(vec![4]), OutputDtype::F64);
        let size = (entry.len() as u32).to_le_bytes();
        for packed in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let mut bytes = zipped(packed, &entry);
            let places: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..at + 4] == size).collect();
            for at in places {
                bytes[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
            }
            assert_eq!(read(&bytes, "w", &[]).unwrap_err().code, Code::Damaged);
        }
    }

    #[test]
    fn a_changed_number_is_noticed_by_its_checksum() {
        let entry = entry(arr1(&[7.0]).into_dyn(), OutputDtype::F64);
        let mut bytes = zipped(CompressionMethod::Stored, &entry);
        let at = bytes.windows(8).position(|window| window == 7f64.to_le_bytes()).unwrap();
        bytes[at] ^= 1;
        assert_eq!(read(&bytes, "w", &[]).unwrap_err().code, Code::Damaged);
    }

    #[test]
    fn a_deflated_array_is_held_against_its_checksum_and_nothing_else_is_unpacked() {
        let entry = entry(ArrayD::zeros(vec![300, 7]), OutputDtype::F64);
        let good = zipped(CompressionMethod::Deflated, &entry);
        assert!(read(&good, "w", &[]).is_ok());
        // Behind the marks of both headers: the way it is packed, whether it is encrypted, the checksum.
        for (behind, change) in [(4, 4), (2, 1), (10, 1)] {
            let mut bytes = good.clone();
            for (mark, more) in [(b"PK\x03\x04", 0), (b"PK\x01\x02", 2)] {
                let at = good.windows(4).position(|window| window == mark).unwrap();
                bytes[at + 4 + behind + more] ^= change;
            }
            assert_eq!(read(&bytes, "w", &[]).unwrap_err().code, Code::Damaged, "{behind}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_nothing_else() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = Npz.write(&mut InMemoryArrays::from(&bundle()), OutputDtype::F64, &mut Full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: prop::sample::Index, new: u8, cut: prop::sample::Index) {
            let _ = read(&bytes, "w", &[]);
            let mut file = written(&bundle(), OutputDtype::F64);
            let at = at.index(file.len());
            file[at] = new;
            let _ = read(&file, "y", &[]);
            file.truncate(cut.index(file.len()));
            let _ = read(&file, "y", &[]);
        }
    }
}
