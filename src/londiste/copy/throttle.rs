//! The limit on the rate of all copies of a process together (`copy_rate_limit`), which may change while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Cheap to clone; all clones share one limit.
#[derive(Clone, Debug)]
pub(in crate::londiste) struct Throttle {
    /// Bytes a second; 0 for no limit.
    limit: Arc<AtomicU64>,
    /// When what has been spent so far will have been paid for.
    paid_at: Arc<Mutex<Instant>>,
}

impl Throttle {
    /// A limit in bytes a second; 0 for none.
    pub(in crate::londiste) fn new(limit: u64) -> Throttle {
        Throttle { limit: Arc::new(AtomicU64::new(limit)), paid_at: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Changes the limit for everybody.
    pub(in crate::londiste) fn set(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Waits until so many bytes may be sent. Those who come later queue up behind.
    pub(super) async fn spend(&self, bytes: usize) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a time to the microsecond is exact enough")]
        let price = Duration::from_secs_f64(bytes as f64 / limit as f64);
        let until = {
            let mut paid_at = self.paid_at.lock().await;
            *paid_at = (*paid_at).max(Instant::now()) + price;
            *paid_at
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clones_share_the_limit_and_a_change_of_it() {
        let (one, two) = (Throttle::new(1000), Throttle::new(0));
        let started = Instant::now();
        two.spend(1_000_000).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        let clone = one.clone();
        tokio::join!(one.spend(500), clone.spend(1500));
        assert_eq!(started.elapsed().as_millis(), 2000);
        one.set(0);
        one.spend(1_000_000).await;
        assert_eq!(started.elapsed().as_millis(), 2000);
    }
}
