//! Threads of low priority for calls that take long: what serves does not wait for them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// Calls that wait for a thread, of all filters together. Each filter has a bound of its own below it.
const MOST_WAITING: usize = 1024;
/// Added to the nice value of the process: a third of the weight of a thread that serves.
const NICENESS: i32 = 5;

/// The threads; they start with the first call. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    told: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    over: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    /// How many threads there are at most.
    pub(super) fn size() -> usize {
        thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
    }

    /// Runs it on one of the threads; `None` where too many wait already, or no thread can be had.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may be gone by now.
            let _heard = done.send(work()).is_ok();
        });
        self.enqueue(job)?;
        result.await.ok()
    }

    fn enqueue(&self, job: Job) -> Option<()> {
        let mut queue = self.0.locked();
        if queue.waiting.len() >= MOST_WAITING {
            return None;
        }
        if queue.idle <= queue.waiting.len() && queue.threads < Self::size() {
            let shared = ThreadOf(self.0.clone());
            let started = thread::Builder::new().name("flamegate-filter".into()).spawn(move || shared.work());
            match started {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    tracing::error!(err = %error, "no thread for slow filters can be started");
                    return None;
                }
                Err(_) => {}
            }
        }
        queue.waiting.push_back(job);
        drop(queue);
        self.0.told.notify_one();
        Some(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The threads hold the rest.
        let mut queue = self.0.locked();
        if Arc::strong_count(&self.0) <= queue.threads + 1 {
            queue.over = true;
            self.0.told.notify_all();
        }
    }
}

struct ThreadOf(Arc<Shared>);

impl ThreadOf {
    fn work(&self) {
        // Of this thread alone, as Linux has it. Without it the thread is only less polite.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(err = %error, "a thread for slow filters keeps its priority");
        }
        while let Some(job) = self.next() {
            // A panic is the host's own fault; whoever waits hears of it, and the thread lives on.
            let _panicked = catch_unwind(AssertUnwindSafe(job)).is_err();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.0.locked();
        queue.idle += 1;
        loop {
            if let Some(job) = queue.waiting.pop_front() {
                queue.idle -= 1;
                return Some(job);
            }
            if queue.over {
                queue.idle -= 1;
                queue.threads -= 1;
                return None;
            }
            queue = self.0.told.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn calls_run_side_by_side_and_a_panic_ends_none_of_the_threads() {
        let pool = Pool::default();
        for _ in 0..3 * Pool::size() {
            assert_eq!(pool.run(|| -> u32 { std::panic::resume_unwind(Box::new(())) }).await, None);
        }
        // Passes only where all threads are there at once.
        let barrier = Arc::new(Barrier::new(Pool::size()));
        let running = (0..Pool::size()).map(|number| {
            let barrier = barrier.clone();
            pool.run(move || {
                barrier.wait();
                number
            })
        });
        let mut done: Vec<usize> = join_all(running).await.into_iter().flatten().collect();
        done.sort_unstable();
        assert_eq!(done, (0..Pool::size()).collect::<Vec<_>>());
        let shared = Arc::downgrade(&pool.0);
        drop(pool);
        while shared.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
