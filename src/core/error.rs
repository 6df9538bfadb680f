//! Errors and warnings: a stable code, an operand, a place, facts and a tip.
//!
//! A layer or a reader reports the broken rule, the index and the shapes. Its callers add the option, the file and the position
//! in it, and the command line renders the error as text or JSON.

use super::name::Name;
use super::printable::is_printable;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// An error in the input. Boxed, so that results that may carry one stay as small as a pointer.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<ErrorDetails>);

/// Content of an [`Error`].
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorDetails {
    /// Stable code of the broken rule.
    pub code: Code,
    /// The operand, setting or option with the error.
    pub operand: Option<Name>,
    /// The file that the operand was read from, or `standard input`.
    pub origin: Option<String>,
    /// Position in the operand.
    pub at: Option<Place>,
    /// File and line of the record, for an operand that is not part of the record itself.
    pub record: Option<(String, usize)>,
    /// One plain clause, without the operand's name in front and without a full stop.
    pub message: String,
    /// Further facts, one line each.
    pub facts: Vec<Fact>,
    /// One imperative sentence that helps to correct the error.
    pub tip: Option<String>,
}

impl Error {
    /// Returns an error with a code and a message.
    #[cold]
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

    /// Sets the operand, unless it is set.
    #[must_use]
    pub fn with_operand(mut self, operand: &Name) -> Error {
        self.operand.get_or_insert_with(|| operand.clone());
        self
    }

    /// Sets the file or stream, unless it is set.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Error {
        self.origin.get_or_insert_with(|| origin.into());
        self
    }

    /// Sets the position in the operand.
    #[must_use]
    pub fn at(mut self, place: Place) -> Error {
        self.at = Some(place);
        self
    }

    /// Sets the index in the operand.
    #[must_use]
    pub fn at_index(self, index: &[usize]) -> Error {
        self.at(Place::Index(index.to_vec()))
    }

    /// Sets the record of a stream, unless it is set.
    #[must_use]
    pub fn in_record(mut self, file: &str, line: usize) -> Error {
        self.record.get_or_insert_with(|| (file.to_owned(), line));
        self
    }

    /// Adds an operand's shape as a fact.
    #[must_use]
    pub fn with_shape(mut self, operand: &Name, shape: &[usize]) -> Error {
        self.facts.push(Fact::Shape(operand.clone(), shape.to_vec()));
        self
    }

    /// Adds a line of text as a fact.
    #[must_use]
    pub fn fact(mut self, text: impl Into<String>) -> Error {
        self.facts.push(Fact::Text(text.into()));
        self
    }

    /// Changes the content.
    #[must_use]
    pub fn update(mut self, change: impl FnOnce(&mut ErrorDetails)) -> Error {
        change(&mut self);
        self
    }

    /// Sets the tip, unless it is set.
    #[must_use]
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

/// A message that does not end the command.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Severity of the message.
    pub severity: Severity,
    /// Content, in the form of an error.
    pub error: Error,
}

impl Note {
    /// Returns a warning, which `--strict` makes an error.
    pub fn warning(error: Error) -> Note {
        Note { severity: Severity::Warning, error }
    }

    /// Returns a note that informs only.
    pub fn info(error: Error) -> Note {
        Note { severity: Severity::Info, error }
    }
}

/// Severity of a [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Probably a mistake; `--strict` makes it an error.
    Warning,
    /// For information only.
    Info,
}

/// A position in an operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// An index, one number per axis.
    Index(Vec<usize>),
    /// A JSON pointer whose position in the text has not been looked up yet.
    Pointer(String),
    /// A position in a text.
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// JSON pointer to the position; may be empty.
        pointer: String,
    },
}

/// A line below an error's message.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// An operand and its shape; its reader adds the file it came from.
    Shape(Name, Vec<usize>),
    /// A line of text.
    Text(String),
}

/// Formats a count of a noun whose plural ends in s: `1 row`, `3 rows`.
pub fn format_count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Joins names for a message, at most the first twenty: `x, w and 7 more`.
pub fn join_names(names: &[impl AsRef<str>]) -> String {
    const MAX_NAMES: usize = 20;
    let shown: Vec<String> = names.iter().take(MAX_NAMES).map(|name| sanitize(name.as_ref())).collect();
    match names.len() {
        0..=MAX_NAMES => shown.join(", "),
        n => format!("{} and {} more", shown.join(", "), n - MAX_NAMES),
    }
}

/// Makes text from input safe to print on one line: escapes control characters and truncates after 200 characters.
pub fn sanitize(text: &str) -> String {
    let mut shown = String::new();
    for (count, letter) in text.chars().enumerate() {
        match letter {
            _ if count == 200 => return shown + "…",
            letter if !is_printable(letter) => shown.extend(letter.escape_default()),
            letter => shown.push(letter),
        }
    }
    shown
}

/// Formats a shape: `(3×2)`, `(3)`, `(scalar)`.
pub fn format_shape(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "(scalar)".to_owned();
    }
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("({})", sides.join("×"))
}

/// Formats an index: `[2,0]`.
pub fn format_index(index: &[usize]) -> String {
    let axes: Vec<String> = index.iter().map(usize::to_string).collect();
    format!("[{}]", axes.join(","))
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $text:literal,)*) => {
        /// Stable codes of all errors and warnings; `--error-format json` prints them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// Returns the code as it is printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => $text,)* }
            }
        }
    };
}

