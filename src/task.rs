//! Tasks that run beside the one that has started them: who counts them, and the request that ends them.

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// A request to end at once, and the tasks that have to see it before the process may end. Cheap to clone; clones are
/// the same request and count the same tasks.
#[derive(Clone, Debug)]
pub struct Abort {
    request: CancellationToken,
    /// The milder request, to finish what is at hand.
    finish: CancellationToken,
    tasks: TaskTracker,
}

impl Default for Abort {
    fn default() -> Abort {
        Abort::new()
    }
}

impl Abort {
    /// A request that nobody has made yet, and no tasks.
    pub fn new() -> Abort {
        Abort::after(CancellationToken::new())
    }

    /// The same beside a milder request, to finish what is at hand.
    pub(crate) fn after(finish: CancellationToken) -> Abort {
        let tasks = TaskTracker::new();
        // Tasks may be spawned all the same; a tracker that is not closed would never be found empty.
        tasks.close();
        Abort { request: CancellationToken::new(), finish, tasks }
    }

    /// Makes the request. It cannot be taken back.
    pub fn cancel(&self) {
        self.request.cancel();
    }

    /// Whether the request was made.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Returns when the request is made, at once if it was made before. Cancel-safe.
    pub(crate) fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.request.cancelled()
    }

    /// Returns when the milder request is made. Cancel-safe.
    pub(crate) fn finishing(&self) -> WaitForCancellationFuture<'_> {
        self.finish.cancelled()
    }

    /// A request that is made with this one and can also be made alone. Its tasks count with those of this one.
    #[must_use]
    pub(crate) fn child_token(&self) -> Abort {
        Abort { request: self.request.child_token(), ..self.clone() }
    }

    /// A request that neither this one nor the milder one makes, for what is put in order at the end. Its tasks count with
    /// those of this one.
    #[must_use]
    pub(crate) fn for_clean_up(&self) -> Abort {
        Abort { tasks: self.tasks.clone(), ..Abort::new() }
    }

    /// Starts a task. It goes on when the handle is dropped, and has to end by itself soon after the request.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Returns when no task is running.
    pub(crate) async fn tasks_ended(&self) {
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn end_of_the_tasks_of_all_children_is_waited_for() {
        let abort = Abort::new();
        abort.tasks_ended().await;
        let (child, clean_up) = (abort.child_token(), abort.for_clean_up());
        for task in [child.clone(), clean_up.clone()] {
            abort.spawn(async move { task.cancelled().await });
        }
        abort.cancel();
        assert!(child.is_cancelled() && !clean_up.is_cancelled());
        assert!(tokio::time::timeout(Duration::from_millis(50), abort.tasks_ended()).await.is_err());
        clean_up.cancel();
        abort.tasks_ended().await;
    }
}
