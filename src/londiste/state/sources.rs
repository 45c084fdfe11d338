//! Since when the provider has had each subscribed table in the queue's set: `londiste.capture` there,
//! `londiste.table_source` on the subscriber.
//!
//! The subscriber stores the time when a copy begins. A table whose time on the provider is another one was taken out of
//! the set and added again, for instance with the whole schema; a table that the provider does not have any more is not
//! captured. Both lack changes. `provider remove` also writes an event `T`, by which replay unsubscribes from the table or
//! copies it again ([`table_sets`](super::super::replay)); what is found here is what no event tells.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::pg::{Db, FqName, text, text_array};

/// The tables in the set of a queue on the provider, with the time since which each has been there; an empty text where the
/// provider does not store it.
pub(crate) type Sources = BTreeMap<FqName, String>;

/// Why changes of a table were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Break {
    /// The table is not in the set any more.
    NotInSet,
    /// The table was added to the set after its copy began.
    Anew,
}

impl Break {
    /// The reason as a clause about the table.
    pub(crate) fn reason(self, queue: &str) -> String {
        match self {
            Break::NotInSet => format!("it is not in queue {queue} on provider any more"),
            Break::Anew => format!("it was added to queue {queue} on provider anew"),
        }
    }
}

/// Reads the set of the queue. The schema of Londiste 2.1 or of an older rlondiste stores no times.
pub(crate) async fn offered(provider: &Db, queue: &str) -> Result<Sources> {
    const ACTION: &str = "list the tables of the queue";
    const KNOWN: &str = "select pg_catalog.to_regprocedure('londiste.provider_get_sources(text)') is not null";
    const WITH_TIME: &str = "select table_name, coalesce(captured_since, '') from londiste.provider_get_sources($1)";
    const NAMES: &str = "select table_name, '' from londiste.provider_get_table_list($1)";
    let sql = if provider.query_one(ACTION, KNOWN, &[]).await?.get(0) { WITH_TIME } else { NAMES };
    let rows = provider.query(ACTION, sql, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), row.get(1))).collect())
}

/// Reads what the subscriber has stored; empty where its schema is that of Londiste 2.1 or of an older rlondiste.
pub(crate) async fn stored(subscriber: &Db, queue: &str) -> Result<Sources> {
    const ACTION: &str = "read since when tables are captured";
    const KNOWN: &str = "select pg_catalog.to_regclass('londiste.table_source') is not null";
    const STORED: &str = "select s.table_name, s.captured_since from londiste.table_source s where s.queue_name = $1";
    if !subscriber.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(Sources::new());
    }
    let rows = subscriber.query(ACTION, STORED, &[text(&queue)]).await?;
    Ok(rows.iter().map(|row| (FqName::parse(row.get(0)), row.get(1))).collect())
}

/// The stored tables whose changes were not all captured.
pub(crate) fn breaks(offered: &Sources, stored: &Sources) -> BTreeMap<FqName, Break> {
    let broken = |(name, since): (&FqName, &String)| match offered.get(name) {
        None => Some((name.clone(), Break::NotInSet)),
        Some(now) if now != since && !now.is_empty() && !since.is_empty() => Some((name.clone(), Break::Anew)),
        Some(_) => None,
    };
    stored.iter().filter_map(broken).collect()
}

/// Stores the time of each of the tables that is subscribed.
pub(crate) async fn store(subscriber: &Db, queue: &str, sources: &[(&FqName, &str)]) -> Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    let sql = "insert into londiste.table_source (queue_name, table_name, captured_since)
               select t.queue_name, t.table_name, n.since
                 from rows from (pg_catalog.unnest($2), pg_catalog.unnest($3)) n(name, since)
                      join londiste.subscriber_table t on t.queue_name = $1 and t.table_name = n.name
               on conflict (queue_name, table_name) do update set captured_since = excluded.captured_since";
    let names: Vec<String> = sources.iter().map(|(name, _)| name.to_string()).collect();
    let times: Vec<&str> = sources.iter().map(|(_, since)| *since).collect();
    let params = [text(&queue), text_array(&names), text_array(&times)];
    subscriber.execute("store since when tables are captured", sql, &params).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn break_is_told_from_what_nobody_knows() {
        let sources = |list: &[(&str, &str)]| -> Sources {
            list.iter().map(|(name, since)| (FqName::parse(name), (*since).to_owned())).collect()
        };
        let offered =
            sources(&[("same", "t1"), ("anew", "t2"), ("old_provider", ""), ("old_subscriber", "t1"), ("new", "t1")]);
        let stored =
            sources(&[("same", "t1"), ("anew", "t1"), ("old_provider", "t1"), ("old_subscriber", ""), ("gone", "")]);
        let expected = [(FqName::parse("anew"), Break::Anew), (FqName::parse("gone"), Break::NotInSet)];
        assert_eq!(breaks(&offered, &stored), BTreeMap::from(expected));
    }
}