impl Code {
    /// Returns the tip of an error without one of its own.
    pub fn tip(self) -> Option<&'static str> {
        match self {
            Code::EmptyValue => Some("write numbers such as '1,2;3,4', name a file, or use - for standard input"),
            Code::NumberRange => Some("the largest double is 1.8e308; write infinity as \"Infinity\""),
            Code::Rank => Some("reshape it to rows and columns, or select one matrix of it"),
            Code::Damaged => Some("write or copy the file again"),
            Code::JsonSyntax => Some("check the document with `jq .` or `python3 -m json.tool`"),
            Code::JsonDepth => Some("write a matrix with two levels of brackets: [[1, 2], [3, 4]]"),
            Code::DuplicateKey => Some("remove one of them"),
            Code::TargetSum => Some("targets must be at least 0 and sum to 1 in each row"),
            Code::ProbabilitySum => {
                Some("probabilities must be from 0 to 1 and sum to 1 in each row; for logits use softmax-xent")
            }
            Code::NanInput => Some("look for 0/0, inf - inf or the logarithm of a negative number in its computation"),
            Code::Memory => Some("use fewer rows of the input at a time"),
            Code::FileUnreadable => Some("check the permissions of the file"),
            Code::Tape => Some("`nnlayer net --init 2,3,2` prints an example of a network, and `--tape` one of a tape"),
            _ => None,
        }
    }
}

codes! {
    /// Invalid command line.
    Usage = "usage",
    /// A command that does not exist.
    UnknownCommand = "unknown-command",
    /// An option that the command does not have.
    UnknownOption = "unknown-option",
    /// A result or a layer that `--only` names and the command does not have.
    UnknownResult = "unknown-result",
    /// A required operand is missing.
    OperandMissing = "operand-missing",
    /// An operand without a value.
    EmptyValue = "empty-value",
    /// A text that is neither numbers nor a path.
    BadLiteral = "bad-literal",
    /// A number that a double cannot represent.
    NumberRange = "number-range",
    /// Rows of different lengths.
    Ragged = "ragged-rows",
    /// More than two axes, or a rank that the layer does not take.
    Rank = "rank",
    /// Shapes that do not match.
    Shape = "shape-mismatch",
    /// An array that memory has no space for.
    Memory = "out-of-memory",
    /// A file that does not exist.
    FileMissing = "file-missing",
    /// A directory, or a file that cannot be read.
    FileUnreadable = "file-unreadable",
    /// An unrecognised file format.
    FormatUnknown = "format-unknown",
    /// A truncated or damaged file.
    Damaged = "damaged",
    /// Elements that are not real numbers.
    Dtype = "dtype",
    /// Invalid JSON.
    JsonSyntax = "json-syntax",
    /// JSON nested too deeply.
    JsonDepth = "json-depth",
    /// A key that occurs twice in one object.
    DuplicateKey = "duplicate-key",
    /// A null, string, boolean or object in a matrix.
    NotANumber = "not-a-number",
    /// A selected key, pointer or array that does not exist.
    KeyMissing = "key-missing",
    /// A table whose first row consists of words.
    HeaderRow = "header-row",
    /// Two operands that read the same standard input.
    StdinTwice = "stdin-twice",
    /// A class index out of range.
    IndexRange = "index-range",
    /// A class index that is not an integer.
    IndexFraction = "index-fraction",
    /// An axis that the operand does not have, or targets that fit the classes in two axes.
    AxisRange = "axis-range",
    /// A setting out of range, or in conflict with another.
    Setting = "setting",
    /// A mean over no rows.
    EmptyMean = "empty-mean",
    /// A row of logits whose softmax is undefined.
    InfiniteLogits = "infinite-logits",
    /// A result that the output format cannot hold.
    OutFormat = "out-format",
    /// A computation too large for a graph, or empty.
    GraphSize = "graph-size",
    /// A file of results that is also that of an operand.
    ReplacedOperand = "replaced-operand",
    /// Output that could not be written.
    WriteFailed = "write-failed",
    /// A scalar dout where gradients are needed.
    LocalFactors = "local-factors",
    /// Targets that are not a distribution.
    TargetSum = "target-sum",
    /// Probabilities that are not a distribution.
    ProbabilitySum = "probability-sum",
    /// Probabilities where logits are expected.
    SoftmaxTwice = "softmax-twice",
    /// NaN in an operand.
    NanInput = "nan-input",
    /// A tape or network that is damaged, or unsuitable for the command.
    Tape = "tape",
    /// A tape of an unsupported version.
    TapeVersion = "tape-version",
    /// All gradients of a layer were 0 in an epoch of training.
    StoppedLearning = "stopped-learning",
    /// A tape whose saved values differ from those its layers compute.
    TapeStale = "tape-stale",
    /// Results that are not summed.
    LeftOut = "left-out",
    /// Records of a stream that could not be computed.
    BadRecords = "bad-records",
    /// An unknown key that resembles an operand's name.
    UnknownKey = "unknown-key",
    /// A program that does not exist.
    ProgramMissing = "program-missing",
    /// A file that cannot be executed.
    ProgramNotExecutable = "program-not-executable",
    /// A program that exceeded its time limit.
    ProgramTimeout = "program-timeout",
    /// A program that failed, or ended before it replied.
    ProgramCrash = "program-crash",
    /// A program under test that replies to one input in two ways.
    ReplyUnsteady = "reply-unsteady",
    /// A reply that is not JSON.
    ReplyNotJson = "reply-not-json",
    /// A reply without a required key.
    ReplyKeyMissing = "reply-key-missing",
    /// A reply with another number of points than the request.
    ReplyPoints = "reply-points",
    /// A value in a reply that is not an array of numbers.
    ReplyValue = "reply-value",
    /// A reply that exceeds the size limit.
    ReplyTooLong = "reply-too-long",
}
