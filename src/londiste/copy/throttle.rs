//! `copy_rate_limit`: the limit on the rate of all copies of a process together. A reload may change it while copies
//! run. `verify_rate` is such a limit too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// Cheap to clone; all clones share one limit.
#[derive(Clone, Debug)]
pub(in crate::londiste) struct Throttle {
    /// Bytes a second; 0 for no limit.
    limit: watch::Sender<u64>,
    /// When all bytes that were booked so far may have been sent.
    paid_at: Arc<Mutex<Instant>>,
}

impl Throttle {
    /// A limit in bytes a second; 0 for none.
    pub(in crate::londiste) fn new(limit: u64) -> Throttle {
        Throttle { limit: watch::Sender::new(limit), paid_at: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Changes the limit of all clones, in bytes a second, also for calls of [`Throttle::spend`] that are waiting.
    pub(in crate::londiste) fn set(&self, limit: u64) {
        self.limit.send_replace(limit);
    }

    /// Waits until so many bytes may be sent; later calls wait behind earlier ones.
    pub(in crate::londiste) async fn spend(&self, bytes: usize) {
        let mut changes = self.limit.subscribe();
        #[expect(clippy::cast_precision_loss, reason = "a time to the microsecond is exact enough")]
        let mut left = bytes as f64;
        loop {
            let limit = *changes.borrow_and_update();
            if limit == 0 {
                return;
            }
            #[expect(clippy::cast_precision_loss, reason = "a time to the microsecond is exact enough")]
            let limit = limit as f64;
            let until = self.book(Duration::from_secs_f64(left / limit)).await;
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                _ = changes.changed() => {}
            }
            // The bytes that were not due yet at the old rate are booked again at the new one.
            left = left.min(until.saturating_duration_since(Instant::now()).as_secs_f64() * limit);
            *self.paid_at.lock().await = Instant::now();
        }
    }

    async fn book(&self, price: Duration) -> Instant {
        let mut paid_at = self.paid_at.lock().await;
        *paid_at = (*paid_at).max(Instant::now()) + price;
        *paid_at
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

    #[tokio::test(start_paused = true)]
    async fn a_change_is_for_those_too_who_wait() {
        let throttle = Throttle::new(10);
        let (clone, started) = (throttle.clone(), Instant::now());
        let change = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            clone.set(1000);
        };
        tokio::join!(throttle.spend(1050), change);
        assert_eq!(started.elapsed().as_millis(), 6000);
    }
}
