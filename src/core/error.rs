//! What every refusal and every warning is made of.
//!
//! A layer or a reader knows the broken rule, the place and the shapes; it says so in a [`Error`]. Whoever is nearer to
//! the user adds the option's text, the file and the position, and turns it into words or JSON.

use super::name::Name;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A refusal: the rule that was broken, by which operand, where, and what would help. It is as small as a pointer, because
/// whatever can fail hands one on.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<ErrorDetails>);

/// What a [`Error`] says.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorDetails {
    /// The rule, as a stable code.
    pub code: Code,
    /// The operand, setting or option it is about.
    pub operand: Option<Name>,
    /// The file, or `standard input`, that the operand came from.
    pub origin: Option<String>,
    /// Where in the operand.
    pub at: Option<Place>,
    /// The file and line of a stream's record, where the operand itself stands elsewhere.
    pub record: Option<(String, usize)>,
    /// One sentence, without the operand's name in front and without a full stop.
    pub message: String,
    /// What else is known, one line each.
    pub facts: Vec<Fact>,
    /// What to do about it.
    pub tip: Option<String>,
}

impl Error {
    /// An error with a code and a sentence; the rest is added by the `with` family.
    #[cold]
    #[inline(never)]
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error(Box::new(ErrorDetails {
            code,
            operand: None,
            origin: None,
            at: None,
            record: None,
            message: message.into(),
            facts: Vec::new(),
            tip: None,
        }))
    }

    /// Names the operand, unless somebody nearer to the mistake already has.
    #[must_use]
    #[inline(never)]
    pub fn with_operand(mut self, operand: &Name) -> Error {
        self.operand.get_or_insert_with(|| operand.clone());
        self
    }

    /// Names the file or stream, unless somebody nearer to the mistake already has.
    #[must_use]
    #[inline(never)]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Error {
        self.origin.get_or_insert_with(|| origin.into());
        self
    }

    /// Says where.
    #[must_use]
    #[inline(never)]
    pub fn at(mut self, place: Place) -> Error {
        self.at = Some(place);
        self
    }

    /// Says at which index of the operand.
    #[must_use]
    #[inline(never)]
    pub fn at_index(self, index: &[usize]) -> Error {
        self.at(Place::Index(index.to_vec()))
    }

    /// Says in which record of a stream.
    #[must_use]
    #[inline(never)]
    pub fn in_record(mut self, file: &str, line: usize) -> Error {
        self.record.get_or_insert_with(|| (file.to_owned(), line));
        self
    }

    /// Adds an operand's shape.
    #[must_use]
    #[inline(never)]
    pub fn with_shape(mut self, operand: &Name, shape: &[usize]) -> Error {
        self.facts.push(Fact::Shape(operand.clone(), shape.to_vec()));
        self
    }

    /// Adds a line of what else is known.
    #[must_use]
    #[inline(never)]
    pub fn fact(mut self, text: impl Into<String>) -> Error {
        self.facts.push(Fact::Text(text.into()));
        self
    }

    /// Changes what it says.
    #[must_use]
    pub fn update(mut self, change: impl FnOnce(&mut ErrorDetails)) -> Error {
        change(&mut self);
        self
    }

    /// Says what to do about it, unless somebody nearer to the mistake already has.
    #[must_use]
    #[inline(never)]
    pub fn tip(mut self, text: impl Into<String>) -> Error {
        self.tip.get_or_insert_with(|| text.into());
        self
    }
}

