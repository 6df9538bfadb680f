//! Arrays as programs print them: `[[1. 2.]\n [3. 4.]]` of NumPy, `[1 2; 3 4]` of MATLAB, and `tensor([1., 2.], device='cpu')`.

use super::json::JsonNumber;
use crate::core::error::{Code, Error, format_count, sanitize};
use crate::core::size::{check_empty_axes, check_rank};
use ndarray::{ArrayD, IxDyn};

/// Functions that arrays are printed with.
const CALLS: [&str; 12] = [
    "array",
    "np.array",
    "numpy.array",
    "tensor",
    "torch.tensor",
    "torch.Tensor",
    "jnp.array",
    "jax.numpy.array",
    "Array",
    "jax.Array",
    "tf.Tensor",
    "matrix",
];

/// Arguments that do not change the numbers.
const ARGUMENTS: [&str; 8] = ["dtype", "device", "requires_grad", "grad_fn", "shape", "size", "layout", "weak_type"];

/// Returns true if a text begins with a function that arrays are printed with.
pub fn is_call(text: &str) -> bool {
    call(text).is_some()
}

/// Parses a printed array; `None` if the text is something else.
///
/// ```
/// use nnlayer::format::printed;
/// let parse = printed::parse::<f64>;
/// assert_eq!(parse("[[1. 2.]\n [3. 4.]]").unwrap().unwrap().shape(), [2, 2]);
/// assert_eq!(parse("[1 2; 3 4]").unwrap().unwrap().shape(), [2, 2]);
/// assert_eq!(parse("tensor([[1., 2.]], dtype=torch.float64)").unwrap().unwrap().shape(), [1, 2]);
/// assert!(parse("[0. 1. ... 9.]").is_err());
/// assert_eq!(parse("[1, 2"), Ok(None));
/// ```
pub fn parse<T: JsonNumber>(text: &str) -> Result<Option<ArrayD<T>>, Error> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let Some(inside) = call(text) else { return Numbers::parse(text, true) };
    match parse_call(inside)? {
        Some(array) => Ok(Some(array)),
        None => Err(other_form("does not have the form in which NumPy, PyTorch and JAX print arrays of numbers")),
    }
}

/// Parses the text after the bracket of a function.
fn parse_call<T: JsonNumber>(inside: &str) -> Result<Option<ArrayD<T>>, Error> {
    let Some(inside) = inside.trim_end().strip_suffix(')') else { return Ok(None) };
    let (value, arguments) = split_value(inside.trim());
    if !are_ignored(arguments) {
        return Ok(None);
    }
    match (Numbers::parse(value, false)?, shape_argument(arguments)) {
        // Brackets cannot tell the shape of an array without numbers.
        (Some(array), Some(shape)) if array.is_empty() && shape.contains(&0) => {
            check_rank(&shape)?;
            check_empty_axes(&shape)?;
            Ok(ArrayD::from_shape_vec(IxDyn(&shape), Vec::new()).ok())
        }
        (array, _) => Ok(array),
    }
}

/// Returns the sizes in `shape=(0, 3)` or `size=(0, 3)`.
fn shape_argument(arguments: &str) -> Option<Vec<usize>> {
    let (_, shape) = arguments.split_once("shape=(").or_else(|| arguments.split_once("size=("))?;
    let sides = shape.split_once(')')?.0.split(',').map(str::trim);
    sides.filter(|side| !side.is_empty()).map(|side| side.parse().ok()).collect()
}

/// Refuses a number with a leading zero, which suggests a thousands separator, and one that overflows.
pub fn check_number(cell: &str) -> Result<(), Error> {
    let digits = cell.trim_start_matches(['+', '-']);
    if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
        return Err(Error::new(Code::BadLiteral, format!("the number {cell} has a leading zero"))
            .tip("write 1000 for 1,000, because a comma separates columns, and 7 for 007"));
    }
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && cell.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Err(Error::new(Code::NumberRange, format!("{cell} is too large for a double"))
            .tip("the largest double is 1.8e308; write inf or -inf for infinity"));
    }
    Ok(())
}

