//! NumPy's `.npz`: a zip archive with one `.npy` entry per array.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::errors::{choose_array, damaged, decode_error};
use super::file_format::Format;
use super::npy::{file_size, read_array, write_array};
use super::selector::Selector;
use super::source::Source;
use crate::core::error::{Code, Error, sanitize};
use crate::core::name::Name;
use crc32fast::Hasher;
use flate2::read::DeflateDecoder;
use std::io::{self, BufReader, Read, Write};
use zip::read::{ZipFile, ZipReadOptions};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// Named arrays in NumPy's own format.
pub struct Npz;

type Archive<'a> = ZipArchive<BufReader<Source<'a>>>;

/// Largest accepted ratio of decompressed to compressed bytes; deflate reaches at most 1032.
const MAX_COMPRESSION_RATIO: u64 = 1100;

impl Format for Npz {
    fn name(&self) -> &'static str {
        ".npz"
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06")
    }

    fn has_names(&self) -> bool {
        true
    }

    fn read(&self, source: Source<'_>, select: &Selector, names: &[Name]) -> Result<LoadedArray, Error> {
        let len = source.len;
        let mut archive = open(source)?;
        // The entry itself, as `unzip -l` shows it, or the array that NumPy calls so.
        let entry = select.name().and_then(|entry| archive.index_for_name(&entry));
        let name = match entry {
            Some(_) => select.name().unwrap_or_default(),
            None => choose_array(select, names, &array_names(&archive))?,
        };
        let index = || archive.index_for_name(&format!("{name}.npy")).or_else(|| archive.index_for_name(&name));
        let index = entry.or_else(index).ok_or_else(|| zip_error(ZipError::FileNotFound))?;
        read_entry(open_entry(&mut archive, index)?, array_name(&name).to_owned(), len)
    }

    fn read_names(&self, source: Source<'_>) -> Result<Vec<String>, Error> {
        Ok(array_names(&open(source)?))
    }

    fn read_all_arrays(&self, source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
        let len = source.len;
        let mut archive = open(source)?;
        // Entries may overlap in the file; then their sizes add up to more than the file can hold.
        let mut declared = 0_u64;
        for at in 0..archive.len() {
            declared = declared.saturating_add(archive.by_index_raw(at).map_err(zip_error)?.size());
        }
        if declared > len.saturating_mul(MAX_COMPRESSION_RATIO) {
            return Err(damaged(format!("its arrays cannot all fit in a file of {len} bytes")));
        }
        let mut arrays = Vec::new();
        for at in 0..archive.len() {
            let entry = open_entry(&mut archive, at)?;
            let Ok(entry_name) = entry.name().map(|name| name.into_owned()) else { continue };
            let name = array_name(&entry_name);
            match read_entry(entry, name.to_owned(), len) {
                // Archives may hold notes beside their arrays.
                Err(_) if name == entry_name => {}
                array => arrays.push(array?),
            }
        }
        Ok(arrays)
    }

    fn write(&self, arrays: &mut dyn ArrayStream, dtype: OutputDtype, out: &mut dyn Write) -> io::Result<()> {
        write_entries(arrays, dtype, &mut Sink { out, has_failed: false })
    }
}

/// Reads one array of an archive of `len` bytes. Its raw bytes are decompressed here, because the zip crate's own decompression
/// would also link a compressor.
fn read_entry<R: Read>(entry: ZipFile<'_, R>, name: String, len: u64) -> Result<LoadedArray, Error> {
    let (size, compressed, checksum, method) =
        (entry.size(), entry.compressed_size(), entry.crc32(), entry.compression());
    let is_stored = method == CompressionMethod::STORE;
    if entry.encrypted() || !(is_stored || method == CompressionMethod::DEFLATE) {
        return Err(zip_error(ZipError::UnsupportedArchive("method")));
    }
    if compressed > len || size > compressed.saturating_mul(if is_stored { 1 } else { MAX_COMPRESSION_RATIO }) {
        return Err(damaged(format!("{size} bytes of data cannot fit in {compressed} bytes of a file of {len}")));
    }
    let (array, computed) = if is_stored {
        read_with_checksum(&mut { entry }, size, is_stored)?
    } else {
        read_with_checksum(&mut DeflateDecoder::new(entry), size, is_stored)?
    };
    if computed != checksum {
        return Err(damaged(format!("the checksum of {} is {computed:08x}; expected {checksum:08x}", sanitize(&name))));
    }
    Ok(LoadedArray { pointer: name, ..array })
}

