//! Event data of the classic triggers: a part of an SQL statement.
//!
//! ```text
//! I   (id,"Name") values ('1',null)
//! U   "Name"='it''s',note=E'\\x' where id='1'
//! D   id='1' and b is null
//! ```
//!
//! [`parse`] reads exactly the fragments that triggers write, with any blanks between and one semicolon at the end; any
//! other text is [`Unreadable`], even where it is valid SQL. A fragment that is read means the same to PostgreSQL. `is
//! null` stands in conditions of tables that have no key, where all columns are the key.
//!
//! Fragments of one table mostly differ in their values only. [`parse`] takes a fragment apart once and gives a
//! [`Template`], the text around the values; [`Template::read`] then takes the values out of the next fragments by
//! comparing text, without reading names.

use std::collections::HashSet;

use memchr::memchr;

use super::literal;
use super::reserved::is_reserved;
use super::unreadable::Unreadable;
use super::value_buffer::ValueBuffer;

/// The change that a fragment makes to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `I`
    Insert,
    /// `U`
    Update,
    /// `D`
    Delete,
}

impl Verb {
    /// The event type.
    pub fn letter(self) -> char {
        match self {
            Verb::Insert => 'I',
            Verb::Update => 'U',
            Verb::Delete => 'D',
        }
    }
}

/// The text of a fragment around its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    values: Vec<TemplateValue>,
    /// The text after the last value.
    end: Box<[u8]>,
}

/// A value's place in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TemplateValue {
    /// The text before the value, from the end of the value before.
    text: Box<[u8]>,
    place: Place,
}

/// Which literals are allowed in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A new value of a column: any literal.
    New,
    /// After `=` in a condition: any but null, since `=null` is true for no row.
    Equal,
    /// After `is` in a condition: null only.
    Is,
}

impl Place {
    /// Reads the literal at `at` and returns where it ends.
    fn read(self, data: &[u8], at: usize, values: &mut ValueBuffer) -> Result<usize, Unreadable> {
        let end = literal::read(data, at, values)?;
        let is_null = values.get(values.len() - 1).is_none();
        match self {
            Place::Equal if is_null => Err(Unreadable { at, expected: "a value: no row is found by =null" }),
            Place::Is if !is_null => Err(Unreadable { at, expected: "null" }),
            Place::New | Place::Equal | Place::Is => Ok(end),
        }
    }
}

/// The names in a fragment; its values were added to a [`ValueBuffer`] in the same order, first `columns`, then `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Columns that get a value. Empty in a delete.
    pub columns: Vec<String>,
    /// Columns of the condition. Empty in an insert.
    pub key: Vec<String>,
    /// Reads the next fragments of the same shape.
    pub template: Template,
}

impl Template {
    /// Adds the values of `data` and returns true when it has this shape; otherwise leaves `values` as they were.
    pub fn read(&self, data: &[u8], values: &mut ValueBuffer) -> bool {
        let mark = values.mark();
        let read = self.read_all(data, values) == Some(data.len());
        if !read {
            values.rewind(mark);
        }
        read
    }

    fn read_all(&self, data: &[u8], values: &mut ValueBuffer) -> Option<usize> {
        let mut at = 0;
        for TemplateValue { text, place } in &self.values {
            at = place.read(data, skip(data, at, text)?, values).ok()?;
        }
        skip(data, at, &self.end)
    }
}

fn skip(data: &[u8], at: usize, text: &[u8]) -> Option<usize> {
    data.get(at..)?.starts_with(text).then_some(at + text.len())
}

/// Takes a fragment apart. After an error, `values` are unchanged.
pub fn parse(verb: Verb, data: &[u8], values: &mut ValueBuffer) -> Result<Parsed, Unreadable> {
    let mark = values.mark();
    let mut parser = Parser { data, at: 0, text_from: 0, read: Vec::new(), values };
    let parsed = parser.fragment(verb);
    if parsed.is_err() {
        values.rewind(mark);
    }
    parsed
}

struct Parser<'a> {
    data: &'a [u8],
    at: usize,
    /// Where the text since the last value begins.
    text_from: usize,
    /// The values read, for the template.
    read: Vec<TemplateValue>,
    values: &'a mut ValueBuffer,
}