/// Returns the text after the bracket of a function.
fn call(text: &str) -> Option<&str> {
    let (name, inside) = text.trim_start().split_once('(')?;
    CALLS.contains(&name).then_some(inside)
}

/// Splits the arguments of a function into the array and the others.
fn split_value(text: &str) -> (&str, &str) {
    let end = match text.rfind(']') {
        Some(bracket) => bracket + 1,
        None => text.find(',').unwrap_or(text.len()),
    };
    // A type or shape may have brackets of its own, after the array.
    let end = text[..end].find('=').and_then(|at| text[..at].rfind(',')).unwrap_or(end);
    (text[..end].trim(), &text[end..])
}

/// Returns true for `, dtype=float32, device='cuda:0'`.
fn are_ignored(arguments: &str) -> bool {
    let mut depth = 0;
    let pieces = arguments.split(|c: char| {
        depth += i32::from("([<".contains(c)) - i32::from(")]>".contains(c));
        c == ',' && depth == 0
    });
    let mut pieces = pieces.map(str::trim);
    pieces.next().is_some_and(str::is_empty)
        && pieces.all(|piece| {
            piece.is_empty() || piece.split_once('=').is_some_and(|(name, _)| ARGUMENTS.contains(&name.trim()))
        })
}

/// The numbers of nested brackets, read so far.
#[derive(Default)]
struct Numbers<T> {
    values: Vec<T>,
    /// Numbers of elements of the brackets that are open.
    counts: Vec<usize>,
    /// Sizes of the axes that are known.
    sizes: Vec<Option<usize>>,
    /// Number of brackets around the numbers.
    rank: Option<usize>,
    /// Lengths of the rows of one bracket: a semicolon or the end of a line ends each.
    rows: Vec<usize>,
    /// Number of values in complete rows.
    values_in_rows: usize,
    has_semicolons: bool,
    has_commas: bool,
    /// True if a line ends or begins with a comma, so that its end separates nothing.
    has_wrapped_commas: bool,
}

/// A part of a printed array.
#[derive(Clone, Copy, PartialEq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Semicolon,
    Word(&'a str),
}

/// Returns the tokens of a text, each with true if it is the first of its line; blanks separate them.
fn tokens(text: &str) -> impl Iterator<Item = (Token<'_>, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let at_token = rest.trim_start();
        let begins_line = rest[..rest.len() - at_token.len()].contains('\n');
        rest = at_token;
        let first = rest.chars().next()?;
        let sign = match first {
            '[' => Some(Token::Open),
            ']' => Some(Token::Close),
            ',' => Some(Token::Comma),
            ';' => Some(Token::Semicolon),
            _ => None,
        };
        let is_end = |c: char| c.is_whitespace() || "[],;".contains(c);
        let end = if sign.is_some() { 1 } else { rest.find(is_end).unwrap_or(rest.len()) };
        let (token, after) = rest.split_at(end);
        rest = after;
        Some((sign.unwrap_or(Token::Word(token)), begins_line))
    })
}

impl<T: JsonNumber> Numbers<T> {
    /// Parses nested brackets. `is_matlab` is true where the end of a line may separate rows, as in MATLAB.
    fn parse(text: &str, is_matlab: bool) -> Result<Option<ArrayD<T>>, Error> {
        let (mut numbers, mut last, mut is_elided) = (Numbers::default(), Token::Open, false);
        for (n, (token, begins_line)) in tokens(text).enumerate() {
            let is_separator = |token| matches!(token, Token::Comma | Token::Semicolon | Token::Open);
            // A value may stand alone, and nothing follows the last bracket.
            let is_inside = n == 0 || !numbers.counts.is_empty();
            let fits = match token {
                Token::Open => true,
                Token::Close => last != Token::Comma && !numbers.counts.is_empty(),
                Token::Comma | Token::Semicolon => n > 0 && !is_separator(last),
                Token::Word("..." | "…") => {
                    is_elided = true;
                    true
                }
                Token::Word(word) => word.parse::<f64>().is_ok(),
            };
            if !is_inside || !fits {
                return word_error(token).map_or(Ok(None), Err);
            }
            if begins_line && is_matlab && !is_elided {
                numbers.end_line(last, token);
            }
            if !is_elided {
                numbers.take(token)?;
            }
            last = token;
        }
        if is_elided {
            return Err(Error::new(
                Code::BadLiteral,
                "the printed array is shortened: `...` stands for numbers that are missing",
            )
            .tip(
                "print all of it, as after numpy.set_printoptions(threshold=sys.maxsize) or \
                 torch.set_printoptions(profile='full'), or write it with numpy.save",
            ));
        }
        if !numbers.counts.is_empty() {
            // JSON has commas, and its own error of a missing bracket.
            let is_printed = !numbers.has_commas && numbers.values.len() > 1;
            return if is_printed { Err(other_form("ends before its last bracket")) } else { Ok(None) };
        }
        if numbers.keeps_rows(text)? {
            numbers.end_row();
        } else {
            numbers.rows.clear();
        }
        numbers.into_array()
    }

