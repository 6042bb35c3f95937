//! Programs of PHP, named as who wrote them names their functions.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use tempfile::TempDir;

use super::{configuration, profile};

const SHOP: &str = r"<?php

namespace Shop;

class Cart
{
    public function total(): int
    {
        return array_sum(array_map(fn ($number) => $this->price($number), range(1, 10000)));
    }

    private function price(int $number): int
    {
        return $number * $number;
    }
}

while (true) {
    (new Cart())->total();
}
";

/// Runs until it is dropped.
struct Running {
    child: Child,
    _folder: TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("shop.php");
        std::fs::write(&source, SHOP).unwrap();
        let child = Command::new("/usr/bin/php8.2").arg(source).stdin(Stdio::null()).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("this test needs php: {error}")), _folder: folder }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn functions_of_php_are_named_unless_that_is_switched_off() {
    let (backend, shop) = (Backend::start().await.unwrap(), Running::start());
    let settings = |more: &str| {
        let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"shop\"}}", shop.child.id());
        let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
        configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
    };
    let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
    let own = ["{main}", r"Shop\Cart::total", r"Shop\Cart::price", "array_map"];
    let is_named = |functions: &BTreeSet<String>| own.iter().all(|name| functions.contains(*name));
    let functions = |received: &Received| received.profiles[0].functions.clone();
    let named = eventually("functions of PHP", async || {
        backend.received().into_iter().find(|received| is_named(&functions(received)))
    });
    let received = named.await.unwrap();
    assert!(functions(&received).iter().any(|name| name.starts_with(r"Shop\Cart::{closure:")), "{received}");
    let profile = profile(&received);
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].as_str();
    let price = profile.function.iter().find(|function| text(function.name) == r"Shop\Cart::price").unwrap();
    assert!(text(price.filename).ends_with("/shop.php"), "{}", text(price.filename));
    assert_eq!(price.start_line, 12);
    let lines = profile.location.iter().flat_map(|location| &location.line);
    let lines: BTreeSet<i64> = lines.filter(|line| line.function_id == price.id).map(|line| line.line).collect();
    assert!(lines.contains(&14) && lines.iter().all(|line| (12..=15).contains(line)), "{lines:?}");
    let labels = [("component_id", super::COMPONENT)];
    let metrics = flamegate.metrics().await.unwrap();
    assert!(metrics.sum("UnwindPHPFrames_total", &labels).unwrap_or_default() > 0.0);

    flamegate.reload(&settings("  php_enabled = false")).await.unwrap();
    let before = backend.received().len();
    // The first ones may still be of what was sampled before.
    let later = eventually("profiles after the reload", async || {
        let received = backend.received();
        (received.len() >= before + 4).then_some(received)
    });
    let last = later.await.unwrap().pop().unwrap();
    assert!(!functions(&last).iter().any(|name| name.starts_with("Shop\\")), "{last}");
    flamegate.into_folder(DEADLINE).await.unwrap();
}
