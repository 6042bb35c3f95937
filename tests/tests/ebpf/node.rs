//! Programs of Node.js, named as who wrote them names their functions.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use flamegate_tests::backend::Backend;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use tempfile::TempDir;

use super::{configuration, profile};

const MAIN: &str = "const { Cart } = require('./cart');\nfor (;;) {\n  new Cart().total();\n}\n";
const CART: &str = "class Cart {\n  total() {\n    return this.prices().reduce(add, 0);\n  }\n\n  prices() {\n    const all = [];\n    for (let number = 0; number < 1000; number++) {\n      all.push(number % 7);\n    }\n    return all;\n  }\n}\n\nfunction add(sum, price) {\n  return sum + price;\n}\n\nmodule.exports = { Cart };\n";

/// Runs until it is dropped.
struct Shop {
    child: Child,
    _folder: TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("main.js", MAIN), ("cart.js", CART)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let child = Command::new("node").arg(folder.path().join("main.js")).stdin(Stdio::null()).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("this test needs node: {error}")), _folder: folder }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn functions_of_node_are_named_unless_that_is_switched_off() {
    let (backend, shop) = (Backend::start().await.unwrap(), Shop::open());
    let settings = |more: &str| {
        let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"shop\"}}", shop.child.id());
        let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
        configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
    };
    let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
    let own = ["(anonymous) main.js:1:1", "total", "prices"];
    let is_named = |functions: &BTreeSet<String>| own.iter().all(|name| functions.contains(*name));
    let functions = |received: &flamegate_tests::backend::Received| received.profiles[0].functions.clone();
    let named = eventually("functions of Node.js", async || {
        backend.received().into_iter().find(|received| is_named(&functions(received)))
    });
    let profile = profile(&named.await.unwrap());
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].as_str();
    let prices = profile.function.iter().find(|function| text(function.name) == "prices").unwrap();
    assert!(text(prices.filename).ends_with("/cart.js"), "{}", text(prices.filename));
    assert_eq!(prices.start_line, 6);
    let lines = profile.location.iter().flat_map(|location| &location.line);
    let lines: BTreeSet<i64> = lines.filter(|line| line.function_id == prices.id).map(|line| line.line).collect();
    assert!(lines.contains(&9) && lines.iter().all(|line| (6..=11).contains(line)), "{lines:?}");
    let labels = [("component_id", super::COMPONENT)];
    let metrics = flamegate.metrics().await.unwrap();
    assert!(metrics.sum("UnwindV8Frames_total", &labels).unwrap_or_default() > 0.0);

    flamegate.reload(&settings("  v8_enabled = false")).await.unwrap();
    let before = backend.received().len();
    // The first ones may still be of what was sampled before.
    let later = eventually("profiles after the reload", async || {
        let received = backend.received();
        (received.len() >= before + 4).then_some(received)
    });
    let last = later.await.unwrap().pop().unwrap();
    assert!(!functions(&last).iter().any(|name| own.contains(&name.as_str())), "{last}");
    flamegate.into_folder(DEADLINE).await.unwrap();
}