    /// Takes the end of a line between two tokens.
    fn end_line(&mut self, last: Token<'_>, next: Token<'_>) {
        match (last, next) {
            (Token::Comma, _) | (_, Token::Comma) => self.has_wrapped_commas = true,
            (Token::Word(_), Token::Word(_)) if self.counts.len() == 1 => self.end_row(),
            _ => {}
        }
    }

    /// Ends a row of MATLAB's, unless it is empty.
    fn end_row(&mut self) {
        let count = self.values.len() - self.values_in_rows;
        self.rows.extend(Some(count).filter(|count| *count > 0));
        self.values_in_rows = self.values.len();
    }

    /// Returns true if the rows are those of a matrix, and false if they are lines of a vector that NumPy wrapped.
    fn keeps_rows(&self, text: &str) -> Result<bool, Error> {
        /// NumPy wraps at 75 columns, so that a line is at least this long, as a number has fewer than 26 characters.
        const MIN_WRAPPED: usize = 48;
        if self.rows.is_empty() || self.has_semicolons {
            return Ok(self.has_semicolons);
        }
        if self.has_commas {
            // NumPy and JSON have a comma after each number, also at the end of a line.
            return Ok(!self.has_wrapped_commas);
        }
        let last = self.values.len() - self.values_in_rows;
        if self.rows.iter().any(|row| *row != last) {
            return Ok(false);
        }
        let lines = text.lines().map(str::trim_end).filter(|line| !line.trim_matches(['[', ']', ' ']).is_empty());
        if lines.take(self.rows.len()).any(|line| line.len() < MIN_WRAPPED) {
            return Ok(true);
        }
        let message = "has lines of equal length, which are rows in MATLAB and one vector where NumPy wrapped it";
        Err(Error::new(Code::BadLiteral, message).tip(
            "end each row with a semicolon, [1 2; 3 4], or separate the numbers of a vector by commas, [1, 2, 3, 4]",
        ))
    }

