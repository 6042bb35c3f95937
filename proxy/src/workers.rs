//! Threads that serve connections: one a core, each with a runtime of its own.
//!
//! A connection stays on its thread, and so do the requests on it and the connections to backends that they take. On one
//! runtime for all threads each wake-up may move a task to another core, which cost a seventh of all CPU when it was
//! measured. What takes long is not to be done here: it would hold up the other connections of the thread.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;

/// Of the threads of the process' own runtime, which share what is kept for a worker.
const NO_WORKER: usize = 0;

static LAST: AtomicUsize = AtomicUsize::new(NO_WORKER);

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(NO_WORKER) };
}

/// The threads. They end when the last clone is dropped, and what runs on them with them.
#[derive(Debug, Clone)]
pub struct Workers {
    threads: Arc<[Worker]>,
    /// The runtime on which they were started.
    home: Handle,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Connections on it.
    connections: Arc<AtomicUsize>,
    /// Ends it when dropped.
    _stop: oneshot::Sender<()>,
}

/// A place on a thread, for one connection.
#[derive(Debug)]
pub struct Place {
    runtime: Handle,
    connections: Option<Arc<AtomicUsize>>,
}

impl Workers {
    /// Starts one a core, or none on a runtime that has a single thread itself. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let home = Handle::current();
        let cores = match home.runtime_flavor() {
            RuntimeFlavor::CurrentThread => 0,
            _ => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        let threads = (0..cores).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { threads, home })
    }

    /// A place on the thread with the fewest connections.
    pub fn place(&self) -> Place {
        let fewest = self.threads.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let Some(worker) = fewest else { return Place { runtime: self.home.clone(), connections: None } };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        Place { runtime: worker.runtime.clone(), connections: Some(worker.connections.clone()) }
    }

    /// The runtimes of all threads, for what waits more than it works.
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> + Clone {
        let home = self.threads.is_empty().then_some(&self.home);
        self.threads.iter().map(|worker| &worker.runtime).chain(home)
    }

    /// The runtime for what takes long: its threads take work from each other.
    pub fn home(&self) -> &Handle {
        &self.home
    }
}

/// What tells the threads apart: whatever belongs to a runtime is kept by it. The threads of the process' own runtime
/// are one.
pub fn here() -> usize {
    HERE.get()
}

impl Worker {
    fn start(index: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            HERE.set(id);
            // An error says that nobody wants it any more.
            let _ended = runtime.block_on(stopped).is_ok();
            // What still waits for a blocking call does not hold up the thread's end.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _stop: stop })
    }
}

impl Place {
    /// Runs what serves the connection, which must open its socket there.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(self, serving: F) {
        let runtime = self.runtime.clone();
        runtime.spawn(async move {
            let _taken = self;
            serving.await;
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(connections) = &self.connections {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::thread::ThreadId;

    use tokio::sync::mpsc;

    use super::*;

    /// Where a connection is served.
    async fn serve(place: Place, until: oneshot::Receiver<()>) -> (ThreadId, usize) {
        let (tell, mut told) = mpsc::channel(1);
        place.spawn(async move {
            tell.send((thread::current().id(), here())).await.unwrap();
            let _ended = until.await.is_ok();
        });
        told.recv().await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn connections_are_spread_and_make_room_when_they_end() {
        let workers = Workers::start().unwrap();
        let threads = workers.threads.len();
        let mut open: BTreeMap<usize, Vec<oneshot::Sender<()>>> = BTreeMap::new();
        for _ in 0..3 * threads {
            let (end, ended) = oneshot::channel();
            let (_, worker) = serve(workers.place(), ended).await;
            open.entry(worker).or_default().push(end);
        }
        assert_eq!(open.values().map(Vec::len).collect::<Vec<_>>(), vec![3; threads]);
        assert!(!open.contains_key(&here()), "none of them is the thread that accepts");

        let (left, ends) = open.pop_first().unwrap();
        let emptied = |workers: &Workers| workers.threads.iter().any(|w| w.connections.load(Ordering::Relaxed) == 0);
        drop(ends);
        while !emptied(&workers) {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            let (end, ended) = oneshot::channel();
            assert_eq!(serve(workers.place(), ended).await.1, left);
            open.entry(left).or_default().push(end);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_threads_end_with_the_last_who_wants_them() {
        let workers = Workers::start().unwrap();
        let (kept, cut) = oneshot::channel::<()>();
        workers.clone().place().spawn(async move {
            let _held = kept;
            std::future::pending::<()>().await;
        });
        drop(workers);
        assert!(cut.await.is_err());
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_serves_itself() {
        let workers = Workers::start().unwrap();
        let (_end, ended) = oneshot::channel();
        assert_eq!(serve(workers.place(), ended).await, (thread::current().id(), here()));
    }
}
