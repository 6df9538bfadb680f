//! Template of a record, with which records of the same keys and row lengths are read into columns.

use super::input::Input;
use super::lexer::Lexer;
use super::number::number;
use super::records::KeyUse;
use super::short_number::short_number;
use super::tree::{MAX_DEPTH, Parser};
use crate::format::elements::may_be_rounded;
use std::borrow::Cow;

/// Keys of a record, and the lengths of the rows below them.
pub struct RecordTemplate<'a> {
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    /// The key in quotes, as it is written.
    key_text: &'a [u8],
    slot: Option<usize>,
    is_carried: bool,
    /// Length of the row; `None` for a number.
    width: Option<usize>,
}

impl<'a> RecordTemplate<'a> {
    /// Returns the template of a record, if the values that are used are numbers and rows of numbers and its keys have no
    /// escapes. `key_use` returns the use of each key.
    pub fn new(text: &'a [u8], key_use: impl Fn(&str) -> KeyUse) -> Option<RecordTemplate<'a>> {
        let (mut lexer, mut fields) = (Lexer::new(text, 0), Vec::new());
        lexer.eat(b'{')?;
        loop {
            lexer.peek();
            let begin = lexer.offset;
            let Ok(Cow::Borrowed(key)) = lexer.string() else { return None };
            let key_text = &text[begin..lexer.offset];
            lexer.eat(b':')?;
            let KeyUse { slot, is_carried, is_in_other_case } = key_use(key);
            if is_in_other_case {
                return None;
            }
            let mut width = None;
            match slot {
                None => skip_value(&mut lexer)?,
                Some(_) if lexer.eat(b'[').is_some() => width = Some(row_length(&mut lexer)?),
                Some(_) => drop(read_number(&mut lexer)?),
            }
            fields.push(Field { key_text, slot, is_carried, width });
            if lexer.eat(b',').is_none() {
                break;
            }
        }
        lexer.eat(b'}')?;
        Some(RecordTemplate { fields })
    }

    /// Returns the slots that are filled, each with the length of its row, or `None` for a number.
    pub fn slots(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        self.fields.iter().filter_map(|field| Some((field.slot?, field.width)))
    }

    /// Returns the carried keys, in quotes, as they are written.
    pub fn carried(&self) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(|field| field.is_carried).map(|field| field.key_text)
    }

    /// Appends the numbers of a record to the columns of their slots, and the texts of its carried values to `carried`.
    /// Returns `None`, after an unknown part of it, if the record does not fit the template.
    pub fn read<'b>(&self, text: &'b [u8], columns: &mut [Vec<f64>], carried: &mut Vec<&'b [u8]>) -> Option<()> {
        let mut lexer = Lexer::new(text, 0);
        let mut separator = b'{';
        for field in &self.fields {
            lexer.eat(std::mem::replace(&mut separator, b','))?;
            lexer.peek();
            lexer.eat_bytes(field.key_text)?;
            lexer.eat(b':')?;
            lexer.peek();
            let begin = lexer.offset;
            match (field.slot, field.width) {
                (None, _) => skip_value(&mut lexer)?,
                (Some(slot), None) => columns.get_mut(slot)?.push(read_number(&mut lexer)?),
                (Some(slot), Some(width)) => {
                    let column = columns.get_mut(slot)?;
                    let length = column.len();
                    column.resize(length + width, 0.0);
                    lexer.eat(b'[')?;
                    read_row(&mut lexer, &mut column[length..])?;
                }
            }
            if field.is_carried {
                carried.push(&text[begin..lexer.offset]);
            }
        }
        lexer.eat(b'}')?;
        lexer.peek().is_none().then_some(())
    }
}

/// Reads a number. One that is not finite, or so large that a warning may be due, does not fit a template.
#[inline(always)]
fn read_number(lexer: &mut Lexer<'_>) -> Option<f64> {
    lexer.peek();
    let (value, length) = number(lexer.rest())?;
    lexer.offset += length;
    (!may_be_rounded(value)).then_some(value)
}

/// Reads a row to its closing bracket, and returns its length.
fn row_length(lexer: &mut Lexer<'_>) -> Option<usize> {
    let mut length = 1;
    read_number(lexer)?;
    while lexer.eat(b',').is_some() {
        read_number(lexer)?;
        length += 1;
    }
    lexer.eat(b']').map(|()| length)
}

