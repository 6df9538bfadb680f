//! Hostile files: reading one takes at most a fixed multiple of its size in memory.

use crate::support::{RunOutput, folder, memory, nnlayer, piped};
use std::io::Write;
use std::path::PathBuf;
use zip::write::SimpleFileOptions;

/// Memory in bytes that any command takes, for buffers and the command line.
const ALWAYS: usize = 8 << 20;

/// Largest memory in bytes per byte of text: a key of one letter and a number of one digit become a string, a number and
/// entries of two tables that grow by doubling.
const TEXT: usize = 100;

/// Largest memory in bytes per byte of a compressed array: deflate expands a byte to at most 1032, each of which may be an
/// element.
const PACKED: usize = 1032 * 8;

#[track_caller]
fn costs(times: usize, size: usize, run: impl FnOnce() -> RunOutput) -> RunOutput {
    let (ran, most) = memory::peak_bytes(run);
    assert!(ran.status == 0 || ran.status == 2 || ran.status == 1, "{}", ran.stderr);
    assert!(most < ALWAYS + times * size, "{most} bytes of memory for {size} of a file");
    assert!(ran.stderr.len() < 10_000, "a message of {} bytes", ran.stderr.len());
    ran
}

#[test]
fn a_reply_in_base64_costs_its_size_whatever_shape_it_declares() {
    for shape in ["[1099511627776]", "[1572864]", "[0,1099511627776]"] {
        let y = format!(r#"{{"shape":{shape},"dtype":"f16","base64":"{}"}}"#, "AAAA".repeat(1 << 19));
        let file = File::new("reply", format!(r#"{{"points":[{{"outputs":{{"y":{y}}}}}]}}"#));
        let program = ["gradcheck", "--layer", "custom", "--x", "1", "--", "cat", file.path()];
        costs(TEXT, file.size, || nnlayer(&program));
    }
}

/// A file in a temporary folder.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
    size: usize,
}

impl File {
    fn new(name: &str, bytes: impl AsRef<[u8]>) -> File {
        let folder = folder();
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        File { _folder: folder, path, size: bytes.as_ref().len() }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// Reads the file as an operand.
#[track_caller]
fn read(times: usize, name: &str, bytes: impl AsRef<[u8]>) -> RunOutput {
    let file = File::new(name, bytes);
    costs(times, file.size, || nnlayer(&["compare", &format!("{}#x", file.path()), "0"]))
}

/// Reads the file as an operand, and all of its arrays.
#[track_caller]
fn document(times: usize, name: &str, bytes: impl AsRef<[u8]>) -> [RunOutput; 2] {
    let file = File::new(name, bytes);
    let operand = costs(times, file.size, || nnlayer(&["softmax", "--x", file.path(), "--only", "y", "--json"]));
    [operand, costs(2 * times, 2 * file.size, || nnlayer(&["compare", file.path(), file.path()]))]
}

fn repeated(begin: &str, entry: impl Fn(usize) -> String, count: usize, end: &str) -> String {
    format!("{begin}{}{end}", (0..count).map(entry).collect::<Vec<_>>().join(","))
}

#[test]
fn deep_nesting_is_refused_before_the_stack_overflows() {
    for open in ["[", "{\"a\":", "[[],", "[{\"a\":"] {
        let [ran, _] = document(TEXT, "x.json", open.repeat(100_000));
        assert!(ran.refusal().contains("has more than 64 levels"), "{}", ran.stderr);
    }
    let ran = piped("{\"x\":".to_owned() + &"[".repeat(100_000), &["softmax", "--ndjson"]);
    assert!(ran.refusal().contains("has more than 64 levels"), "{}", ran.stderr);
}

#[test]
fn the_memory_for_keys_is_proportional_to_their_number() {
    let keys = |end: &str| repeated("{", |n| format!("\"k{n}\":1"), 100_000, end);
    let [ran, compared] = document(TEXT, "x.json", keys(",\"x\":[0,0]}"));
    assert_eq!(ran.quiet(), "{\"y\":[0.5,0.5]}\n");
    assert_eq!(compared.status, 0, "{}", compared.stderr);
    let [ran, _] = document(TEXT, "x.json", keys(",\"k99999\":1}"));
    assert!(ran.refusal().contains("has the key \"k99999\" twice"), "{}", ran.stderr);
    let [ran, _] = document(TEXT, "x.json", keys("}"));
    assert!(ran.refusal().contains("and 99980 more"), "{}", ran.stderr);
    let text = keys("}");
    let ran = costs(TEXT, text.len(), || piped(&text, &["softmax"]));
    assert!(ran.refusal().contains("and 99980 more"), "{}", ran.stderr);
    let ran = costs(TEXT, text.len(), || piped(keys(",\"x\":[0,0]}"), &["softmax", "--ndjson", "--only", "y"]));
    assert!(ran.quiet().contains("\"y\":[0.5,0.5]"));
}

#[test]
fn long_names_are_not_compared_for_suggestions() {
    let long = "a".repeat(1_000_000);
    let file = File::new("x.json", format!("{{\"{long}\":1}}"));
    let ran =
        costs(TEXT, file.size, || nnlayer(&["softmax", "--x", &format!("{}#{}b", file.path(), &long[..100_000])]));
    assert!(ran.refusal().contains("has no /aaaa"), "{}", ran.stderr);
    costs(TEXT, file.size, || piped(format!("{{\"{long}\":1,\"x\":[1,2]}}"), &["softmax"]));
    let layer = format!("{{\"nnlayer-tape\":1,\"layers\":[{{\"kind\":\"relu\",\"{long}\":1}}]}}");
    let file = File::new("net.json", layer);
    let ran = costs(TEXT, file.size, || nnlayer(&["net", file.path(), "--x", "1,2"]));
    assert!(ran.refusal().contains("unknown key"), "{}", ran.stderr);
}

#[test]
fn numbers_of_a_million_digits_are_read() {
    let digits = "3".repeat(1_000_000);
    for (text, value) in [(format!("0.{digits}"), "0.3333333333333333"), (format!("1e-{digits}"), "0.0")] {
        let [ran, _] = document(TEXT, "x.json", format!("[[{text}]]"));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let file = File::new("x.csv", format!("{text},{text}"));
        let ran = costs(TEXT, file.size, || nnlayer(&["relu", "--x", file.path(), "--only", "y", "--json"]));
        assert_eq!(ran.quiet(), format!("{{\"y\":[[{value},{value}]]}}\n"));
    }
    for text in [digits.clone(), format!("1e{digits}"), format!("-1e{digits}")] {
        let [ran, _] = document(TEXT, "x.json", format!("[{text}]"));
        assert!(ran.refusal().contains("too large for a double"), "{}", ran.stderr);
        let [ran, _] = document(TEXT, "x.csv", text);
        assert!(ran.refusal().contains("too large for a double"), "{}", ran.stderr);
    }
}

#[test]
fn the_memory_for_small_arrays_is_proportional_to_the_file() {
    for (entry, count) in [("[]", 25_000), ("{}", 25_000), ("[0]", 25_000), ("null", 25_000), ("\"\"", 25_000)] {
        for first in ["", "[1],", "1,"] {
            document(TEXT, "x.json", repeated(&format!("[{first}"), |_| entry.to_owned(), count, "]"));
        }
    }
    // Many matrices of one number.
    for (before, behind) in [("{\"a\":", "}"), ("[1,", "]"), ("{\"a\":[0],\"b\":", ",\"c\":null}")] {
        document(TEXT, "x.json", repeated("[", |n| format!("{before}[[{}]]{behind}", n % 10), 25_000, "]"));
        document(TEXT, "x.json", repeated("[", |n| format!("{before}[[1,2],[{},3]]{behind}", n % 10), 25_000, "]"));
    }
    let ran = costs(TEXT, 800_000, || piped("1,".repeat(400_000) + "1", &["relu", "--only", "y", "--json"]));
    assert_eq!(ran.quiet().len(), "{\"y\":[]}\n".len() + 4 * 400_001 - 1);
    let ran = costs(TEXT, 800_000, || piped("1;".repeat(400_000) + "1 1", &["relu"]));
    assert!(ran.refusal().contains("row 400000 has 2 numbers, but row 0 has 1"), "{}", ran.stderr);
}

#[test]
fn the_memory_for_tables_is_proportional_to_the_file() {
    let [ran, _] = document(TEXT, "x.csv", "1,".repeat(250_000) + "1");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let [ran, _] = document(TEXT, "x.csv", "1\n".repeat(250_000));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let [ran, _] = document(TEXT, "x.csv", "\r".repeat(400_000));
    assert!(ran.refusal().contains("is empty"), "{}", ran.stderr);
    for name in ["x.csv", "x.tsv", "x.txt"] {
        for text in ["a,", "1;", "1 ", "\"", "\"1,5\",", "a\t", "#", "1|2,"] {
            document(TEXT, name, text.repeat(100_000));
        }
        let file = File::new(name, "a,".repeat(100_000) + "b\n" + &"1,".repeat(100_000) + "1\n");
        costs(TEXT, file.size, || nnlayer(&["relu", "--x", &format!("{}#b", file.path()), "--header", "--forward"]));
    }
}

#[test]
fn compressed_content_costs_what_its_format_costs() {
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    // The longer one goes to a temporary file.
    for count in [200_000, 2_500_000] {
        let text = "0\n".repeat(count);
        let compressed = gzip(text.as_bytes());
        let file = File::new("x.csv.gz", &compressed);
        let arguments = ["compare", file.path(), file.path()];
        assert_eq!(costs(30, text.len(), || nnlayer(&arguments)).status, 0);
        assert_eq!(
            costs(30, text.len(), || piped(&compressed, &["compare", "-", file.path(), "--in-format", "csv"])).status,
            0
        );
        let twice = File::new("x.csv.gz", gzip(&compressed));
        let ran = costs(TEXT, compressed.len(), || nnlayer(&["relu", "--x", twice.path()]));
        assert!(ran.refusal().contains("is gzip data in gzip data"), "{}", ran.stderr);
    }
}

#[test]
fn the_memory_for_layers_is_proportional_to_their_number() {
    for named in [true, false] {
        let layer = |n: usize| {
            format!("{{\"kind\":\"relu\"{}}}", if named { format!(",\"name\":\"r{n}\"") } else { String::new() })
        };
        let file = File::new(
            "net.json",
            repeated("{\"nnlayer-tape\":1,\"layers\":[", layer, 15_000, ",{\"kind\":\"none\"}]}"),
        );
        let ran = costs(3 * TEXT, file.size, || nnlayer(&["net", file.path(), "--x", "1,2"]));
        assert!(ran.refusal().contains("unknown layer kind \"none\""), "{}", ran.stderr);
    }
    let twice = "{\"kind\":\"relu\",\"name\":\"r1\"}";
    let layer = |n: usize| format!("{{\"kind\":\"relu\",\"name\":\"r{n}\"}}");
    let file =
        File::new("net.json", repeated("{\"nnlayer-tape\":1,\"layers\":[", layer, 15_000, &format!(",{twice}]}}")));
    let ran = costs(3 * TEXT, file.size, || nnlayer(&["net", file.path(), "--x", "1,2"]));
    assert!(ran.refusal().contains("two layers are named r1"), "{}", ran.stderr);
}

#[test]
fn sizes_in_headers_are_not_allocated_before_they_are_checked() {
    let npy = |length: u16, header: &str| {
        [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()
    };
    let shape = |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    for shape in
        [shape("(1000000000, 1000000000)"), shape("(18446744073709551615,)"), shape("(4294967296, 4294967296, 2)")]
    {
        let ran = costs(TEXT, 0, || piped(npy(shape.len() as u16, &shape), &["softmax"]));
        assert!(["is damaged", "has 3 axes"].iter().any(|why| ran.refusal().contains(why)), "{}", ran.stderr);
    }
    assert!(costs(0, 0, || piped(npy(u16::MAX, "{}"), &["softmax"])).refusal().contains("declares a header of"));
    let longer = [b"\x93NUMPY\x02\x00\xff\xff\xff\xff".as_slice(), &[b'{'; 100]].concat();
    assert!(costs(0, 0, || piped(longer, &["softmax"])).refusal().contains("declares a header of"));
    let tensors = |length: u64, header: &str| [&length.to_le_bytes(), header.as_bytes()].concat();
    for (length, header) in [
        (99_999_999, "{}".to_owned()),
        (62, "{\"x\":{\"dtype\":\"F64\",\"shape\":[99999999],\"data_offsets\":[0,8]}}".to_owned()),
        (75, "{\"x\":{\"dtype\":\"F64\",\"shape\":[99999999999],\"data_offsets\":[0,799999999992]}}".to_owned()),
    ] {
        let ran = read(0, "x.safetensors", tensors(length, &header));
        assert!(ran.refusal().contains("is damaged"), "{}", ran.stderr);
    }
}

#[test]
fn the_memory_for_arrays_of_a_file_is_proportional_to_their_number() {
    let entry = |n: usize| format!("\"k{n}\":{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[{n},{}]}}", n + 1);
    let header = repeated("{", entry, 30_000, "}");
    let tensors = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1; 30_000]].concat();
    let [ran, compared] = document(TEXT, "x.safetensors", tensors);
    assert!(ran.refusal().contains("and 29980 more"), "{}", ran.stderr);
    assert_eq!(compared.status, 0, "{}", compared.stderr);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for n in 0..10_000 {
        archive.start_file(format!("k{n}.npy"), SimpleFileOptions::default()).unwrap();
        archive.write_all(&ones(1)).unwrap();
    }
    let [ran, compared] = document(TEXT, "x.npz", archive.finish().unwrap().into_inner());
    assert!(ran.refusal().contains("and 9980 more"), "{}", ran.stderr);
    assert_eq!(compared.status, 0, "{}", compared.stderr);
}

/// Returns a `.npy` file of ones, one byte each.
fn ones(count: usize) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}\n");
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), &vec![1; count]].concat()
}

