//! Whether a switchover has turned the replication of a job round. The job's tables are still `ok` on a side that writers have moved to:
//! what it would copy or apply there are old rows.

use super::fence;
use crate::error::{Error, Result};
use crate::pg::{Db, text};

/// What to do instead.
const ADVICE: &str = "Nothing was changed. Replication goes the other way, by the other ini file of the switchover, unless it was \
     finished. \"rlondiste INI switchover status\" says where writers are.";

/// Whether writers have been let into the subscriber by a switchover from the provider of the queue's job, or back to it. Such a row may
/// be an old one: then the provider is open.
pub(crate) async fn may_be(subscriber: &Db, queue: &str) -> Result<bool> {
    const ACTION: &str = "look for a switchover";
    const KNOWN: &str = "select pg_catalog.to_regclass('londiste.switchover') is not null";
    if !subscriber.query_one(ACTION, KNOWN, &[]).await?.get::<_, bool>(0) {
        return Ok(false);
    }
    // The queue of the way back is named by the ini file alone.
    let sql = "select exists (select from londiste.switchover s
                               where s.phase in ('final', 'open', 'done', 'finished') and (s.is_back or s.queue_name = $1))";
    Ok(subscriber.query_one(ACTION, sql, &[text(&queue)]).await?.get(0) && is_open(subscriber).await?)
}

/// Fails when the job must not work.
pub(crate) async fn refuse(provider: &Db, subscriber: &Db, queue: &str) -> Result<()> {
    objection(provider, subscriber, queue).await?.map_or(Ok(()), Err)
}

/// Why the job must not work: the provider is closed, and writers are on the subscriber. `None` where it may. A third database that
/// follows the provider has no switchover.
pub(crate) async fn objection(provider: &Db, subscriber: &Db, queue: &str) -> Result<Option<Error>> {
    if !may_be(subscriber, queue).await? {
        return Ok(None);
    }
    Ok(fence::is_closed_for_good(provider).await?.then(|| {
        let (old, new) = (provider.target(), subscriber.target());
        Error::refused(
            format!("writers have moved from provider ({old}) to subscriber ({new}) by a switchover"),
            ADVICE,
        )
    }))
}

async fn is_open(db: &Db) -> Result<bool> {
    let (state, now) = fence::state(db).await?;
    Ok(state.0 <= now)
}
