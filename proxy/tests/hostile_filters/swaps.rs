//! A module takes the place of another under load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

const SWAPS: usize = 40;
/// Few, so that most verdicts come from the cache.
const LABEL_SETS: usize = 5;
/// The word of the build that is in the repository, and others of the same length.
const BUILDS: [&str; 2] = ["build-aaaaaaaaaaaa", "build-bbbbbbbbbbbb"];

/// The same filter with another word in it.
fn build(word: &str) -> Module {
    let at = BYTES.windows(BUILDS[0].len()).position(|window| window == BUILDS[0].as_bytes()).unwrap();
    let mut bytes = BYTES.clone();
    bytes[at..at + word.len()].copy_from_slice(word.as_bytes());
    HOST.load(&bytes).unwrap().0
}

fn generation(module: &Module) -> Arc<Generation> {
    Arc::new(Generation::new(module, settings("build"), remember()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_verdict_of_before_after_a_swap() {
    let modules = BUILDS.map(build);
    let metrics = Metrics::new();
    let component = ComponentLabels::top_level("wasm.filter.swapped".into());
    let filter = Filter::new(generation(&modules[0]), &HOST, metrics.filter(&component));
    let filter = Arc::new(filter);
    // Swaps that have begun, and that are done.
    let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let judging: Vec<_> = (0..4)
        .map(|task| {
            let (filter, begun, done, over) = (filter.clone(), begun.clone(), done.clone(), over.clone());
            tokio::spawn(async move {
                let mut strict = 0_usize;
                let mut call = task;
                while !over.load(Ordering::SeqCst) {
                    call += 1;
                    let series = labels(&[("series", &(call % LABEL_SETS).to_string())]);
                    let before = done.load(Ordering::SeqCst);
                    let judged = filter.judge(&series).await.unwrap();
                    let after = begun.load(Ordering::SeqCst);
                    let Verdict::Replace(labels) = judged.verdict else { panic!("unchanged") };
                    let word = labels.value("build").unwrap();
                    let possible = (before..=after).any(|swap| BUILDS[swap % 2] == word);
                    assert!(possible, "{word} between the swaps {before} and {after}");
                    strict += usize::from(before == after);
                    if call % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                strict
            })
        })
        .collect();
    for swap in 1..=SWAPS {
        let next = generation(&modules[swap % 2]);
        let calls = filter.metrics().cache_hits.count();
        begun.store(swap, Ordering::SeqCst);
        filter.swap(next);
        done.store(swap, Ordering::SeqCst);
        // Until verdicts were found in the cache of the new one.
        let began = Instant::now();
        while filter.metrics().cache_hits.count() < calls + 100 {
            assert!(began.elapsed() < DEADLINE);
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::SeqCst);
    for task in judging {
        assert!(task.await.unwrap() > 0, "some calls were made between two swaps");
    }
    assert_eq!(filter.metrics().swaps.count(), SWAPS as u64);
}
