//! Records that are like one before them: the same keys in the same order, with as many numbers under each that is wanted.

use super::Use;
use super::fast_record::Scan;

/// How an ordinary record is built.
pub struct Form<'a> {
    fields: Vec<Field<'a>>,
}

/// A key with what stands under it.
struct Field<'a> {
    /// The key as it is written, in quotes.
    key_text: &'a [u8],
    place: Option<usize>,
    carry: bool,
    /// The length of a row; nothing for a number.
    width: Option<usize>,
}

impl<'a> Form<'a> {
    /// The form of a record whose wanted values are numbers and rows of them; `what` says what becomes of each key.
    pub fn of(text: &'a [u8], what: impl Fn(&str) -> Use) -> Option<Form<'a>> {
        let (mut scan, mut fields) = (Scan::new(text), Vec::new());
        scan.sign(b'{')?;
        loop {
            let begin = scan.begin();
            let key = scan.string()?;
            let key_text = text.get(begin..scan.at())?;
            scan.sign(b':')?;
            let Use { take: place, carry } = what(key);
            let mut width = None;
            match place {
                None => scan.skip()?,
                Some(_) if scan.sign(b'[').is_some() => {
                    let mut count = 0;
                    scan.row(|_| count += 1)?;
                    width = Some(count);
                }
                Some(_) => drop(scan.number()?),
            }
            fields.push(Field { key_text, place, carry, width });
            if scan.sign(b',').is_none() {
                break;
            }
        }
        scan.sign(b'}')?;
        Some(Form { fields })
    }

    /// The keys that are read, each with its place and the length of its row, nothing for a number.
    pub fn taken(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        self.fields.iter().filter_map(|field| Some((field.place?, field.width)))
    }

    /// The keys that go on, as they are written.
    pub fn carried(&self) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(|field| field.carry).map(|field| field.key_text)
    }

    /// Reads a record of this form: its numbers go behind those in the columns of their places, the texts that go on behind
    /// those in `carried`. Nothing, and an unknown part of it read, where it has another form.
    pub fn read<'b>(&self, text: &'b [u8], columns: &mut [Vec<f64>], carried: &mut Vec<&'b [u8]>) -> Option<()> {
        let mut scan = Scan::new(text);
        let mut mark = b'{';
        for field in &self.fields {
            scan.sign(std::mem::replace(&mut mark, b','))?;
            scan.begin();
            scan.word(field.key_text)?;
            scan.sign(b':')?;
            let begin = scan.begin();
            match (field.place, field.width) {
                (None, _) => scan.skip()?,
                (Some(place), None) => columns.get_mut(place)?.push(scan.number()?),
                (Some(place), Some(width)) => {
                    let column = columns.get_mut(place)?;
                    let before = column.len();
                    column.resize(before + width, 0.0);
                    scan.sign(b'[')?;
                    scan.fill(&mut column[before..])?;
                }
            }
            if field.carry {
                carried.push(text.get(begin..scan.at())?);
            }
        }
        scan.sign(b'}')?;
        (scan.begin() == text.len()).then_some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn what(key: &str) -> Use {
        match key {
            "x" => Use { take: Some(0), carry: false },
            "t" => Use { take: Some(1), carry: true },
            "y" => Use::default(),
            _ => Use { take: None, carry: true },
        }
    }

    #[test]
    fn a_record_of_the_same_form_is_read_behind_the_others() {
        let form = Form::of(b"{\"id\":1,\"x\":[1,2],\"t\":0,\"y\":[3]}", what).unwrap();
        assert_eq!(form.taken().collect::<Vec<_>>(), [(0, Some(2)), (1, None)]);
        assert_eq!(form.carried().collect::<Vec<_>>(), [&b"\"id\""[..], b"\"t\""]);
        let (mut columns, mut carried) = (vec![vec![0.5], vec![]], Vec::new());
        form.read(b" { \"id\" : \"a\" , \"x\":[ 3 ,-4e1 ] ,\"t\": 1.0 ,\"y\":null } \r", &mut columns, &mut carried)
            .unwrap();
        assert_eq!(columns, [vec![0.5, 3.0, -40.0], vec![1.0]]);
        assert_eq!(carried, [&b"\"a\""[..], b"1.0"]);
    }

    #[test]
    fn a_record_of_another_form_is_not() {
        let form = Form::of(b"{\"x\":[1,2],\"t\":0}", what).unwrap();
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
            assert!(form.read(text.as_bytes(), &mut [vec![], vec![]], &mut Vec::new()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_ordinary_record_has_no_form() {
        for text in
            ["[1]", "{}", "{\"x\":[]}", "{\"x\":[[1]]}", "{\"x\":\"1\"}", "{\"x\":null}", "{\"\\u0078\":1}", "{\"x\":1"]
        {
            assert!(Form::of(text.as_bytes(), what).is_none(), "{text}");
        }
    }
}