impl Deref for Error {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut ErrorDetails {
        &mut self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operand) = &self.operand {
            write!(f, "{operand}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Something worth saying that is no refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// What is said, in the form of an error.
    pub error: Error,
}

impl Note {
    /// Probably a mistake; `--strict` makes it an error.
    pub fn warning(error: Error) -> Note {
        Note { severity: Severity::Warning, error }
    }

    /// Good to know.
    pub fn info(error: Error) -> Note {
        Note { severity: Severity::Info, error }
    }
}

/// How much a [`Note`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Probably a mistake; `--strict` makes it an error.
    Warning,
    /// Good to know.
    Info,
}

/// A place in an operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// An index, one number an axis.
    Index(Vec<usize>),
    /// A JSON pointer, before the text was searched for it.
    Pointer(String),
    /// A position in a text, counted from 1, and the JSON pointer to it (empty where there is none).
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// JSON pointer, may be empty.
        pointer: String,
    },
}

/// A line under an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// An operand and its shape; the reader of it adds where the operand came from.
    Shape(Name, Vec<usize>),
    /// Anything else.
    Text(String),
}

/// `1 row`, `3 rows`: a count of something whose plural ends in s.
pub fn format_count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `x, w and 7 more`: names in a message, the first twenty of them, each on one line and not longer than it may be.
pub fn join_names(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<String> = names.iter().take(20).map(|name| sanitize(name.as_ref())).collect();
    match names.len() {
        0..=20 => shown.join(", "),
        n => format!("{} and {} more", shown.join(", "), n - 20),
    }
}

/// Somebody's text on one line of a terminal: control characters are escaped, long text is cut.
pub fn sanitize(text: &str) -> String {
    let mut shown = String::new();
    for (count, letter) in text.chars().enumerate() {
        match letter {
            _ if count == 200 => return shown + "…",
            letter if letter.is_control() => shown.extend(letter.escape_default()),
            letter => shown.push(letter),
        }
    }
    shown
}

/// How many slips lie between two names, where they are few. Two texts that are no names are not compared: it would take
/// as much memory as one of them is long, times the other.
pub fn edit_distance(a: &str, b: &str) -> Option<usize> {
    const LONGEST: usize = 200;
    (a.len() <= LONGEST && b.len() <= LONGEST).then(|| strsim::damerau_levenshtein(a, b)).filter(|slips| *slips <= 3)
}

/// `(3×2)`, `(3)`, `(scalar)`: how a shape is written everywhere.
pub fn format_shape(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "(scalar)".to_owned();
    }
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("({})", sides.join("×"))
}

/// `[2,0]`: how an index is written everywhere.
pub fn format_index(index: &[usize]) -> String {
    let parts: Vec<String> = index.iter().map(usize::to_string).collect();
    format!("[{}]", parts.join(","))
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $text:literal,)*) => {
        /// The stable codes of all refusals and warnings, as `--error-format json` prints them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// The code as it is printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => $text,)* }
            }
        }
    };
}

impl Code {
    /// What helps where nobody nearer to the mistake knew better.
    pub fn tip(self) -> Option<&'static str> {
        match self {
            Code::EmptyValue => Some("write numbers, '1,2;3,4', a file, or - for standard input"),
            Code::NumberRange => Some("the largest double is 1.8e308; infinity is written \"Infinity\""),
            Code::Rank => Some("a matrix has rows and columns: reshape it, or select one matrix of it"),
            Code::Damaged => Some("write or copy the file again"),
            Code::JsonSyntax => Some("`jq .` or `python3 -m json.tool` shows what is left of it"),
            Code::JsonDepth => Some("a matrix has two levels of brackets: [[1, 2], [3, 4]]"),
            Code::DuplicateKey => Some("keep one of them"),
            Code::TargetSum => Some("targets are 0 or more and sum to 1 in each row"),
            Code::ProbabilitySum => {
                Some("probabilities are 0 to 1 and sum to 1 in each row; for scores use softmax-xent")
            }
            Code::NanInput => Some("find where it was made: 0/0, inf - inf, log of a negative number"),
            Code::FileUnreadable => Some("may you read it?"),
            Code::Tape => Some("`nnlayer net --init 2,3,2` shows what a network looks like, `--tape` what a tape does"),
            _ => None,
        }
    }
}

