//! The same shop in each runtime: its functions are named as who wrote them names them, unless that is switched off.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::pprof::{Function, Profile};

use super::{configuration, profile};

/// What its profiles say.
struct Shop<'a> {
    program: Command,
    /// The argument that switches the runtime off.
    argument: &'a str,
    /// Counts its frames.
    metric: &'a str,
    /// Functions that are in its profiles, as they are named.
    functions: &'a [&'a str],
    /// One of them, that is known better: how its file's name ends, where it begins if that is told, and a line that
    /// takes time among those that are its own.
    known: &'a str,
    file: &'a str,
    start_line: Option<i64>,
    line: i64,
    lines: RangeInclusive<i64>,
}

#[tokio::test]
async fn functions_of_python_are_named_unless_that_is_switched_off() {
    let mut program = program("/usr/bin/python3", "python/main.py");
    program.env("PYTHONDONTWRITEBYTECODE", "1");
    let mut shop = Shop {
        program,
        argument: "python_enabled",
        metric: "UnwindPythonFrames_total",
        functions: &["main.<module>", "shop.cart.Cart.total", "shop.cart.Cart.prices"],
        known: "shop.cart.Cart.total",
        file: "/shop/cart.py",
        start_line: Some(2),
        line: 3,
        lines: 2..=3,
    };
    shop.is_named_unless_that_is_switched_off().await;
}

#[tokio::test]
async fn methods_of_ruby_are_named_unless_that_is_switched_off() {
    let mut shop = Shop {
        program: program("/usr/bin/ruby", "shop.rb"),
        argument: "ruby_enabled",
        metric: "UnwindRubyFrames_total",
        functions: &["<main>", "Shop::Cart.open", "Shop::Cart#total", "block in Shop::Cart#total", "Shop::Cart#price"],
        known: "Shop::Cart#price",
        file: "/shop.rb",
        start_line: Some(7),
        line: 8,
        lines: 7..=9,
    };
    shop.is_named_unless_that_is_switched_off().await;
}

#[tokio::test]
async fn subroutines_of_perl_are_named_unless_that_is_switched_off() {
    let mut shop = Shop {
        program: program("/usr/bin/perl", "shop.pl"),
        argument: "perl_enabled",
        metric: "UnwindPerlFrames_total",
        functions: &["<main>", "Shop::Cart::total", "Shop::Cart::price"],
        known: "Shop::Cart::price",
        file: "/shop.pl",
        start_line: Some(11),
        line: 12,
        lines: 11..=12,
    };
    shop.is_named_unless_that_is_switched_off().await;
}

#[tokio::test]
async fn functions_of_php_are_named_unless_that_is_switched_off() {
    let mut shop = Shop {
        program: program("/usr/bin/php8.2", "shop.php"),
        argument: "php_enabled",
        metric: "UnwindPHPFrames_total",
        functions: &["{main}", r"Shop\Cart::total", r"Shop\Cart::price", "array_map"],
        known: r"Shop\Cart::price",
        file: "/shop.php",
        start_line: Some(12),
        line: 14,
        lines: 12..=15,
    };
    shop.is_named_unless_that_is_switched_off().await;
}

#[tokio::test]
async fn functions_of_node_are_named_unless_that_is_switched_off() {
    let mut shop = Shop {
        program: program("node", "node/main.js"),
        argument: "v8_enabled",
        metric: "UnwindV8Frames_total",
        functions: &["(anonymous) main.js:1:1", "total", "prices"],
        known: "prices",
        file: "/cart.js",
        start_line: Some(6),
        line: 9,
        lines: 6..=11,
    };
    shop.is_named_unless_that_is_switched_off().await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn functions_of_java_are_named_unless_that_is_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = Command::new("javac").arg("-d").arg(folder.path()).arg(path("java/Cart.java")).status();
    assert!(compiled.unwrap_or_else(|error| panic!("this test needs a JDK: {error}")).success());
    let mut program = Command::new("java");
    program.arg("-Xmx64m").arg("-cp").arg(folder.path()).arg("shop.Cart");
    let mut shop = Shop {
        program,
        argument: "hotspot_enabled",
        metric: "UnwindHotspotFrames_total",
        functions: &["shop.Cart.main", "shop.Cart.total", "java.lang.Long.toString"],
        known: "shop.Cart.total",
        file: "shop/Cart.java",
        start_line: None,
        line: 6,
        lines: 0..=8,
    };
    let (profile, total) = shop.is_named_unless_that_is_switched_off().await;
    assert_eq!(text(&profile, total.system_name), "shop/Cart.total()J");
}

impl Shop<'_> {
    /// The profile that named it, and in it the function that is known better.
    async fn is_named_unless_that_is_switched_off(&mut self) -> (Profile, Function) {
        let (backend, running) = (Backend::start().await.unwrap(), Running::start(&mut self.program));
        let settings = |more: &str| {
            let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"shop\"}}", running.0.id());
            let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
            configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
        };
        let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
        let functions = |received: &Received| received.profiles[0].functions.clone();
        let is_named =
            |functions: &BTreeSet<String>| self.functions.iter().all(|function| functions.contains(*function));
        let named = eventually("its functions", async || {
            backend.received().into_iter().find(|received| is_named(&functions(received)))
        });
        let profile = profile(&named.await.unwrap());
        let known = self.agrees(&profile);
        let metrics = flamegate.metrics().await.unwrap();
        let labels = [("component_id", super::COMPONENT)];
        assert!(metrics.sum(self.metric, &labels).unwrap_or_default() > 0.0);

        flamegate.reload(&settings(&format!("  {} = false", self.argument))).await.unwrap();
        let before = backend.received().len();
        // The first ones may still be of what was sampled before.
        let later = eventually("profiles after the reload", async || {
            let received = backend.received();
            (received.len() >= before + 4).then_some(received)
        });
        let last = later.await.unwrap().pop().unwrap();
        assert!(self.functions.iter().all(|function| !functions(&last).contains(*function)), "{last}");
        flamegate.into_folder(DEADLINE).await.unwrap();
        (profile, known)
    }

    fn agrees(&self, profile: &Profile) -> Function {
        let known = profile.function.iter().find(|function| text(profile, function.name) == self.known).unwrap();
        assert!(text(profile, known.filename).ends_with(self.file), "{}", text(profile, known.filename));
        assert!(self.start_line.is_none_or(|line| line == known.start_line), "{}", known.start_line);
        let lines = profile.location.iter().flat_map(|location| &location.line);
        let lines: BTreeSet<i64> = lines.filter(|line| line.function_id == known.id).map(|line| line.line).collect();
        assert!(lines.contains(&self.line) && lines.iter().all(|line| self.lines.contains(line)), "{lines:?}");
        *known
    }
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Running {
    fn start(program: &mut Command) -> Self {
        let child = program.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("this test needs {}: {error}", program.get_program().display())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(runtime: &str, source: &str) -> Command {
    let mut command = Command::new(runtime);
    command.arg(path(source));
    command
}

fn path(source: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ebpf/shops").join(source)
}

fn text(profile: &Profile, place: i64) -> &str {
    &profile.string_table[usize::try_from(place).unwrap()]
}