fn packed(count: usize) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("x.npy", SimpleFileOptions::default()).unwrap();
    archive.write_all(&ones(count)).unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn the_memory_for_a_compressed_array_is_limited_by_the_deflate_ratio() {
    let bomb = packed(2_000_000);
    assert!(bomb.len() < 4_000, "{}", bomb.len());
    let ran = read(PACKED, "x.npz", &bomb);
    assert!(ran.text().contains("a is (2000000)"), "{}{}", ran.text(), ran.stderr);
}

#[test]
fn overlapping_arrays_are_refused() {
    // A directory that lists one entry a thousand times: 16 GB from 60 kB, although each entry has a possible ratio.
    let bomb = packed(2_000_000);
    let list = bomb.windows(4).position(|at| at == b"PK\x01\x02").unwrap();
    let end = bomb.windows(4).position(|at| at == b"PK\x05\x06").unwrap();
    let (entries, record, tail) = (&bomb[..list], &bomb[list..end], &bomb[end..]);
    let mut bytes = entries.to_vec();
    for n in 0..1000u16 {
        let mut record = record.to_vec();
        let name = format!("x{n}.npy");
        let old = usize::from(u16::from_le_bytes([record[28], record[29]]));
        record[28..30].copy_from_slice(&(name.len() as u16).to_le_bytes());
        record.splice(46..46 + old, name.bytes());
        bytes.extend(record);
    }
    let length = (bytes.len() - entries.len()) as u32;
    let mut tail = tail.to_vec();
    tail[8..10].copy_from_slice(&1000u16.to_le_bytes());
    tail[10..12].copy_from_slice(&1000u16.to_le_bytes());
    tail[12..16].copy_from_slice(&length.to_le_bytes());
    bytes.extend(tail);
    let file = File::new("x.npz", &bytes);
    let ran = costs(TEXT, file.size, || nnlayer(&["compare", file.path(), file.path()]));
    assert!(ran.refusal().contains("cannot all fit in"), "{}", ran.stderr);
    let ran = costs(TEXT, file.size, || nnlayer(&["compare", &format!("{}#x7", file.path()), "0"]));
    assert!(ran.refusal().contains("differs from the directory"), "{}", ran.stderr);
}

#[test]
fn rows_of_null_take_no_memory() {
    let row = vec!["1"; 20_000].join(",");
    let file =
        File::new("t.json", format!("{{\"y\":[[{row}],{0}],\"loss\":[[{row}],{0}]}}", vec!["null"; 20_000].join(",")));
    for words in ["softmax --x 1,2", "softmax --x 1,2 --steps", "softmax-xent --x 1,2;3,4 --t 0,1 --steps"] {
        let words: Vec<&str> = words.split(' ').chain(["--expect", file.path()]).collect();
        let ran = costs(TEXT, file.size, || nnlayer(&words));
        assert!(ran.status == 1 && ran.text().contains("20001×20000"), "{}{}", ran.text(), ran.stderr);
    }
}
