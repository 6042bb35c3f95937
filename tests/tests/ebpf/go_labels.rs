//! Programs of Go whose goroutines have labels.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use tempfile::TempDir;

use super::{configuration, profile};

const SHOP: &str = r#"package main

import (
	"context"
	"runtime/pprof"
	"strings"
)

var sum uint64

//go:noinline
func price(number uint64) uint64 {
	for i := uint64(0); i < 100000; i++ {
		number = number*6364136223846793005 + i
	}
	return number
}

func main() {
	tenant := pprof.WithLabels(context.Background(), pprof.Labels("tenant", "a"))
	long := strings.Repeat("key", 50)
	for {
		for _, endpoint := range []string{"/buy", "/sell"} {
			pprof.Do(tenant, pprof.Labels("endpoint", endpoint, long, "left out"), func(context.Context) { sum += price(sum) })
		}
	}
}
"#;

/// Runs until it is dropped.
struct Running {
    child: Child,
    _folder: TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("shop.go"), folder.path().join("shop"));
        std::fs::write(&source, SHOP).unwrap();
        let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(source).status();
        assert!(built.unwrap_or_else(|error| panic!("this test needs go: {error}")).success());
        let child = Command::new(program).stdin(Stdio::null()).spawn().unwrap();
        Self { child, _folder: folder }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn labels_of_goroutines_are_those_of_samples_unless_that_is_switched_off() {
    let (backend, shop) = (Backend::start().await.unwrap(), Running::start());
    let settings = |more: &str| {
        let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"shop\"}}", shop.child.id());
        let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
        configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
    };
    let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
    let labels = |received: &Received| received.profiles[0].sample_labels.clone();
    let own = [("endpoint", "/buy"), ("endpoint", "/sell"), ("tenant", "a")];
    let own: BTreeSet<(String, String)> = own.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let has_all = |received: &Received| own.iter().all(|label| labels(received).contains(label));
    // What was sampled before the program was known has none.
    let labelled = eventually("samples with labels", async || {
        let received = backend.received();
        let first = received.iter().position(has_all)?;
        received.into_iter().skip(first + 1).find(has_all)
    });
    let received = labelled.await.unwrap();
    // None of them is a label of the series.
    assert!(!received.labels.contains_key("tenant") && !received.labels.contains_key("endpoint"), "{received}");
    let profile = profile(&received);
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].as_str();
    let works = |location: &u64| {
        let location = &profile.location[usize::try_from(*location).unwrap() - 1];
        location
            .line
            .iter()
            .any(|line| text(profile.function[usize::try_from(line.function_id).unwrap() - 1].name) == "main.price")
    };
    for sample in profile.sample.iter().filter(|sample| sample.location_id.iter().any(works)) {
        let keys: Vec<&str> = sample.label.iter().map(|label| text(label.key)).collect();
        assert_eq!(keys, ["endpoint", "tenant"], "{received}");
    }
    let cut = [("component_id", super::COMPONENT), ("reason", "labels_cut")];
    let is_counted = async || {
        let counted = flamegate.metrics().await.unwrap().sum("flamegate_ebpf_samples_unlabelled_total", &cut);
        counted.filter(|counted| *counted > 0.0)
    };
    eventually("keys that are too long are counted", is_counted).await.unwrap();

    flamegate.reload(&settings("  go_enabled = false")).await.unwrap();
    let before = backend.received().len();
    // The first ones may still be of what was sampled before.
    let later = eventually("profiles after the reload", async || {
        let received = backend.received();
        (received.len() >= before + 4).then_some(received)
    });
    let last = later.await.unwrap().pop().unwrap();
    assert!(labels(&last).is_empty(), "{last}");
    flamegate.into_folder(DEADLINE).await.unwrap();
}
