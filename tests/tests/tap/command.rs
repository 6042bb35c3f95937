//! `flamegate tap`, as a person or a script calls it.

use flamegate_tests::flamegate::{Ended, Flamegate};
use serde_json::Value;

use super::{RELABEL, RULES, Running, pipeline, shop};

/// Runs the command while profiles are pushed, to its end.
async fn tap(running: &Running, labels: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let server = format!("http://{}", running.flamegate.admin());
    let arguments = [&["tap", "--server", &server], arguments].concat();
    let folder = running.flamegate.folder();
    let pushing = async {
        loop {
            running.push(labels).await;
        }
    };
    tokio::select! {
        ended = Flamegate::command(folder, &arguments, "") => ended.unwrap(),
        () = pushing => unreachable!("it goes on until the command ends"),
    }
}

#[tokio::test]
async fn what_passes_is_printed() {
    let running = Running::start(&pipeline(RULES)).await;
    let ended = tap(&running, &shop("a"), &[RELABEL, "-n", "2"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 6, "{}", ended.stdout);
    assert!(lines[0].contains("pyroscope.relabel.main  passed  pprof cpu  "), "{}", lines[0]);
    assert_eq!(
        lines[1],
        r#"    {__name__="process_cpu", app_name="process_cpu", pod="a", secret="x", service_name="shop"}"#
    );
    assert_eq!(
        lines[2],
        r#"  → {__name__="process_cpu", app_name="process_cpu", pod="a", service_name="shop", team="pay"}"#
    );

    let ended = tap(&running, &shop("gone"), &[RELABEL, "-n", "1", "--selector", r#"{pod="gone"}"#]).await;
    assert!(ended.stdout.contains("  dropped  ") && ended.stdout.contains("  → dropped: "), "{}", ended.stdout);

    let ended = tap(&running, &shop("a"), &["--json", "-n", "3"]).await;
    let rows: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ended.code, rows.len()), (Some(0), 3), "{}", ended.stderr);
}

#[tokio::test]
async fn hostile_labels_do_not_reach_the_terminal() {
    let running = Running::start(&pipeline(RULES)).await;
    let (hostile, long) = ("\u{1b}[2J\u{202e}\u{7}\nx", "x".repeat(10_000));
    let labels = [("service_name", hostile), ("long", &*long)];
    let ended = tap(&running, &labels, &[RELABEL, "-n", "1"]).await;
    assert_eq!(ended.stdout.lines().count(), 3, "{}", ended.stdout);
    assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}', '\u{7}']) && ended.stdout.len() < 2000);
    let ended = tap(&running, &labels, &[RELABEL, "-n", "1", "--json"]).await;
    let row: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((row["before"]["service_name"].as_str(), row["before"]["long"].as_str()), (Some(hostile), Some(&*long)));
    assert!(!ended.stdout.contains('\u{1b}'));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let failing = async |arguments: &[&str]| {
        let ended = Flamegate::command(folder.path(), arguments, "").await.unwrap();
        assert_ne!(ended.code, Some(0), "{}", ended.stdout);
        ended.stderr
    };
    let away = failing(&["tap", "--server", "http://127.0.0.1:1"]).await;
    assert!(away.contains("nobody answers at http://127.0.0.1:1") && away.contains("--server"), "{away}");
    assert!(failing(&["tap", "--server", "ftp://x"]).await.contains("http://"));
    assert!(failing(&["tap", "--selector", "{a}"]).await.contains("a label's name expected"));
    assert!(failing(&["tap", "-n", "0"]).await.contains("'0'"));

    let auth = "http {\n auth {\n basic {\n username = \"me\"\n password = \"hunter2\"\n }\n }\n}\n";
    let running = Running::start(&pipeline(RULES)).await;
    let server = running.flamegate.admin().to_string();
    let unknown = failing(&["tap", "pyroscope.relabel.other", "--server", &server]).await;
    assert!(unknown.contains("pyroscope.relabel.other") && unknown.contains(RELABEL), "{unknown}");

    running.flamegate.reload(&format!("{auth}{}", pipeline(RULES))).await.unwrap();
    assert!(failing(&["tap", "--server", &server]).await.contains("--username"));
    let password = |text: &str| {
        let file = folder.path().join(text);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let wrong = failing(&["tap", "--server", &server, "--username", "me", "--password-file", &password("wrong")]).await;
    assert!(wrong.contains("does not know this user"), "{wrong}");
    let right = password("hunter2");
    let ended = tap(&running, &shop("a"), &["-n", "1", "--username", "me", "--password-file", &right]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
