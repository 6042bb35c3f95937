//! Programs of Java, named as who wrote them names their functions.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use tempfile::TempDir;

use super::{configuration, profile};

const CART: &str = "package shop;
class Cart {
    long total() {
        long sum = 0;
        for (int number = 0; number < 1000; number++) {
            sum += price(number) % 7;
        }
        return sum;
    }
    long price(int number) {
        return Long.toString(number * 31L).hashCode();
    }
    public static void main(String[] arguments) {
        while (new Cart().total() > Long.MIN_VALUE) {
        }
    }
}
";

/// Runs until it is dropped.
struct Shop {
    child: Child,
    _folder: TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cart.java"), CART).unwrap();
        let compiled = Command::new("javac").arg("-d").arg(folder.path()).arg(folder.path().join("Cart.java")).status();
        assert!(compiled.unwrap_or_else(|error| panic!("this test needs a JDK: {error}")).success());
        let mut java = Command::new("java");
        java.arg("-Xmx64m").arg("-cp").arg(folder.path()).arg("shop.Cart").stdin(Stdio::null());
        Self { child: java.spawn().unwrap(), _folder: folder }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn functions_of_java_are_named_unless_that_is_switched_off() {
    let (backend, shop) = (Backend::start().await.unwrap(), Shop::open());
    let settings = |more: &str| {
        let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"shop\"}}", shop.child.id());
        let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
        configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
    };
    let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
    let own = ["shop.Cart.main", "shop.Cart.total", "java.lang.Long.toString"];
    let functions = |received: &Received| received.profiles[0].functions.clone();
    let is_named = |functions: &BTreeSet<String>| own.iter().all(|name| functions.contains(*name));
    let named = eventually("functions of Java", async || {
        backend.received().into_iter().find(|received| is_named(&functions(received)))
    });
    let profile = profile(&named.await.unwrap());
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].as_str();
    let total = profile.function.iter().find(|function| text(function.name) == "shop.Cart.total").unwrap();
    assert_eq!(text(total.filename), "shop/Cart.java");
    assert_eq!(text(total.system_name), "shop/Cart.total()J");
    let lines = profile.location.iter().flat_map(|location| &location.line);
    let lines: BTreeSet<i64> = lines.filter(|line| line.function_id == total.id).map(|line| line.line).collect();
    assert!(lines.contains(&6) && lines.iter().all(|line| (0..=8).contains(line)), "{lines:?}");
    let metrics = flamegate.metrics().await.unwrap();
    let labels = [("component_id", super::COMPONENT)];
    assert!(metrics.sum("UnwindHotspotFrames_total", &labels).unwrap_or_default() > 0.0);

    flamegate.reload(&settings("  hotspot_enabled = false")).await.unwrap();
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