impl Parser<'_> {
    fn fragment(&mut self, verb: Verb) -> Result<Parsed, Unreadable> {
        let (columns, key) = match verb {
            Verb::Insert => (self.insert()?, Vec::new()),
            Verb::Update => self.update()?,
            Verb::Delete => (Vec::new(), self.condition()?),
        };
        let end = self.end()?;
        Ok(Parsed { columns, key, template: Template { values: std::mem::take(&mut self.read), end } })
    }

    /// `(a, b) values (1, 2)`
    fn insert(&mut self) -> Result<Vec<String>, Unreadable> {
        let mut columns = Columns::default();
        self.expect(b'(', "\"(\" and the columns")?;
        loop {
            self.column(&mut columns)?;
            if !self.accept(b',') {
                break;
            }
        }
        self.expect(b')', "\",\" or \")\"")?;
        self.expect_word("values")?;
        self.expect(b'(', "\"(\" and the values")?;
        for i in 0..columns.list.len() {
            if i > 0 {
                self.expect(b',', "\",\" and a value for each column")?;
            }
            self.value(Place::New)?;
        }
        self.expect(b')', "\")\" after a value for each column")?;
        Ok(columns.list)
    }

    /// `a = 1, b = 2 where ...`
    fn update(&mut self) -> Result<(Vec<String>, Vec<String>), Unreadable> {
        let mut columns = Columns::default();
        loop {
            self.column(&mut columns)?;
            self.expect(b'=', "\"=\"")?;
            self.value(Place::New)?;
            if !self.accept(b',') {
                break;
            }
        }
        self.expect_word("where")?;
        Ok((columns.list, self.condition()?))
    }

    /// `a = 1 and b is null`
    fn condition(&mut self) -> Result<Vec<String>, Unreadable> {
        let mut key = Columns::default();
        loop {
            self.column(&mut key)?;
            if self.accept_word("is") {
                self.value(Place::Is)?;
            } else {
                self.expect(b'=', "\"=\" or \"is null\"")?;
                self.value(Place::Equal)?;
            }
            if !self.accept_word("and") {
                return Ok(key.list);
            }
        }
    }

    fn value(&mut self, place: Place) -> Result<(), Unreadable> {
        self.blanks();
        let end = place.read(self.data, self.at, self.values)?;
        self.read.push(TemplateValue { text: self.data[self.text_from..self.at].into(), place });
        self.at = end;
        self.text_from = end;
        Ok(())
    }

    /// The end of the data. Returns the text after the last value.
    fn end(&mut self) -> Result<Box<[u8]>, Unreadable> {
        self.accept(b';');
        self.blanks();
        if self.at < self.data.len() {
            return Err(self.unreadable("the end"));
        }
        Ok(self.data[self.text_from..].into())
    }

    fn blanks(&mut self) {
        while self.data.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// Goes past the symbol, and blanks before it, if it is there.
    fn accept(&mut self, symbol: u8) -> bool {
        self.blanks();
        let found = self.data.get(self.at) == Some(&symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: u8, expected: &'static str) -> Result<(), Unreadable> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unreadable(expected)) }
    }

    /// Goes past the word, and blanks before it, if it is there.
    fn accept_word(&mut self, word: &str) -> bool {
        self.blanks();
        let found = literal::is_word(self.data, self.at, word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn expect_word(&mut self, word: &'static str) -> Result<(), Unreadable> {
        if self.accept_word(word) { Ok(()) } else { Err(self.unreadable(word)) }
    }

    /// Reads a column's name and adds it.
    fn column(&mut self, columns: &mut Columns) -> Result<(), Unreadable> {
        self.blanks();
        let start = self.at;
        let name = if self.data.get(start) == Some(&b'"') { self.quoted_name()? } else { self.name()? };
        if !columns.names.insert(name.clone()) {
            return Err(Unreadable { at: start, expected: "a column that is not named twice" });
        }
        columns.list.push(name);
        Ok(())
    }

    /// An unquoted name, in lower case. Characters that are not ASCII are refused: how the server folds them depends on
    /// its encoding and locale, and triggers quote such names.
    fn name(&mut self) -> Result<String, Unreadable> {
        let start = self.at;
        let rest = self.data.get(start..).unwrap_or_default();
        let len = rest.iter().position(|byte| !literal::is_name_byte(*byte)).unwrap_or(rest.len());
        let name = std::str::from_utf8(&rest[..len]).ok().filter(|name| name.is_ascii()).map(str::to_ascii_lowercase);
        let is_name = |name: &String| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit() || c == '$');
        let name = name.filter(|name| is_name(name) && !is_reserved(name));
        self.at += len;
        name.ok_or(Unreadable { at: start, expected: "a column's name, with quotes unless it is plain" })
    }

    /// A name in double quotes, where `""` stands for one.
    fn quoted_name(&mut self) -> Result<String, Unreadable> {
        let start = self.at;
        let mut name = Vec::new();
        self.at += 1;
        loop {
            let rest = &self.data[self.at..];
            let Some(len) = memchr(b'"', rest) else {
                return Err(Unreadable { at: self.data.len(), expected: "the quote that ends a name" });
            };
            name.extend_from_slice(&rest[..len]);
            self.at += len + 1;
            if self.data.get(self.at) != Some(&b'"') {
                break;
            }
            name.push(b'"');
            self.at += 1;
        }
        let name = String::from_utf8(name).ok().filter(|name| !name.is_empty());
        name.ok_or(Unreadable { at: start, expected: "a column's name in UTF-8" })
    }

    fn unreadable(&self, expected: &'static str) -> Unreadable {
        Unreadable { at: self.at, expected }
    }
}

/// Names that were read, none of them twice.
#[derive(Default)]
struct Columns {
    list: Vec<String>,
    names: HashSet<String>,
}

#[cfg(test)]
mod tests;