    fn take(&mut self, token: Token<'_>) -> Result<(), Error> {
        let depth = self.counts.len();
        match token {
            Token::Open => {
                self.sizes.resize((depth + 1).max(self.sizes.len()), None);
                check_rank(&vec![1; depth + 1])?;
                self.counts.push(0);
                if self.rank.is_some_and(|rank| depth >= rank) {
                    return Err(ragged("an array stands where other rows have a number".to_owned()));
                }
            }
            Token::Word(word) => {
                check_number(word)?;
                if *self.rank.get_or_insert(depth) != depth {
                    return Err(ragged("a number stands where other rows have an array".to_owned()));
                }
                self.values.push(T::from_token(word.as_bytes(), word.parse().unwrap_or(f64::NAN)));
                self.count();
            }
            Token::Semicolon if depth == 1 && self.rank == Some(1) => {
                self.has_semicolons = true;
                self.end_row();
            }
            Token::Semicolon => return Err(ragged("a semicolon separates rows of numbers only".to_owned())),
            Token::Close => self.close()?,
            Token::Comma => self.has_commas = true,
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let count = self.counts.pop().unwrap_or_default();
        let depth = self.counts.len();
        self.rank.get_or_insert(depth + 1);
        if let Some(size) = self.sizes[depth].filter(|size| *size != count) {
            let (count, first) = (format_count(count, "element"), self.counts.last().copied().unwrap_or_default());
            return Err(ragged(format!("row {first} has {count}, but row 0 has {size}")));
        }
        self.sizes[depth] = Some(count);
        self.count();
        Ok(())
    }

    /// Counts an element of the bracket that is open.
    fn count(&mut self) {
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
    }

    fn into_array(self) -> Result<Option<ArrayD<T>>, Error> {
        let shape: Vec<usize> = match self.rows.first() {
            Some(&columns) => {
                if let Some((n, row)) = self.rows.iter().enumerate().find(|(_, row)| **row != columns) {
                    return Err(ragged(format!(
                        "row {n} has {}, but row 0 has {columns}",
                        format_count(*row, "element")
                    )));
                }
                vec![self.rows.len(), columns]
            }
            None => {
                self.sizes.iter().take(self.rank.unwrap_or_default()).map(|size| size.unwrap_or_default()).collect()
            }
        };
        check_rank(&shape)?;
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), self.values).ok())
    }
}

/// Returns the error of a printed value that is not a number.
fn word_error(token: Token<'_>) -> Option<Error> {
    let Token::Word(word) = token else { return None };
    let (noun, tip) = match word {
        "True" | "False" => ("a truth value", "write 1 for True and 0 for False"),
        "--" => ("a masked value", "write a number or nan in its place"),
        _ if is_complex(word) => ("a complex number", "write the real and the imaginary parts as two arrays"),
        _ => return None,
    };
    Some(Error::new(Code::BadLiteral, format!("{} is {noun}, not a number", sanitize(word))).tip(tip))
}

/// Returns true for `1.+2.j`.
fn is_complex(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || "+-.einfa".contains(c);
    word.strip_suffix('j').is_some_and(|word| word.contains(|c: char| c.is_ascii_digit()) && word.chars().all(is_part))
}

fn other_form(message: &str) -> Error {
    let tip = "print all of the array in Python as JSON, print(x.tolist()), or write it with numpy.save";
    Error::new(Code::BadLiteral, message).tip(tip)
}