/// Reads an array, and computes the CRC-32 of its bytes.
fn read_with_checksum(source: &mut dyn Read, size: u64, is_size_known: bool) -> Result<(LoadedArray, u32), Error> {
    let mut source = ChecksumReader { source, checksum: Hasher::new() };
    let array = read_array(&mut source, size, is_size_known)?;
    Ok((array, source.checksum.finalize()))
}

struct ChecksumReader<'a> {
    source: &'a mut dyn Read,
    checksum: Hasher,
}

impl Read for ChecksumReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.checksum.update(&buffer[..count]);
        Ok(count)
    }
}

/// Opens an archive. NumPy refuses one with other bytes in front, and reads the last of several arrays with one name, where other
/// readers take the first.
fn open(source: Source<'_>) -> Result<Archive<'_>, Error> {
    let archive = ZipArchive::new(BufReader::new(source)).map_err(zip_error)?;
    if archive.offset() > 0 {
        return Err(damaged(format!("{} bytes precede the archive", archive.offset())));
    }
    if archive.has_duplicate_names() {
        return Err(Error::new(Code::DuplicateKey, "has two arrays of the same name"));
    }
    Ok(archive)
}

/// Returns an entry, whose own header must have the name that the directory of the archive has.
fn open_entry<'a, 'b>(archive: &'a mut Archive<'b>, at: usize) -> Result<ZipFile<'a, BufReader<Source<'b>>>, Error> {
    let options = ZipReadOptions::new().enforce_header_consistency(true);
    if let Err(ZipError::InvalidArchive(_)) = archive.by_index_with_options(at, options) {
        return Err(damaged("the header of an array differs from the directory of the archive"));
    }
    archive.by_index_raw(at).map_err(zip_error)
}

fn array_names(archive: &Archive<'_>) -> Vec<String> {
    let names = archive.file_names().filter_map(|name| Some(array_name(&name.ok()?).to_owned()));
    names.filter(|name| !is_folder(name)).collect()
}

/// Returns the name of an entry's array, which NumPy finds with and without `.npy`.
fn array_name(entry: &str) -> &str {
    entry.strip_suffix(".npy").unwrap_or(entry)
}

fn is_folder(entry: &str) -> bool {
    entry.ends_with('/')
}

fn zip_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => decode_error(&error),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Error::new(Code::Damaged, "is encrypted, or compressed by a method that NumPy does not use")
                .tip("write it with numpy.savez or numpy.savez_compressed")
        }
        _ => damaged("its directory, at the end of a zip archive, is missing or invalid"),
    }
}

/// Writes the arrays uncompressed, with a fixed time and permissions, so that the bytes are reproducible.
fn write_entries(arrays: &mut dyn ArrayStream, dtype: OutputDtype, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(sink);
    while let Some((name, shape)) = arrays.next_array()? {
        archive.start_file(format!("{}.npy", name.as_str()), entry_options(&shape, dtype))?;
        write_array(&shape, arrays, dtype, &mut archive)?;
    }
    archive.finish()?;
    Ok(())
}

fn entry_options(shape: &[usize], dtype: OutputDtype) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::STORE)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(file_size(shape, dtype) >= u64::from(u32::MAX))
}

