//! The pages in a real browser: `tests/clients/browser`, which `cargo xtask test` installs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flamegate_tests::pprof::ProfileBuilder;
use tokio::process::Command;

use super::{Running, burning, pipeline, shop};

/// Some twenty pages, and a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(300);

/// Of which the graph has a level.
const MODULE: &str = r#"
declare "marked" {
  argument "to" { }
  pyroscope.relabel "inner" {
    forward_to = argument.to.value
    rule {
      target_label = "team"
      replacement  = "pay"
    }
    rule {
      action = "labeldrop"
      regex  = "long"
    }
  }
  export "receiver" {
    value = pyroscope.relabel.inner.receiver
  }
}
marked "a" {
  to = []
}
"#;

#[tokio::test]
async fn every_page_in_a_browser() {
    let running = Running::start(&pipeline(MODULE, "marked.a.receiver, "), &[]).await;
    let (script, long) = ("<script>alert(1)</script>\u{202e}\u{7}שלום", "x".repeat(10_000));
    let hostile = [("__name__", "<b>"), ("service_name", script), ("hostile", "yes"), ("long", &long)];
    running.push(&hostile, ProfileBuilder::cpu().sample(&[script, &long], &[1], &[]).encode()).await;
    for _ in 0..9 {
        running.push(&shop("a"), burning("burn", 30_000_000)).await;
        running.push(&shop("b"), burning("wait", 10_000_000)).await;
    }
    // Beside the test's other output, for whoever wants to see.
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    std::fs::create_dir_all(&screenshots).unwrap();
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools/browser");
    assert!(client.join("installed-from").is_file(), "no browser test: `cargo xtask test` installs it");
    let browsing = Command::new("node")
        .arg(client.join("pages.mjs"))
        .args([format!("http://{}", running.flamegate.admin()), running.receiver.clone()])
        .arg(&screenshots)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, browsing).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
