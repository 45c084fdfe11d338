//! Texts that are stored in tables.

use crate::londiste::TableState;
use crate::pgq::snapshot::Snapshot;

/// The snapshot of a tick.
pub(super) fn snapshot(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(snapshot) = text.parse::<Snapshot>() else { return };
    let written = snapshot.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&snapshot), "{written}");
    assert!(!snapshot.contains(snapshot.xmax()), "{written}: a transaction that had not begun is visible");
    assert!(snapshot.contains(0), "{written}: the oldest transaction is not visible");
    let running = written.rsplit(':').next().unwrap_or_default().split(',').filter(|txid| !txid.is_empty());
    let xmin: i64 = written.split(':').next().and_then(|xmin| xmin.parse().ok()).unwrap_or_default();
    for txid in running.filter_map(|txid| txid.parse().ok()) {
        assert_eq!(snapshot.contains(txid), txid < xmin, "{written}: {txid}");
    }
}

/// The state of a table.
pub(super) fn table_state(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(state) = TableState::parse(Some(&text)) else { return };
    assert_ne!(state, TableState::Missing);
    assert_eq!(TableState::parse(state.to_column().as_deref()), Ok(state), "{text}");
}
