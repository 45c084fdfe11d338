//! The values of columns, taken out of event data and kept in one buffer.
//!
//! A batch may have millions of values. Each is a range of one byte buffer, so that a value costs no allocation. Big values
//! stay in the message that they came in, because copying them costs most.

use bytes::Bytes;

/// From this size on, in bytes, a value is not copied out of the event that has it.
pub const BIG: usize = 1024 * 1024;

/// A value of a [`ValueBuffer`]: a range of its bytes, a big value, or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueCell {
    start: u32,
    len: u32,
}

/// [`ValueCell::len`] of null.
const NULL: u32 = u32::MAX;
/// [`ValueCell::len`] of a big value; its `start` is an index of [`ValueBuffer::lent`].
const LENT: u32 = u32::MAX - 1;

/// Values of columns, addressed by the order in which they were added.
///
/// Positions and lengths have 32 bits: a chunk ends long before its values take 4 GB (one event has at most 1 GB).
#[derive(Debug, Default)]
pub struct ValueBuffer {
    bytes: Vec<u8>,
    cells: Vec<ValueCell>,
    /// Big values.
    lent: Vec<Bytes>,
    lent_size: usize,
    /// The message of the event whose values are being added, when it has big values.
    lender: Option<Bytes>,
}

/// The names of the columns of values, in the order of the values, as one text, so that two lists are quickly compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameList {
    /// Each name is followed by a zero byte. The readers of event data refuse names that have a zero byte.
    text: Vec<u8>,
}

impl NameList {
    /// Forgets all names.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
    }

    /// Adds a piece of a name.
    pub(crate) fn piece(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Ends a name.
    pub(crate) fn close(&mut self) {
        self.text.push(0);
    }

    /// The names; `None` when one is not UTF-8.
    pub(crate) fn to_list(&self) -> Option<Vec<String>> {
        let names = self.text.strip_suffix(&[0]).map(|text| text.split(|byte| *byte == 0));
        names.into_iter().flatten().map(|name| String::from_utf8(name.to_vec()).ok()).collect()
    }
}

/// A state of a [`ValueBuffer`], to which [`ValueBuffer::rewind`] returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    cells: usize,
    lent: usize,
}

impl ValueBuffer {
    /// How many values there are, which is also the index of the next one.
    #[expect(clippy::cast_possible_truncation, reason = "see the type's comment")]
    pub fn len(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many bytes of memory the values take, including the big ones.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.lent_size + self.cells.len() * size_of::<ValueCell>()
    }

    /// Removes all values. Keeps up to `keep` bytes of memory each for values and for their places.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.cells.clear();
        self.lent.clear();
        self.lent_size = 0;
        self.bytes.shrink_to(keep);
        self.cells.shrink_to(keep / size_of::<ValueCell>());
    }

    /// The present state, for [`ValueBuffer::rewind`].
    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), cells: self.cells.len(), lent: self.lent.len() }
    }

    /// Removes what was added since `mark`.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.cells.truncate(mark.cells);
        self.lent_size -= self.lent.drain(mark.lent..).map(|value| value.len()).sum::<usize>();
    }

    /// From now on, values of [`BIG`] bytes or more are not copied but are parts of `lender`, which stays in memory
    /// with them. All such values given to [`ValueBuffer::push`] must be bytes of `lender`. `None` ends this.
    pub(crate) fn lend_from(&mut self, lender: Option<Bytes>) {
        self.lender = lender;
    }

    /// The value at `index`; `None` is null.
    pub fn get(&self, index: u32) -> Option<&[u8]> {
        let ValueCell { start, len } = self.cells[index as usize];
        match len {
            NULL => None,
            LENT => Some(&self.lent[start as usize]),
            _ => Some(&self.bytes[start as usize..start as usize + len as usize]),
        }
    }

    /// The value at `index` as it is stored.
    pub(crate) fn cell(&self, index: u32) -> ValueCell {
        self.cells[index as usize]
    }

    /// Puts a stored value at `index`.
    pub(crate) fn set_cell(&mut self, index: u32, value: ValueCell) {
        self.cells[index as usize] = value;
    }

    /// Removes the values from `index` on. Their bytes stay in memory, since other values may share them.
    pub(crate) fn truncate(&mut self, index: u32) {
        self.cells.truncate(index as usize);
    }

    /// Adds a stored value once more.
    pub(crate) fn push_cell(&mut self, value: ValueCell) {
        self.cells.push(value);
    }

    /// Adds null.
    pub(crate) fn push_null(&mut self) {
        self.cells.push(ValueCell { start: 0, len: NULL });
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.len() >= BIG
            && let Some(lender) = &self.lender
        {
            let value = lender.slice_ref(bytes);
            return self.lend(value);
        }
        let start = self.open();
        self.bytes.extend_from_slice(bytes);
        self.close(start);
    }

    #[expect(clippy::cast_possible_truncation, reason = "see the type's comment")]
    fn lend(&mut self, value: Bytes) {
        self.cells.push(ValueCell { start: self.lent.len() as u32, len: LENT });
        self.lent_size += value.len();
        self.lent.push(value);
    }

    /// Begins a value that comes in pieces. Returns what [`ValueBuffer::close`] needs.
    pub(crate) fn open(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a piece of the value that was begun last.
    pub(crate) fn piece(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the value that [`ValueBuffer::open`] began.
    #[expect(clippy::cast_possible_truncation, reason = "see the type's comment")]
    pub(crate) fn close(&mut self, start: usize) {
        self.cells.push(ValueCell { start: start as u32, len: (self.bytes.len() - start) as u32 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_values_are_lent_and_counted() {
        let event = Bytes::from(vec![b'x'; BIG + 2]);
        let mut values = ValueBuffer::default();
        values.push(b"small");
        values.lend_from(Some(event.clone()));
        let mark = values.mark();
        for _ in 0..2 {
            values.push(&event[1..=BIG]);
            values.push(&event[..BIG - 1]);
            let lent = values.get(1).expect("not null");
            assert_eq!((lent.as_ptr(), lent.len()), (event[1..].as_ptr(), BIG));
            assert_ne!(values.get(2).expect("not null").as_ptr(), event.as_ptr());
            assert!(values.size() > 2 * BIG);
            values.rewind(mark);
            assert!(values.size() < BIG && values.len() == 1);
        }
        values.lend_from(None);
        values.push(&event);
        assert_ne!(values.get(1).expect("not null").as_ptr(), event.as_ptr());
        values.clear(0);
        assert!(event.is_unique() && values.size() == 0);
    }
}