codes! {
    /// The command line is not of the right form.
    Usage = "usage",
    /// A required operand is not there.
    OperandMissing = "operand-missing",
    /// An operand has no value at all.
    EmptyValue = "empty-value",
    /// Neither a number nor a path.
    BadLiteral = "bad-literal",
    /// A number that no double can hold.
    NumberRange = "number-range",
    /// Rows of different lengths.
    Ragged = "ragged-rows",
    /// Rank above 2, or a rank that the layer does not take.
    Rank = "rank",
    /// Shapes that do not fit each other.
    Shape = "shape-mismatch",
    /// No such file.
    FileMissing = "file-missing",
    /// A directory, or a file that may not be read.
    FileUnreadable = "file-unreadable",
    /// Bytes of no known format.
    FormatUnknown = "format-unknown",
    /// A file that is cut off or damaged.
    Damaged = "damaged",
    /// Elements that are no real numbers.
    Dtype = "dtype",
    /// No JSON.
    JsonSyntax = "json-syntax",
    /// JSON nested deeper than any matrix or network.
    JsonDepth = "json-depth",
    /// One key twice in one object.
    DuplicateKey = "duplicate-key",
    /// null, a string, a boolean or an object in a matrix.
    NotANumber = "not-a-number",
    /// The selected key, pointer or array is not there.
    KeyMissing = "key-missing",
    /// A first row of words in a table.
    HeaderRow = "header-row",
    /// Two operands want all of standard input.
    StdinTwice = "stdin-twice",
    /// A class index outside the classes.
    IndexRange = "index-range",
    /// A class index with a fraction.
    IndexFraction = "index-fraction",
    /// An axis that the operand does not have.
    AxisRange = "axis-range",
    /// A setting outside its range, or one that does not go with the others.
    Setting = "setting",
    /// Nothing to average.
    EmptyMean = "empty-mean",
    /// A row of logits whose softmax does not exist.
    InfiniteLogits = "infinite-logits",
    /// A result that the output format cannot hold.
    OutFormat = "out-format",
    /// A computation that is too large to be drawn, or empty.
    GraphSize = "graph-size",
    /// The output could not be written.
    WriteFailed = "write-failed",
    /// A scalar dout where true gradients are needed.
    LocalFactors = "local-factors",
    /// Targets that are no distribution.
    TargetSum = "target-sum",
    /// Probabilities that are no distribution.
    ProbabilitySum = "probability-sum",
    /// Probabilities where logits are expected.
    SoftmaxTwice = "softmax-twice",
    /// NaN in an operand.
    NanInput = "nan-input",
    /// A tape or network that is damaged, or not of the form that a command needs.
    Tape = "tape",
    /// A tape of a version that this program does not read.
    TapeVersion = "tape-version",
    /// A tape whose saved values are not what its layers give.
    TapeStale = "tape-stale",
    /// Results that are not summed.
    LeftOut = "left-out",
    /// Records of a stream that could not be computed.
    BadRecords = "bad-records",
    /// A key that is nearly an operand's name.
    UnknownKey = "unknown-key",
    /// No program of that name.
    ProgramMissing = "program-missing",
    /// A file that cannot be run.
    ProgramNotExecutable = "program-not-executable",
    /// A program that takes too long.
    ProgramTimeout = "program-timeout",
    /// A program that ended badly, or before it answered.
    ProgramCrash = "program-crash",
    /// A program under test answers the same input in two ways.
    ReplyUnsteady = "reply-unsteady",
    /// A program's answer is no JSON.
    ReplyNotJson = "reply-not-json",
    /// A program's answer lacks a key.
    ReplyKeyMissing = "reply-key-missing",
    /// A program's answer has other points than the request.
    ReplyPoints = "reply-points",
    /// Something in a program's answer is no array of numbers.
    ReplyValue = "reply-value",
    /// A program's answer does not end.
    ReplyTooLong = "reply-too-long",
}
