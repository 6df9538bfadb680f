//! Tips for files: each is followed as it is printed, and the result is that of the right input, to the last bit.

use crate::support::{RunOutput, folder, has_program, shell_in};
use std::path::Path;

/// The right input of most cases.
const TABLE: &str = "[[1.5,200],[-3.25,4]]";

/// A wrong input: the name of its file, its content, and the right input.
type Case<'a> = (&'a str, &'a [u8], &'a str);

const CASES: &[Case<'static>] = &[
    // np.savetxt without a delimiter, and other separators under a wrong name.
    ("blanks.csv", b"1.5e+00 2.0e+02\n-3.25e+00 4.0e+00\n", TABLE),
    ("blanks.tsv", b"  1.5   200\n -3.25     4\n", TABLE),
    ("one.csv", b"1.5 200 4\n", "[[1.5,200,4]]"),
    ("commented.csv", b"1.5 200 # first\n-3.25 4\n", TABLE),
    ("semicolons.csv", b"1.5;200\n-3.25;4\n", TABLE),
    ("semicolons.tsv", b"1.5;200\n-3.25;4\n", TABLE),
    ("semicolons.txt", b"1.5;200\n-3.25;4\n", TABLE),
    ("quotes.csv", b"\"1.5\";\"200\"\n\"-3.25\";\"4\"\n", TABLE),
    ("bars.csv", b"1.5|200\n-3.25|4\n", TABLE),
    ("tabs.csv", b"1.5\t200\n-3.25\t4\n", TABLE),
    ("tabs.txt.csv", b"1.5\t200\n-3.25\t4\n", TABLE),
    ("commas.tsv", b"1.5,200\n-3.25,4\n", TABLE),
    ("commas.txt", b"1.5, 200\n-3.25, 4\n", TABLE),
    ("my table (1).csv", b"1.5;200\n-3.25;4\n", TABLE),
    ("-dash.csv", b"1.5;200\n-3.25;4\n", TABLE),
    // Decimal commas.
    ("europe.csv", b"1,5;200\n-3,25;4\n", TABLE),
    ("europe-later.csv", b"200;4\n1,5;-3,25\n", "[[200,4],[1.5,-3.25]]"),
    ("europe.tsv", b"1,5\t200\n-3,25\t4\n", TABLE),
    ("europe-tabs.csv", b"1,5\t200\n-3,25\t4\n", TABLE),
    ("europe.txt", b"1,5 200\n-3,25 4\n", TABLE),
    ("europe-blanks.csv", b"1,5 200\n-3,25 4\n", TABLE),
    ("europe-quotes.csv", b"\"1,5\",\"200\"\n\"-3,25\",\"4\"\n", TABLE),
    ("europe-quotes-semicolons.csv", b"\"1,5\";\"200\"\n\"-3,25\";\"4\"\n", TABLE),
    // Thousands.
    ("thousands.csv", b"\"1,234.5\",2\n\"-1,000,000\",\"3,000.25\"\n", "[[1234.5,2],[-1000000,3000.25]]"),
    // Names of columns.
    ("header.csv", b"height,weight\n1.5,200\n-3.25,4\n", TABLE),
    ("header.txt", b"height weight\n1.5 200\n-3.25 4\n", TABLE),
    ("savetxt.csv", b"# height,weight\n1.5,200\n-3.25,4\n", TABLE),
    ("header-semicolons.csv", b"height;weight\n1,5;200\n-3,25;4\n", TABLE),
    ("header-blanks.csv", b"height weight\n1.5 200\n-3.25 4\n", TABLE),
    ("quoted-header.csv", b"\"height, cm\",\"the \"\"weight\"\"\"\n1.5,200\n-3.25,4\n", TABLE),
    ("excel.csv", b"sep=;\r\n1,5;200\r\n-3,25;4\r\n", TABLE),
    ("pandas.csv", b",0,1\n0,1.5,200.0\n1,-3.25,4.0\n", TABLE),
    ("comment.csv", b"# written today\n1.5,200\n-3.25,4\n", TABLE),
    ("latex.txt", b"% a b\n1.5 200\n  % more\n-3.25 4\n", TABLE),
    ("trailing.csv", b"1.5,200,\n-3.25,4, \r\n", TABLE),
    ("trailing-semicolons.csv", b"1,5;200;\n-3,25;4;\n", TABLE),
    ("trailing-tabs.tsv", b"1.5\t200\t\n-3.25\t4\t\n", TABLE),
    // A name of another format.
    ("array.npy", b"[[1.5,200],[-3.25,4]]", TABLE),
    ("array.npz", b"[[1.5,200],[-3.25,4]]", TABLE),
    ("array.csv", b"[[1.5,200],[-3.25,4]]", TABLE),
    ("array.safetensors", b"1.5,200\n-3.25,4\n", TABLE),
    ("matrix.json", b"[[1.5 200.]\n [-3.25 4.]]", TABLE),
    ("matlab.json", b"[1.5 200\n-3.25 4]", TABLE),
    ("tensor.npy", b"tensor([[1.5, 200.],\n        [-3.25, 4.]])", TABLE),
    ("numpy.csv", b"[[1.5 200.]\n [-3.25 4.]]", TABLE),
    ("1.json", b"[1.5 200; -3.25 4]", TABLE),
    ("table.json", b"1.5,200\n-3.25,4\n", TABLE),
    ("table.npy", b"1.5 200\n-3.25 4\n", TABLE),
    // Encodings.
    ("little.csv", b"\xff\xfe1\0.\x005\0,\x002\x000\x000\0\n\0-\x003\0.\x002\x005\0,\x004\0\n\0", TABLE),
    ("big.json", b"\xfe\xff\0[\0[\x001\0.\x005\0,\x002\x000\x000\0]\0,\0[\0-\x003\0.\x002\x005\0,\x004\0]\0]", TABLE),
    ("bare.csv", b"1\0.\x005\0,\x002\x000\x000\0\n\0-\x003\0.\x002\x005\0,\x004\0\n\0", TABLE),
];