/// A writer that returns its first error and discards later writes, so that the destructor of `ZipWriter`, which ends the archive,
/// has no error to print.
struct Sink<'a> {
    out: &'a mut dyn Write,
    has_failed: bool,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_failed {
            self.has_failed = true;
            self.out.write_all(bytes)?;
            self.has_failed = false;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_failed { Ok(()) } else { self.out.flush() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::tensors::Tensors;
    use crate::format::arrays::InMemoryArrays;
    use crate::format::npy::Npy;
    use crate::numeric::FloatType;
    use ndarray::{ArrayD, arr0, arr1, arr2};
    use std::borrow::Cow;

    fn arrays() -> Tensors<f64> {
        Tensors::new()
            .with(Name::Y, arr2(&[[1.0, -0.0], [f64::NAN, f64::INFINITY]]).into_dyn())
            .with(Name::LOSS, arr0(0.25).into_dyn())
            .with(Name::DB, arr1(&[5e-324]).into_dyn())
    }

    fn written(values: &Tensors<f64>, dtype: OutputDtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        Npz.write(&mut InMemoryArrays::from(values), dtype, &mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8], select: &str, names: &[Name]) -> Result<LoadedArray, Error> {
        Npz.read(Source::bytes("m.npz", bytes), &Selector::parse(select), names)
    }

    fn zipped(method: CompressionMethod, entry: &[u8]) -> Vec<u8> {
        let mut archive = ZipWriter::new(io::Cursor::new(Vec::new()));
        archive.start_file("w.npy", SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(entry).unwrap();
        archive.finish().unwrap().into_inner()
    }

    fn entry(value: ArrayD<f64>, dtype: OutputDtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        Npy.write(&mut InMemoryArrays::from(&Tensors::new().with(Name::Y, value)), dtype, &mut bytes).unwrap();
        bytes
    }

    fn bits(array: &ArrayD<f64>) -> Vec<u64> {
        array.iter().map(|number| number.to_bits()).collect()
    }

    #[test]
    fn no_array_is_requested_after_an_error() {
        let values = arrays();
        let mut requested = 0;
        let stream = values.iter().inspect(|_| requested += 1);
        let mut stream = InMemoryArrays::new(stream.map(|(name, value)| (name.clone(), Cow::Borrowed(value))));
        let error = Npz.write(&mut stream, OutputDtype::F64, &mut &mut [0; 100][..]).unwrap_err();
        drop(stream);
        assert_eq!((error.kind(), requested), (io::ErrorKind::WriteZero, 1));
    }

    #[test]
    fn every_array_is_read_back_bit_for_bit() {
        let bytes = written(&arrays(), OutputDtype::F64);
        for (name, value) in arrays().iter() {
            let found = read(&bytes, "", &[Name::X, name.clone()]).unwrap();
            assert_eq!((found.value.shape(), bits(&found.value)), (value.shape(), bits(value)));
            assert_eq!(found.pointer, name.as_str());
            assert_eq!(read(&bytes, name.as_str(), &[]).unwrap().value.shape(), value.shape());
        }
    }

    #[test]
    fn written_bytes_are_reproducible() {
        assert_eq!(written(&arrays(), OutputDtype::F32), written(&arrays(), OutputDtype::F32));
    }

    #[test]
    fn a_missing_name_lists_the_names() {
        let error = read(&written(&arrays(), OutputDtype::F64), "w", &[]).unwrap_err();
        assert_eq!(error.code, Code::KeyMissing);
        assert_eq!(error.facts, [crate::core::error::Fact::Text("it has y, loss, db".into())]);
    }

    #[test]
    fn entries_are_found_with_and_without_their_extension() {
        let array = |value: f64| entry(arr1(&[value]).into_dyn(), OutputDtype::F64);
        let mut archive = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in [("a.npy", array(1.0)), ("b", array(2.0)), ("notes.txt", b"notes".to_vec())] {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
            archive.write_all(&content).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        for (select, name, value) in [("a", "a", 1.0), ("a.npy", "a", 1.0), ("b", "b", 2.0)] {
            let found = read(&bytes, select, &[]).unwrap();
            assert_eq!((found.pointer.as_str(), found.value[[0]]), (name, value));
        }
        assert_eq!(read(&bytes, "b.npy", &[]).unwrap_err().code, Code::KeyMissing);
        let all = Npz.read_all_arrays(Source::bytes("m.npz", &bytes)).unwrap();
        assert_eq!(all.iter().map(|array| array.pointer.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn compressed_arrays_are_read() {
        let entry = entry(ArrayD::zeros(vec![300, 7]), OutputDtype::F32);
        let bytes = zipped(CompressionMethod::Deflated, &entry);
        assert!(bytes.len() < entry.len() / 10);
        let found = read(&bytes, "w", &[]).unwrap();
        assert_eq!((found.value.shape(), found.element), (&[300, 7][..], FloatType::F32));
    }

    #[test]
    fn an_impossible_compression_ratio_is_refused() {
        let entry = entry(ArrayD::zeros(vec![4]), OutputDtype::F64);
        let size = (entry.len() as u32).to_le_bytes();
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let mut bytes = zipped(method, &entry);
            let places: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..at + 4] == size).collect();
            for at in places {
                bytes[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
            }
            assert_eq!(read(&bytes, "w", &[]).unwrap_err().code, Code::Damaged);
        }
    }

    #[test]
    fn a_changed_number_fails_the_checksum() {
        let entry = entry(arr1(&[7.0]).into_dyn(), OutputDtype::F64);
        let mut bytes = zipped(CompressionMethod::Stored, &entry);
        let at = bytes.windows(8).position(|window| window == 7f64.to_le_bytes()).unwrap();
        bytes[at] ^= 1;
        assert_eq!(read(&bytes, "w", &[]).unwrap_err().code, Code::Damaged);
    }

    #[test]
    fn what_readers_of_archives_disagree_on_is_refused() {
        let entry = entry(arr1(&[7.0]).into_dyn(), OutputDtype::F64);
        let good = zipped(CompressionMethod::Deflated, &entry);
        let error = read(&[b"bytes", &good[..]].concat(), "w", &[]).unwrap_err();
        assert_eq!(error.message, "is damaged: 5 bytes precede the archive");
        let mut renamed = good.clone();
        renamed[30] = b'v';
        let error = read(&renamed, "w", &[]).unwrap_err();
        assert_eq!(error.message, "is damaged: the header of an array differs from the directory of the archive");
        assert!(Npz.read_all_arrays(Source::bytes("m.npz", &renamed)).is_err());
        // Two arrays of other names, and then of one.
        let two = Tensors::new().with(Name::X, arr1(&[7.0]).into_dyn()).with(Name::Y, arr1(&[8.0]).into_dyn());
        let mut twice = written(&two, OutputDtype::F64);
        for at in 0..twice.len() - 5 {
            if &twice[at..at + 5] == b"y.npy" {
                twice[at] = b'x';
            }
        }
        for error in [read(&twice, "x", &[]).unwrap_err(), Npz.read_names(Source::bytes("m.npz", &twice)).unwrap_err()]
        {
            assert_eq!(error.code, Code::DuplicateKey);
        }
    }

    #[test]
    fn a_compressed_array_is_checked_and_other_methods_are_refused() {
        let entry = entry(ArrayD::zeros(vec![300, 7]), OutputDtype::F64);
        let good = zipped(CompressionMethod::Deflated, &entry);
        assert!(read(&good, "w", &[]).is_ok());
        // Offsets after the signatures of both headers: compression method, encryption flag, checksum.
        for (offset, change) in [(4, 4), (2, 1), (10, 1)] {
            let mut bytes = good.clone();
            for (signature, more) in [(b"PK\x03\x04", 0), (b"PK\x01\x02", 2)] {
                let at = good.windows(4).position(|window| window == signature).unwrap();
                bytes[at + 4 + offset + more] ^= change;
            }
            assert_eq!(read(&bytes, "w", &[]).unwrap_err().code, Code::Damaged, "{offset}");
        }
    }

    #[test]
    fn an_error_at_any_byte_is_returned_once() {
        let values = arrays();
        for len in 0..written(&values, OutputDtype::F64).len() {
            let (mut space, mut arrays) = (vec![0; len], InMemoryArrays::from(&values));
            let mut sink = Sink { out: &mut &mut space[..], has_failed: false };
            let error = write_entries(&mut arrays, OutputDtype::F64, &mut sink).unwrap_err();
            assert_eq!((error.kind(), sink.write(b"more").ok()), (io::ErrorKind::WriteZero, Some(4)), "{len}");
        }
    }
}
