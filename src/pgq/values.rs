//! Values of columns, taken out of event data and kept in one buffer.
//!
//! A batch has millions of values: each is a range of a byte buffer, so that reading one costs no allocation, and
//! dropping all of them costs nothing.

/// A value in a [`Values`]: a range of its bytes, or NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    start: u32,
    len: u32,
}

const NULL: u32 = u32::MAX;

/// Values, addressed by the order in which they were added.
///
/// Positions and lengths are 32 bits wide: whoever fills it ends a chunk long before 4 GB (one event has at most 1 GB).
#[derive(Debug, Default)]
pub struct Values {
    bytes: Vec<u8>,
    cells: Vec<Value>,
}

/// The names that belong to values, in their order, as one text: so that it is quickly seen when they are the same as
/// those of the event before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Each name is followed by a zero byte, which no name has.
    text: Vec<u8>,
}

impl Names {
    /// Forgets all names.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// Adds a piece of a name.
    pub fn piece(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Ends a name.
    pub fn close(&mut self) {
        self.text.push(0);
    }

    /// The names; `None` when one is not UTF-8.
    pub fn to_list(&self) -> Option<Vec<String>> {
        let names = self.text.strip_suffix(&[0]).map(|text| text.split(|byte| *byte == 0));
        names.into_iter().flatten().map(|name| String::from_utf8(name.to_vec()).ok()).collect()
    }
}

/// A state of [`Values`] to return to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    cells: usize,
}

impl Values {
    /// How many values there are, which is also the index of the next one.
    #[expect(clippy::cast_possible_truncation, reason = "see the type's comment")]
    pub fn len(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many bytes the values take.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.cells.len() * size_of::<Value>()
    }

    /// Forgets all values and keeps the memory, up to `keep` bytes of it.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.cells.clear();
        self.bytes.shrink_to(keep);
        self.cells.shrink_to(keep / size_of::<Value>());
    }

    /// The present state.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), cells: self.cells.len() }
    }

    /// Forgets what was added since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.cells.truncate(mark.cells);
    }

    /// The value at `index`; `None` is NULL.
    pub fn get(&self, index: u32) -> Option<&[u8]> {
        let Value { start, len } = self.cells[index as usize];
        (len != NULL).then(|| &self.bytes[start as usize..start as usize + len as usize])
    }

    /// The value at `index` as it is stored.
    pub fn cell(&self, index: u32) -> Value {
        self.cells[index as usize]
    }

    /// Puts a stored value at `index`.
    pub fn set_cell(&mut self, index: u32, value: Value) {
        self.cells[index as usize] = value;
    }

    /// Forgets the values from `index` on; their bytes stay, since other values may share them.
    pub fn truncate(&mut self, index: u32) {
        self.cells.truncate(index as usize);
    }

    /// Adds a stored value once more.
    pub fn push_cell(&mut self, value: Value) {
        self.cells.push(value);
    }

    /// Adds NULL.
    pub fn push_null(&mut self) {
        self.cells.push(Value { start: 0, len: NULL });
    }

    /// Adds a value.
    pub fn push(&mut self, bytes: &[u8]) {
        let start = self.open();
        self.bytes.extend_from_slice(bytes);
        self.close(start);
    }

    /// Begins a value that comes in pieces: the place to give to [`Values::close`].
    pub fn open(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a piece of the value that was begun.
    pub fn piece(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the value that began at `start`.
    #[expect(clippy::cast_possible_truncation, reason = "see the type's comment")]
    pub fn close(&mut self, start: usize) {
        self.cells.push(Value { start: start as u32, len: (self.bytes.len() - start) as u32 });
    }
}
