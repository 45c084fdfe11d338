//! Tasks that run beside the task that started them: the tracker that counts them, and the request that ends them.

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// The request to abort, that is to end at once, and the tasks that must end before the process does. Cheap to clone;
/// clones share the request and count the same tasks.
#[derive(Clone, Debug)]
pub struct Abort {
    request: CancellationToken,
    /// The request to finish, that is to end after the work at hand.
    finish: CancellationToken,
    tasks: TaskTracker,
}

impl Default for Abort {
    fn default() -> Abort {
        Abort::new()
    }
}

impl Abort {
    /// Neither request is made yet, and there are no tasks.
    pub fn new() -> Abort {
        Abort::after(CancellationToken::new())
    }

    /// As [`Abort::new`], with `finish` as the request to finish.
    pub(crate) fn after(finish: CancellationToken) -> Abort {
        let tasks = TaskTracker::new();
        // A tracker that is not closed never counts as empty. Tasks can be spawned on a closed one.
        tasks.close();
        Abort { request: CancellationToken::new(), finish, tasks }
    }

    /// Makes the request to abort, which cannot be taken back.
    pub fn cancel(&self) {
        self.request.cancel();
    }

    /// Whether the request to abort was made.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Returns when the request to abort is made, at once if it was made before. Cancel-safe.
    pub(crate) fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.request.cancelled()
    }

    /// Returns when the request to finish is made, at once if it was made before. Cancel-safe.
    pub(crate) fn finishing(&self) -> WaitForCancellationFuture<'_> {
        self.finish.cancelled()
    }

    /// A request to abort that is made with this one and can also be made alone. Its tasks count with those of this one.
    #[must_use]
    pub(crate) fn child_token(&self) -> Abort {
        Abort { request: self.request.child_token(), ..self.clone() }
    }

    /// A request of its own, which neither of these two requests makes, for clean-up after an abort. Its tasks count
    /// with those of this one.
    #[must_use]
    pub(crate) fn for_clean_up(&self) -> Abort {
        Abort { tasks: self.tasks.clone(), ..Abort::new() }
    }

    /// Starts a task. The task goes on when the handle is dropped, and has to end by itself soon after the request to
    /// abort.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Returns when no task of this request, its children and its clean-ups is running.
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
