//! Files that are something else than an array in a format that is read, recognised by their first bytes. Each is named for what it
//! is, with a tip that makes an array of it.

use super::csv::{CSV, TSV, TXT};
use super::file_format::Format;
use super::registry::find_by_first_bytes;
use super::tips;
use crate::core::error::{Code, Error};

/// Something else, which begins with `magic` at the byte `at`.
struct Lookalike {
    at: usize,
    magic: &'static [u8],
    noun: &'static str,
    tip: Tip,
}

/// A way to make an array of something else.
enum Tip {
    /// A sentence.
    Text(&'static str),
    /// A command that reads standard input and writes what is inside.
    Filter(&'static str),
    /// A Python program that reads its first argument and writes its second, a file with this extension.
    Python(&'static str, &'static str),
}

const fn starts(magic: &'static [u8], noun: &'static str, tip: Tip) -> Lookalike {
    Lookalike { at: 0, magic, noun, tip }
}

const IMAGE: &str = "import sys, numpy, PIL.Image; numpy.save(sys.argv[2], numpy.asarray(PIL.Image.open(sys.argv[1])))";
const SOUND: &str =
    "import sys, numpy, scipy.io.wavfile; numpy.save(sys.argv[2], scipy.io.wavfile.read(sys.argv[1])[1])";
const TORCH: &str = "import sys, torch, safetensors.torch as s; s.save_file({k: v.clone().contiguous() for k, v in \
                     torch.load(sys.argv[1], map_location='cpu').items()}, sys.argv[2])";
const ONNX: &str = "import sys, numpy, onnx, onnx.numpy_helper as h; numpy.savez(sys.argv[2], **{t.name: h.to_array(t) \
                    for t in onnx.load(sys.argv[1]).graph.initializer})";
const PICKLE: &str = "import sys, numpy, pickle; numpy.save(sys.argv[2], pickle.load(open(sys.argv[1], 'rb')))";
const HDF5: &str = "import sys, numpy, h5py; d = {}; h5py.File(sys.argv[1]).visititems(lambda k, v: d.update({k: v[()]}) \
                    if isinstance(v, h5py.Dataset) else None); numpy.savez(sys.argv[2], **d)";
const MATLAB: &str = "import sys, numpy, scipy.io; numpy.savez(sys.argv[2], **{k: v for k, v in \
                      scipy.io.loadmat(sys.argv[1]).items() if k[0] != '_'})";
const PARQUET: &str = "import sys, numpy, pandas; numpy.save(sys.argv[2], pandas.read_parquet(sys.argv[1]).to_numpy())";
const FEATHER: &str = "import sys, numpy, pandas; numpy.save(sys.argv[2], pandas.read_feather(sys.argv[1]).to_numpy())";
const SQLITE: Tip =
    Tip::Text("write the table as CSV: sqlite3 -header -csv FILE 'SELECT …' > table.csv, and use --header");
const PROGRAM: Tip = Tip::Text("name the file of its output, or pipe its output");
const SHEET: Tip = Tip::Text("save the sheet as CSV UTF-8 in the program that wrote it");
const DOWNLOAD: Tip = Tip::Text(
    "download the file itself; in links of GitHub and Hugging Face, /blob/ leads to a page, /raw/ and /resolve/ to the file",
);
const ACCESS: Tip = Tip::Text("check the address of the download, and whether it needs an account");
const LFS: Tip = Tip::Text("fetch the file with `git lfs pull` in its repository");
const QUANTISED: Tip = Tip::Text("write its tensors as .npz with the package gguf for Python");
const TENSORFLOW: Tip = Tip::Text("write its weights in Python: numpy.savez('model.npz', *model.get_weights())");

const MSGPACK: Tip =
    Tip::Text("load it with flax.serialization.msgpack_restore, and write its arrays with numpy.savez");
const ARCHIVE: Tip = Tip::Text("unpack it with `unzip`, and name one of its files");

const LOOKALIKES: &[Lookalike] = &[
    starts(b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", LFS),
    starts(
        b"/annex/objects/",
        "a git-annex pointer",
        Tip::Text("fetch the file with `git annex get` in its repository"),
    ),
    starts(b"404: Not Found", "the message of a failed download", ACCESS),
    starts(b"Entry not found", "the message of a failed download", ACCESS),
    starts(b"Invalid username or password", "the message of a failed download", ACCESS),
    starts(b"Access to model ", "the message of a failed download", ACCESS),
    starts(b"<?xml", "an XML document", Tip::Text("save the numbers as .json or .csv in the program that wrote it")),
    starts(b"\x89HDF\r\n\x1a\n", "an HDF5 file", Tip::Python(HDF5, ".npz")),
    starts(b"MATLAB 5.0 MAT-file", "a MATLAB file", Tip::Python(MATLAB, ".npz")),
    starts(b"MATLAB 7.3 MAT-file", "a MATLAB file of version 7.3", Tip::Python(HDF5, ".npz")),
    starts(b"HDF5-based Julia Data Format", "a JLD2 file of Julia", Tip::Python(HDF5, ".npz")),
    starts(
        b"CDF\x01",
        "a NetCDF file",
        Tip::Text("write its variables as .npz in Python: numpy.savez, scipy.io.netcdf_file"),
    ),
    starts(b"PAR1", "a Parquet file", Tip::Python(PARQUET, ".npy")),
    starts(b"ARROW1", "an Arrow file", Tip::Python(FEATHER, ".npy")),
    starts(b"FEA1", "a Feather file", Tip::Python(FEATHER, ".npy")),
    starts(b"Obj\x01", "an Avro file", Tip::Text("write it as .csv in the program that wrote it")),
    starts(b"SQLite format 3\0", "an SQLite database", SQLITE),
    starts(b"\x89PNG\r\n\x1a\n", "a PNG image", Tip::Python(IMAGE, ".npy")),
    starts(b"\xff\xd8\xff", "a JPEG image", Tip::Python(IMAGE, ".npy")),
    starts(b"GIF8", "a GIF image", Tip::Python(IMAGE, ".npy")),
    starts(b"II*\0", "a TIFF image", Tip::Python(IMAGE, ".npy")),
    starts(b"MM\0*", "a TIFF image", Tip::Python(IMAGE, ".npy")),
    Lookalike { at: 8, magic: b"WEBP", noun: "a WebP image", tip: Tip::Python(IMAGE, ".npy") },
    Lookalike { at: 8, magic: b"WAVE", noun: "a WAV file", tip: Tip::Python(SOUND, ".npy") },
    starts(b"%PDF-", "a PDF document", Tip::Text("save its table as .csv")),
    starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file", SHEET),
    starts(b"GGUF", "a GGUF model", QUANTISED),
    Lookalike { at: 4, magic: b"TFL3", noun: "a TensorFlow Lite model", tip: TENSORFLOW },
    starts(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a PyTorch file", Tip::Python(TORCH, ".safetensors")),
    starts(
        b"RDX",
        "a file of R",
        Tip::Text("write it in R: write.csv(x, 'x.csv', row.names = FALSE), and use --header"),
    ),
    starts(
        b"X\n\0\0\0",
        "a file of R",
        Tip::Text("write it in R: write.csv(x, 'x.csv', row.names = FALSE), and use --header"),
    ),
    starts(b"\x1f\x8b", "gzip data in gzip data", Tip::Filter("gzip -dc")),
    starts(b"BZh", "compressed by bzip2", Tip::Filter("bzip2 -dc")),
    starts(b"\xfd7zXZ\0", "compressed by xz", Tip::Filter("xz -dc")),
    starts(b"\x28\xb5\x2f\xfd", "compressed by zstd", Tip::Filter("zstd -dc")),
    starts(b"\x04\x22\x4d\x18", "compressed by lz4", Tip::Filter("lz4 -dc")),
    starts(b"7z\xbc\xaf\x27\x1c", "a 7z archive", Tip::Text("unpack it with `7z x`, and name one of its files")),
    Lookalike {
        at: 257,
        magic: b"ustar",
        noun: "a tar archive",
        tip: Tip::Text("unpack it with `tar -xf`, and name one of its files"),
    },
    starts(b"\x7fELF", "a program", PROGRAM),
    starts(b"MZ", "a program", PROGRAM),
];

/// Refuses content that is something else than the format that its name says. `named` is the format of the name's extension, if
/// it has one.
pub fn refuse_lookalike(label: &str, first: &[u8], named: Option<&dyn Format>) -> Result<(), Error> {
    let own = named.map_or("", Format::name);
    let expected = if own.is_empty() { "an array".to_owned() } else { format!("a {own} file") };
    let error = |noun: &str| Error::new(Code::FormatUnknown, format!("is {noun}, not {expected}")).with_origin(label);
    if let Some((noun, tip)) = find(first) {
        return Err(error(noun).tip(word_tip(tip, label, own)));
    }
    if let Some(encoding) = wide_encoding(first) {
        let convert = tips::convert(label, &format!("iconv -f {encoding} -t UTF-8"), own, own);
        let family = &encoding[..6];
        let error = Error::new(Code::FormatUnknown, format!("is encoded in {family}; expected UTF-8"));
        return Err(error.with_origin(label).tip(convert));
    }
    if label.ends_with(".index.json") && first.windows(12).any(|window| window == b"\"weight_map\"") {
        let message = "is the index of a model in several files, not an array";
        return Err(Error::new(Code::FormatUnknown, message)
            .with_origin(label)
            .tip("name the file that has the tensor by its weight_map, as in FILE.safetensors#NAME"));
    }
    if let Some(tip) = own_text(first) {
        return Err(error("the text that nnlayer prints for people").tip(tip));
    }
    let Some(named) = named.filter(|named| !named.recognizes(first)) else { return Ok(()) };
    let is_binary = |name: &str| [".npy", ".npz", ".safetensors", ".idx"].contains(&name);
    let found =
        find_by_first_bytes(first).or_else(|| (is_binary(own) || own == ".json").then(|| find_table(first)).flatten());
    match found {
        None if [".npy", ".npz"].contains(&own) && tips::has_extension(label, own) => {
            Err(wrong_start(own, first).with_origin(label))
        }
        Some(found) if found.name() != named.name() => {
            let named_by = if tips::has_extension(label, own) { "its name" } else { "--in-format" };
            let message = format!("{named_by} says {own}, but its content is {}", found.name());
            Err(Error::new(Code::FormatUnknown, message).with_origin(label).tip(tips::read_as(
                label,
                own,
                found.name(),
            )))
        }
        _ => Ok(()),
    }
}

/// Returns the error of a file that is named `.npy` or `.npz` and does not begin as one.
fn wrong_start(own: &str, first: &[u8]) -> Error {
    if first.is_empty() {
        let error = Error::new(Code::EmptyValue, "is empty");
        return error.tip("check that the command that writes it succeeds");
    }
    let bytes: Vec<String> = first.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let expected = if own == ".npy" { "93 4e 55 4d 50 59" } else { "50 4b" };
    Error::new(Code::Damaged, format!("begins with the bytes {}; a {own} file begins with {expected}", bytes.join(" ")))
}

/// Returns what the content is, and how to make an array of it.
fn find(first: &[u8]) -> Option<(&'static str, &'static Tip)> {
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if begins(b"<!doctype html") || begins(b"<html") || begins(b"<head") {
        return Some(("an HTML page", &DOWNLOAD));
    }
    let matches = |other: &&Lookalike| first.get(other.at..).is_some_and(|rest| rest.starts_with(other.magic));
    if let Some(other) = LOOKALIKES.iter().find(matches) {
        return Some((other.noun, &other.tip));
    }
    match first {
        // The name of the first entry follows the 30 bytes of its header.
        [b'P', b'K', 3, 4, ..] => {
            let len = first.get(26..28)?.iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
            find_archive(first.get(30..30 + len)?, first)
        }
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(("a BMP image", &Tip::Python(IMAGE, ".npy"))),
        // A map whose first key is a short text.
        [0x81..=0x8f, 0xa1..=0xbf, b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => {
            Some(("a MessagePack file, as Flax writes them", &MSGPACK))
        }
        [0x80, 2..=5, ..] => {
            Some(("a Python pickle, which runs programs when it is loaded", &Tip::Python(PICKLE, ".npy")))
        }
        // The version of the format as a protobuf field, and the name of the program that wrote it, a graph or an import.
        [0x08, 1..=30, 0x12 | 0x3a | 0x42, ..] => Some(("an ONNX model", &Tip::Python(ONNX, ".npz"))),
        _ => None,
    }
}

/// Returns the kind of a zip archive whose first entry has this name.
fn find_archive(name: &[u8], first: &[u8]) -> Option<(&'static str, &'static Tip)> {
    const OTHERS: &[&str] =
        &["/", ".csv", ".tsv", ".txt", ".json", ".xml", ".png", ".jpg", ".gz", ".safetensors", "-ubyte"];
    let name = String::from_utf8_lossy(name);
    if ["/data.pkl", "/version", "/.format_version"].iter().any(|end| name.ends_with(end)) {
        return Some(("a PyTorch file", &Tip::Python(TORCH, ".safetensors")));
    }
    if name == "[Content_Types].xml" {
        return Some(("an Excel or Word file", &SHEET));
    }
    let has_document = |text: &[u8]| text.windows(12).any(|window| window == b"opendocument");
    if name == "mimetype" && has_document(&first[..first.len().min(200)]) {
        return Some(("an OpenDocument file", &SHEET));
    }
    if name == "metadata.json" || name == "config.json" {
        return Some(("a Keras model", &TENSORFLOW));
    }
    OTHERS.iter().any(|end| name.ends_with(end)).then_some(("a zip archive of files that are not .npy", &ARCHIVE))
}

fn word_tip(tip: &Tip, label: &str, own: &str) -> String {
    match tip {
        Tip::Text(text) => (*text).to_owned(),
        Tip::Filter(command) => tips::decompress(label, command),
        Tip::Python(program, format) => {
            let converted = tips::converted_name(label, own, format);
            let trust = if program.contains("pickle") { "if you trust its author, " } else { "" };
            format!("{trust}convert it: `python3 -c \"{program}\" {} {}`", tips::quote(label), tips::quote(&converted))
        }
    }
}

/// Returns the encoding of text with two or four bytes for each character, which some Windows programs write.
fn wide_encoding(first: &[u8]) -> Option<&'static str> {
    match first {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [b'!'..=b'~', 0, b' '..=b'~', 0, b' '..=b'~', 0, ..] => Some("UTF-16LE"),
        [0, b'!'..=b'~', 0, b' '..=b'~', 0, b' '..=b'~', ..] => Some("UTF-16BE"),
        _ => None,
    }
}

/// Returns the tip for nnlayer's own text: `y = softmax(x)  (3)` above numbers, `PASS` and what is said about it, or a graph.
fn own_text(first: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&first[..first.len().min(1000)]);
    let mut lines = text.lines();
    let (title, below) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let has_shape = title.rsplit_once("  (").is_some_and(|(_, shape)| shape.ends_with(')'));
    let is_result = has_shape && title.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    let is_report = ["PASS", "FAIL", "INCONCLUSIVE"]
        .iter()
        .any(|verdict| title.strip_prefix(verdict).is_some_and(|rest| rest.starts_with([' ', ':'])));
    if is_result && !below.is_empty() {
        return Some("add --json before the pipe: nnlayer … --json | nnlayer …");
    }
    (is_report || below.contains("──(")).then_some("pipe results, which --json writes, and no report or graph")
}

/// Returns the format of a text of numbers, by the separator in its first row; `None` if the first row is not several numbers.
fn find_table(first: &[u8]) -> Option<&'static dyn Format> {
    let text = std::str::from_utf8(&first[..first.len().min(1000)]).ok()?;
    let row = text.lines().find(|line| !line.trim().is_empty())?;
    let mut cells = row.split([',', ' ', '\t']).filter(|cell| !cell.is_empty());
    let is_number = |cell: &str| cell.parse::<f64>().is_ok();
    (cells.next().is_some_and(is_number) && cells.next().is_some_and(is_number)).then(|| table_for(row))
}

/// Returns the format of a table by the separator in its first row.
pub fn table_for(row: &str) -> &'static dyn Format {
    if row.contains('\t') {
        &TSV
    } else if row.contains([',', ';', '|']) {
        &CSV
    } else {
        &TXT
    }
}