fn ragged(message: String) -> Error {
    Error::new(Code::Ragged, message).tip("give every row the same number of elements")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printed_arrays_of_every_rank_are_read() {
        // As NumPy 2.4, PyTorch 2.9, JAX 0.10 and MATLAB print them.
        for (text, shape, sum) in [
            ("[1. 2. 3.]", &[3][..], 6.0),
            ("[[ 1.  2.]\n [ 3. -4.]]", &[2, 2], 2.0),
            ("[[[1. 2.]\n  [3. 4.]]\n\n [[5. 6.]\n  [7. 8.]]]", &[2, 2, 2], 36.0),
            ("[1 2; 3 4]", &[2, 2], 10.0),
            ("[1, 2; 3, 4;]", &[2, 2], 10.0),
            ("[1 2;]", &[1, 2], 3.0),
            // Lines of MATLAB's are rows.
            ("[1 2\n 3 4]", &[2, 2], 10.0),
            ("[\n1 2\r\n3 4\n5 6\n]", &[3, 2], 21.0),
            ("[1, 2\n3, 4]", &[2, 2], 10.0),
            ("[1 2; 3 4\n 5 6]", &[3, 2], 21.0),
            ("[1 2;\n 3 4;\n]", &[2, 2], 10.0),
            ("[1\n2\n3]", &[3, 1], 6.0),
            // NumPy wraps a vector.
            ("[0.1 0.2 0.3\n 0.4 0.5]", &[5], 1.5),
            ("[1, 2,\n 3 4]", &[4], 10.0),
            ("array([1, 2,\n       3, 4])", &[4], 10.0),
            ("tf.Tensor([1. 2.\n 3. 4.], shape=(4,), dtype=float32)", &[4], 10.0),
            ("[[1. 2.\n  3. 4.]]", &[1, 4], 10.0),
            ("[1 -2]", &[2], -1.0),
            ("[1;2]", &[2, 1], 3.0),
            ("[]", &[0], 0.0),
            ("[[] []]", &[2, 0], 0.0),
            ("array([[1., 2.],\n       [3., 4.]], dtype=float32)", &[2, 2], 10.0),
            ("np.array([1, 2])", &[2], 3.0),
            ("array(2.5)", &[], 2.5),
            ("tensor(7.)", &[], 7.0),
            ("tensor([[1.0000e+00, 2.0000e+00]], device='cuda:0', requires_grad=True)", &[1, 2], 3.0),
            ("tensor([1., 2.], grad_fn=<AddmmBackward0>)", &[2], 3.0),
            ("Array([[1., 2.]], dtype=float32, weak_type=True)", &[1, 2], 3.0),
            ("tf.Tensor([[1. 2.]], shape=(1, 2), dtype=float32)", &[1, 2], 3.0),
            ("tensor([], size=(0,), dtype=torch.float64)", &[0], 0.0),
            ("array([], shape=(0, 3), dtype=float64)", &[0, 3], 0.0),
            ("[1.e+10 1.e-10]", &[2], 1e10 + 1e-10),
        ] {
            let found = parse::<f64>(text).unwrap().unwrap_or_else(|| panic!("{text}"));
            assert_eq!((found.shape(), found.sum()), (shape, sum), "{text}");
        }
    }

    #[test]
    fn other_texts_are_not_printed_arrays() {
        for text in ["[1, 2", "[1,,2]", "[1,2,]", "[,1]", "[1]2", "1 2", "[1 - 2]", "[a]", "[1+2i]", "f([1])", ""] {
            assert_eq!(parse::<f64>(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn shortened_and_ragged_arrays_are_errors() {
        for (text, code) in [
            ("[0. 1. ... 8. 9.]", Code::BadLiteral),
            ("[[0. ... 1.]\n ...\n [8. ... 9.]]", Code::BadLiteral),
            ("tensor([0., 1.,  ..., 9.])", Code::BadLiteral),
            ("[1 2; 3]", Code::Ragged),
            ("[1, 2\n 3]", Code::Ragged),
            ("[[1 2] [3]]", Code::Ragged),
            ("[[1 2] 3]", Code::Ragged),
            ("[1 [2]]", Code::Ragged),
            ("[[1 2]; [3 4]]", Code::Ragged),
            ("[[1. 2.]\n [3. 4.]", Code::BadLiteral),
            ("array([1]", Code::BadLiteral),
            ("array([1], f=2)", Code::BadLiteral),
            ("array(x)", Code::BadLiteral),
            ("array(['a'], dtype='<U1')", Code::BadLiteral),
            ("[ True False]", Code::BadLiteral),
            ("[-- 2.0]", Code::BadLiteral),
            ("array([1.+2.j, 2.e+00-infj])", Code::BadLiteral),
            ("[1 1e400]", Code::NumberRange),
            ("[1 007]", Code::BadLiteral),
            ("[[[[[[[[[1. ]]]]]]]]]", Code::Rank),
        ] {
            assert_eq!(parse::<f64>(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn long_lines_of_equal_length_are_rows_or_a_vector() {
        let line = ["0.25"; 12].join(" ");
        let error = parse::<f64>(&format!("[{line}\n {line}]")).unwrap_err();
        assert_eq!(error.code, Code::BadLiteral);
        for (text, shape) in [
            (format!("[{line};\n {line}]"), &[2, 12][..]),
            (format!("[{line}\n {line}\n 1]"), &[25]),
            (format!("[{}\n {line}]", line.replace(' ', ", ")), &[2, 12]),
            (format!("[[{line}\n {line}]]"), &[1, 24]),
        ] {
            assert_eq!(parse::<f64>(&text).unwrap().unwrap().shape(), shape, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in r"(array\(|tensor\()?[\[\]();, 0-9.e=a-]{0,30}\)?") {
            let _ = parse::<f64>(&text);
        }
    }
}
