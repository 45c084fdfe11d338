//! Snapshots of transactions, as `txid_current_snapshot()` writes them.

use std::fmt;
use std::str::FromStr;

/// Which transactions had ended at some moment, as `xmin:xmax:xip,...`: transactions before `xmin` had ended, those from
/// `xmax` on had not begun, those listed in between were running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    xmin: i64,
    xmax: i64,
    /// The transactions between `xmin` and `xmax` that were running, ascending.
    running: Vec<i64>,
}

impl Snapshot {
    /// The first transaction that had not begun.
    pub(crate) fn xmax(&self) -> i64 {
        self.xmax
    }

    /// Whether the effects of transaction `txid` were visible, as `txid_visible_in_snapshot` has it: aborted
    /// transactions count.
    pub(crate) fn contains(&self, txid: i64) -> bool {
        txid < self.xmin || (txid < self.xmax && self.running.binary_search(&txid).is_err())
    }
}

/// The text is not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a snapshot (xmin:xmax:xip,...)")]
pub struct NotASnapshot(String);

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Snapshot, NotASnapshot> {
        parse(text).ok_or_else(|| NotASnapshot(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Snapshot> {
    let mut parts = text.splitn(3, ':');
    let xmin: i64 = parts.next()?.parse().ok()?;
    let xmax: i64 = parts.next()?.parse().ok()?;
    let list = parts.next()?;
    let mut running = if list.is_empty() {
        Vec::new()
    } else {
        list.split(',').map(|txid| txid.parse().ok()).collect::<Option<Vec<i64>>>()?
    };
    running.sort_unstable();
    (0 < xmin && xmin <= xmax).then_some(Snapshot { xmin, xmax, running })
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (i, txid) in self.running.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{txid}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_visible_when_it_had_ended() {
        let snapshot: Snapshot = "10:20:12,15".parse().expect("valid");
        let seen: Vec<i64> = (8..23).filter(|txid| snapshot.contains(*txid)).collect();
        assert_eq!(seen, [8, 9, 10, 11, 13, 14, 16, 17, 18, 19]);
    }

    #[test]
    fn the_text_form_comes_back() {
        for text in ["10:20:12,15", "5:5:", "1:9223372036854775807:4"] {
            assert_eq!(text.parse::<Snapshot>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1:2", "a:2:", "2:1:", "1:2:x", "1:2:1,", "0:1:"] {
            assert_eq!(text.parse::<Snapshot>(), Err(NotASnapshot(text.to_owned())), "{text}");
        }
    }
}
