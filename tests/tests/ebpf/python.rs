//! Programs of Python, named as who wrote them names their functions.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use flamegate_tests::backend::Backend;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use tempfile::TempDir;

use super::{configuration, profile};

const MAIN: &str = "from shop.cart import Cart\nwhile True:\n    Cart().total()\n";
const CART: &str = "class Cart:\n    def total(self):\n        return sum(self.prices())\n\n    def prices(self):\n        for number in range(10000):\n            yield number * number\n";

/// Runs until it is dropped.
struct Shop {
    child: Child,
    _folder: TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).unwrap();
        std::fs::create_dir(folder.path().join("shop")).unwrap();
        write("main.py", MAIN);
        write("shop/__init__.py", "");
        write("shop/cart.py", CART);
        let python = Path::new("/usr/bin/python3");
        let child = Command::new(python).arg(folder.path().join("main.py")).stdin(Stdio::null()).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("this test needs python3: {error}")), _folder: folder }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn functions_of_python_are_named_unless_that_is_switched_off() {
    let (backend, shop) = (Backend::start().await.unwrap(), Shop::open());
    let settings = |more: &str| {
        let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"shop\"}}", shop.child.id());
        let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
        configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
    };
    let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
    let own = ["main.<module>", "shop.cart.Cart.total", "shop.cart.Cart.prices"];
    let is_named = |functions: &BTreeSet<String>| own.iter().all(|name| functions.contains(*name));
    let functions = |received: &flamegate_tests::backend::Received| received.profiles[0].functions.clone();
    let named = eventually("functions of Python", async || {
        backend.received().into_iter().find(|received| is_named(&functions(received)))
    });
    let profile = profile(&named.await.unwrap());
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].as_str();
    let total = profile.function.iter().find(|function| text(function.name) == "shop.cart.Cart.total").unwrap();
    assert!(text(total.filename).ends_with("/shop/cart.py"), "{}", text(total.filename));
    assert_eq!(total.start_line, 2);
    let lines = profile.location.iter().flat_map(|location| &location.line);
    let lines: BTreeSet<i64> = lines.filter(|line| line.function_id == total.id).map(|line| line.line).collect();
    assert!(lines.contains(&3) && lines.iter().all(|line| (2..=3).contains(line)), "{lines:?}");
    let labels = [("component_id", super::COMPONENT)];
    let metrics = flamegate.metrics().await.unwrap();
    assert!(metrics.sum("UnwindPythonFrames_total", &labels).unwrap_or_default() > 0.0);

    flamegate.reload(&settings("  python_enabled = false")).await.unwrap();
    let before = backend.received().len();
    // The first ones may still be of what was sampled before.
    let later = eventually("profiles after the reload", async || {
        let received = backend.received();
        (received.len() >= before + 4).then_some(received)
    });
    let last = later.await.unwrap().pop().unwrap();
    assert!(!functions(&last).iter().any(|name| name.starts_with("shop.")), "{last}");
    flamegate.into_folder(DEADLINE).await.unwrap();
}
