//! The error for event data that do not have the format of the event's type.

use super::printable::printable;

/// Event data cannot be read: at byte `at`, counted from 0, there is not what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The first byte that cannot be read; the length of the data when they end too early.
    pub at: usize,
    /// What may stand there, as a noun phrase.
    pub expected: &'static str,
}

/// How much of the data a message shows, in characters.
const SHOWN: usize = 30;

impl Unreadable {
    /// A sentence for the operator, with the place counted from 1 and the beginning of the text there. `data` are the data
    /// that were read.
    pub fn describe(&self, data: &[u8]) -> String {
        let Unreadable { at, expected } = self;
        let rest = data.get(*at..).unwrap_or_default();
        let found = if rest.is_empty() { "the end".to_owned() } else { format!("\"{}\"", printable(rest, SHOWN)) };
        format!("its data are not understood at byte {}: expected {expected}, found {found}", at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_shown_with_what_is_there() {
        let describe = |at, data: &[u8]| Unreadable { at, expected: "a name" }.describe(data);
        assert_eq!(describe(2, b"ab"), "its data are not understood at byte 3: expected a name, found the end");
        assert_eq!(
            describe(1, "a\n\x1b[31mü\"".as_bytes()),
            r#"its data are not understood at byte 2: expected a name, found "\n\u{1b}[31mü"""#
        );
    }
}