/// Reads a row of a known length to its closing bracket.
fn read_row(lexer: &mut Lexer<'_>, row: &mut [f64]) -> Option<()> {
    let (last, others) = row.split_last_mut()?;
    // Short numbers are tried as long as the numbers before were short.
    let mut is_short = true;
    for number in others {
        *number = read_number_and::<b','>(lexer, &mut is_short)?;
    }
    *last = read_number_and::<b']'>(lexer, &mut is_short)?;
    Some(())
}

/// Reads a number and the byte `AFTER` it.
#[inline(always)]
fn read_number_and<const AFTER: u8>(lexer: &mut Lexer<'_>, is_short: &mut bool) -> Option<f64> {
    lexer.peek();
    if let Some((number, length)) = is_short.then(|| short_number::<AFTER>(lexer.rest())).flatten() {
        lexer.offset += length;
        return Some(number);
    }
    let begin = lexer.offset;
    let number = read_number(lexer)?;
    *is_short = lexer.offset - begin < 8;
    lexer.eat(AFTER)?;
    Some(number)
}

/// Reads a value of valid JSON. Numbers and strings, as most carried values are, need no parser.
#[inline]
fn skip_value(lexer: &mut Lexer<'_>) -> Option<()> {
    match lexer.peek()? {
        b'-' | b'0'..=b'9' => lexer.number().ok().map(drop),
        b'"' => lexer.string().ok().map(drop),
        _ => skip_any_value(lexer),
    }
}

fn skip_any_value(lexer: &mut Lexer<'_>) -> Option<()> {
    let mut parser = Parser::new(Input::from_bytes(lexer.text));
    parser.input.advance(lexer.offset);
    parser.value::<()>(MAX_DEPTH - 1).ok()?;
    lexer.offset = parser.input.offset();
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json::records::tests::key_use;

    #[test]
    fn a_record_that_fits_is_appended() {
        let template = RecordTemplate::new(b"{\"id\":1,\"x\":[1,2],\"t\":0,\"y\":[3]}", key_use).unwrap();
        assert_eq!(template.slots().collect::<Vec<_>>(), [(0, Some(2)), (1, None)]);
        assert_eq!(template.carried().collect::<Vec<_>>(), [&b"\"id\""[..], b"\"t\""]);
        let (mut columns, mut carried) = (vec![vec![0.5], vec![]], Vec::new());
        template
            .read(b" { \"id\" : \"a\" , \"x\":[ 3 ,-4e1 ] ,\"t\": 1.0 ,\"y\":null } \r", &mut columns, &mut carried)
            .unwrap();
        assert_eq!(columns, [vec![0.5, 3.0, -40.0], vec![1.0]]);
        assert_eq!(carried, [&b"\"a\""[..], b"1.0"]);
    }

    #[test]
    fn a_record_that_does_not_fit_is_not_read() {
        let template = RecordTemplate::new(b"{\"x\":[1,2],\"t\":0}", key_use).unwrap();
        for text in [
            "{\"x\":[1],\"t\":0}",
            "{\"x\":[1,2,3],\"t\":0}",
            "{\"x\":[[1,2]],\"t\":0}",
            "{\"x\":1,\"t\":0}",
            "{\"x\":[1,2],\"t\":[0]}",
            "{\"x\":[1,2],\"t\":\"0\"}",
            "{\"x\":[1,\"NaN\"],\"t\":0}",
            "{\"t\":0,\"x\":[1,2]}",
            "{\"x\":[1,2]}",
            "{\"x\":[1,2],\"t\":0,\"a\":1}",
            "{\"x\":[1,2],\"t\":0,}",
            "{\"x\":[1,2],\"t\":0} 1",
            "{\"x\":[1,2],\"t\":0",
            "{\"x\":[1,2],,\"t\":0}",
            "[1,2]",
            "",
        ] {
            assert!(template.read(text.as_bytes(), &mut [vec![], vec![]], &mut Vec::new()).is_none(), "{text}");
        }
    }

    #[test]
    fn records_of_other_values_have_no_template() {
        for text in
            ["[1]", "{}", "{\"x\":[]}", "{\"x\":[[1]]}", "{\"x\":\"1\"}", "{\"x\":null}", "{\"\\u0078\":1}", "{\"x\":1"]
        {
            assert!(RecordTemplate::new(text.as_bytes(), key_use).is_none(), "{text}");
        }
    }
}