/// Reads a file or standard input with these options, and compares it with the right one without a tolerance.
fn compare(folder: &Path, operand: &str, options: &str) -> RunOutput {
    shell_in(folder, &format!("nnlayer compare '{operand}' @right.json --rtol 0 --atol 0 {options}"))
}

/// Follows the tip of an error. Returns the file to read instead, options to add, and what feeds standard input.
fn follow(folder: &Path, tip: &str, name: &str) -> Option<(String, String, Option<String>)> {
    let command = tip.split('`').nth(1);
    if let Some((_, new)) = tip.split_once("rename the file to ") {
        let new = new.split("; ").next().unwrap().trim_start_matches("./");
        std::fs::rename(folder.join(name), folder.join(new)).unwrap();
        Some((format!("./{new}"), String::new(), None))
    } else if let Some((_, option)) = tip.split_once("use --") {
        let words: Vec<&str> = option.split(' ').map(|word| word.trim_end_matches(',')).take(2).collect();
        let option = if words[0] == "header" { words[0].to_owned() } else { words.join(" ") };
        Some((name.to_owned(), format!("--{option}"), None))
    } else if tip.contains("pipe it through `") {
        Some(("-".to_owned(), String::new(), Some(command?.to_owned())))
    } else if tip.contains("convert it: `") || tip.contains("one array of them: `") {
        let ran = shell_in(folder, command?);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{tip}");
        let last = command?.rsplit(" > ").next().unwrap();
        Some((format!("./{}", last.trim_matches('\'').trim_start_matches("./")), String::new(), None))
    } else {
        None
    }
}

/// Follows tips, one after the other, until the input is read. Returns what is wrong if it is not, or is read otherwise.
fn heal(case: &Case<'_>, as_stream: bool) -> Option<String> {
    let (name, bytes, right) = *case;
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("right.json", right.as_bytes());
    write(name, bytes);
    let (mut operand, mut options, mut feed, mut log) = (format!("./{name}"), String::new(), String::new(), Vec::new());
    if as_stream {
        (operand, feed) = ("-".to_owned(), format!("cat './{name}' | "));
    }
    for _ in 0..5 {
        let line = format!("{feed}nnlayer compare '{operand}' @right.json --rtol 0 --atol 0 {options}");
        let ran = shell_in(folder.path(), &line);
        if ran.status == 0 {
            return None;
        }
        log.push(format!("{line}\n{}{}", ran.text(), ran.stderr));
        let tip = ran.stderr.lines().rev().find_map(|line| line.strip_prefix("tip: ")).unwrap_or_default();
        let Some((next, option, filter)) = follow(folder.path(), tip, operand.trim_start_matches("./")) else { break };
        match filter {
            Some(filter) => feed = format!("{feed}{filter} | "),
            None if as_stream => {}
            None => operand = if next.starts_with("./") { next } else { format!("./{next}") },
        }
        options = format!("{options} {option}");
    }
    Some(log.concat())
}

fn heal_all(cases: impl Iterator<Item = &'static Case<'static>>, as_stream: bool) {
    if has_program("iconv") {
        let failed: Vec<String> = cases.filter_map(|case| heal(case, as_stream)).collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}

#[test]
fn every_tip_for_a_file_leads_to_the_right_numbers() {
    heal_all(CASES.iter(), false);
}

#[test]
fn every_tip_for_standard_input_leads_to_the_right_numbers() {
    // A name means nothing in a pipe, where a comma beside a blank separates columns, and a line of numbers is a vector.
    let has_name = |case: &&Case<'_>| case.0.starts_with("europe") || case.0 == "one.csv";
    heal_all(CASES.iter().filter(|case| !has_name(case)), true);
}

#[test]
fn no_tip_is_a_command_where_the_text_can_be_read_in_two_ways() {
    let folder = folder();
    for (name, text, tip) in [
        ("a.csv", "1.000,5;2\n", "save it as a .csv file, with decimal points"),
        ("b.csv", "\"1,234\",2\n", "write 1234 if the comma separates thousands, 1.234 if it is decimal"),
        ("c.tsv", "1.5\t2\n1,5\t2\n", "write it with a decimal point: 1.5"),
        (
            "d.tsv",
            "1,5\n2,5\n",
            "if the commas separate columns, rename the file to d.csv; if they are decimal, write points",
        ),
        (
            "e.csv",
            "x,2\n1,2\n",
            "use --header, if the first row has the names of the columns; otherwise write a number",
        ),
        (
            "g.csv",
            "1,\n2,\n",
            "if no value is missing there, convert it: `sed 's/,[[:space:]]*$//' < g.csv > g-converted.csv`",
        ),
        ("f.csv", "NA,x\n1,2\n", "write nan for a missing value"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::write(folder.path().join("right.json"), "0").unwrap();
        let ran = compare(folder.path(), name, "");
        assert_eq!(ran.stderr.lines().last(), Some(format!("tip: {tip}").as_str()), "{text}");
    }
}

#[test]
fn a_header_option_loses_no_row_of_numbers() {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), "1,2\n3,4\n").unwrap();
    let ran = shell_in(folder.path(), "nnlayer relu --x a.csv --header");
    assert!(ran.refusal().contains("--header would leave it out"), "{}", ran.stderr);
}
