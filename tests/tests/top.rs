//! `flamegate top` in a terminal, beside the real process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::path::Path;
use std::time::Duration;

use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::{Flamegate, Signal};
use flamegate_tests::http_client::get;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::RECEIVE;
use flamegate_tests::terminal::Terminal;
use serde_json::Value;

const ENDS: Duration = Duration::from_secs(30);
const NOBODY: &str = "http://127.0.0.1:1";
/// Sequences that take the alternate screen and give it back.
const TAKEN: &[u8] = b"\x1b[?1049h";
const GIVEN_BACK: &[u8] = b"\x1b[?1049l";

/// A pipeline that keeps profiles, and loses them at an endpoint that nobody listens at.
fn pipeline(besides: &str) -> String {
    let receive = ReceiveHttp { label: "default", ..ReceiveHttp::default() }.block();
    let to = "forward_to = [pyroscope.write.default.receiver, profiles.view.default.receiver]";
    let write = blocks::write("default", &[NOBODY.to_owned()], "max_backoff_retries = 1");
    format!("{besides}{write}profiles.view \"default\" {{ }}\n{}", receive.replace("forward_to = []", to))
}

async fn push(flamegate: &Flamegate, service: &str) {
    let receiver = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let labels = [("__name__", "process_cpu"), ("service_name", service)];
    let profile = ProfileBuilder::cpu().sample(&["burn", "main"], &[7], &[]).gzip().unwrap();
    // The endpoint takes nothing: what the sender hears is not what is looked at here.
    let _refused = PushClient::CONNECT.push(&receiver, &PushRequest::one(&labels, profile)).await.is_err();
}

fn url(flamegate: &Flamegate) -> String {
    format!("http://{}", flamegate.admin())
}

fn has(written: &[u8], part: &[u8]) -> bool {
    written.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn the_overview_is_live_in_a_terminal() {
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    let mut top = Terminal::start(&["top", "--server", &url(&flamegate)], &[], 24, 80).unwrap();
    top.wait_for(&["All is well: 3 components running", "In", "Waiting", "live"]).await.unwrap();
    assert!(top.is_raw().unwrap() && has(&top.written(), TAKEN));
    for _ in 0..3 {
        push(&flamegate, "shop").await;
    }
    // Without a key: what fails and why, what was lost, the busiest series.
    let parts =
        ["pyroscope.write.default is failing", "no connection", "given up by the endpoint", "shop · process_cpu"];
    let screen = top.wait_for(&parts).await.unwrap();
    assert!(screen.contains("profiles.view.default"), "{screen}");

    top.press("?").unwrap();
    top.wait_for(&["Keys", "another table"]).await.unwrap();
    top.press("?").unwrap();
    top.press("p").unwrap();
    top.wait_for(&["paused"]).await.unwrap();
    top.press("p").unwrap();
    top.wait_for(&["live"]).await.unwrap();

    top.resize(12, 40).unwrap();
    top.wait_for(&["pyroscope.write.default is failing", "In       "]).await.unwrap();
    top.resize(50, 120).unwrap();
    top.wait_for(&["pyroscope.receive_http.default", "Sends to"]).await.unwrap();

    top.press("q").unwrap();
    assert_eq!(top.ended().await.unwrap(), Some(0));
    assert!(!top.is_raw().unwrap() && has(&top.written(), GIVEN_BACK));
}

#[tokio::test]
async fn the_terminal_is_given_back_however_it_ends() {
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    let interrupt = |top: &mut Terminal| top.press("\u{3}");
    let ends: [fn(&mut Terminal) -> _; 2] = [|top| top.signal(Signal::SIGTERM), |top| top.signal(Signal::SIGINT)];
    for end in [interrupt as fn(&mut Terminal) -> _].into_iter().chain(ends) {
        let mut top = Terminal::start(&["top", "--server", &url(&flamegate)], &[], 24, 80).unwrap();
        top.wait_for(&["All is well"]).await.unwrap();
        end(&mut top).unwrap();
        assert_eq!(top.ended().await.unwrap(), Some(0));
        assert!(!top.is_raw().unwrap() && has(&top.written(), GIVEN_BACK));
    }
}

#[tokio::test]
async fn it_goes_on_when_the_server_is_back() {
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    let admin = flamegate.admin().to_string();
    let top = Terminal::start(&["top", "--server", &url(&flamegate)], &[], 24, 80).unwrap();
    top.wait_for(&["All is well", "live"]).await.unwrap();
    let folder = flamegate.into_folder(ENDS).await.unwrap();
    let screen = top.wait_for(&["not reached", "no Flamegate answers at"]).await.unwrap();
    assert!(screen.contains("All is well"), "what was seen last stays: {screen}");
    let flag = format!("--server.http.listen-addr={admin}");
    let again = Flamegate::start_in(folder, &pipeline(""), &[&flag]).await.unwrap();
    assert_eq!(again.admin().to_string(), admin);
    top.wait_for(&["live"]).await.unwrap();
}

#[tokio::test]
async fn hostile_names_do_not_reach_the_terminal() {
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    let top = Terminal::start(&["top", "--server", &url(&flamegate)], &[], 24, 80).unwrap();
    push(&flamegate, "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}שלום\u{9b}31m日本").await;
    let screen = top.wait_for(&["<U+1B>]0;owned<U+7><U+1B>[2J<U+202E>"]).await.unwrap();
    assert!(screen.contains("All is well") || screen.contains("is failing"), "{screen}");
    let written = top.written();
    for part in ["\u{1b}]0;", "\u{7}", "\u{202e}", "\u{9b}", "ש"] {
        assert!(!has(&written, part.as_bytes()), "{part:?}");
    }
}

#[tokio::test]
async fn without_a_terminal_it_is_told_once() {
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    push(&flamegate, "shop").await;
    for arguments in [&["top", "--server", &url(&flamegate)][..], &["top", "--once", "--server", &url(&flamegate)]] {
        let told = Flamegate::command(Path::new("/"), arguments, "").await.unwrap();
        assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
        for part in
            ["pyroscope.write.default is failing", "In ", "shop · process_cpu", "given up by the endpoint", NOBODY]
        {
            assert!(told.stdout.contains(part), "{part} is missing in {}", told.stdout);
        }
        // Rates need two looks.
        assert!(!told.stdout.contains('…') && !told.stdout.contains('\u{1b}'), "{}", told.stdout);
    }
}

#[tokio::test]
async fn who_cannot_be_asked_is_told_before_the_screen_is_taken() {
    let ask = async |arguments: &[&str]| Flamegate::command(Path::new("/"), arguments, "").await.unwrap();
    let away = ask(&["top", "--server", NOBODY]).await;
    assert_eq!(away.code, Some(1));
    assert!(away.stderr.contains("no Flamegate answers at http://127.0.0.1:1") && away.stderr.contains("--server"));
    let no_url = ask(&["top", "--server", "ftp://localhost"]).await;
    assert_eq!(no_url.code, Some(1), "{}", no_url.stderr);
    assert!(no_url.stderr.starts_with("--server: \"ftp://localhost\""), "{}", no_url.stderr);
    let mut top = Terminal::start(&["top", "--server", NOBODY], &[], 24, 80).unwrap();
    assert_eq!(top.ended().await.unwrap(), Some(1));
    assert!(!has(&top.written(), TAKEN));
}

#[tokio::test]
async fn a_login_is_asked_for_and_given() {
    let auth = "http {\n auth {\n basic {\n username = \"u\"\n password = \"p w\"\n }\n }\n}\n";
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    flamegate.reload(&pipeline(auth)).await.unwrap();
    let url = url(&flamegate);
    let folder = flamegate.folder();
    std::fs::write(folder.join("password"), "p w\n").unwrap();
    std::fs::write(folder.join("wrong"), "x\n").unwrap();
    let ask = async |more: &[&str]| {
        let arguments: Vec<&str> =
            ["top", "--once", "--server", &url].into_iter().chain(more.iter().copied()).collect();
        Flamegate::command(folder, &arguments, "").await.unwrap()
    };
    let nobody = ask(&[]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("asks for a user and a password: --username"), "{}", nobody.stderr);
    let wrong = ask(&["--username", "u", "--password-file", "wrong"]).await;
    assert!(wrong.stderr.contains("does not let this user in"), "{}", wrong.stderr);
    let without = ask(&["--username", "u"]).await;
    assert!(without.stderr.contains("--username has no password"), "{}", without.stderr);
    let known = ask(&["--username", "u", "--password-file", "password"]).await;
    assert!(known.stdout.contains("All is well"), "{}", known.stderr);
    let by_variable = [("FLAMEGATE_USERNAME", "u"), ("FLAMEGATE_PASSWORD", "p w")];
    let top = Terminal::start(&["top", "--server", &url], &by_variable, 24, 80).unwrap();
    top.wait_for(&["All is well", "live"]).await.unwrap();
}

#[tokio::test]
async fn programs_are_told_the_same() {
    let flamegate = Flamegate::start(&pipeline(""), &[]).await.unwrap();
    push(&flamegate, "shop").await;
    let reply = get(&format!("{}/api/v0/web/overview", url(&flamegate))).await.unwrap();
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let overview: Value = serde_json::from_slice(&reply.body).unwrap();
    let failing = &overview["failing"];
    assert_eq!((&failing["of"], &failing["first"][0]["path"]), (&Value::from(1), &"pyroscope.write.default".into()));
    assert_eq!(failing["first"][0]["condition"], "failing");
    assert!(failing["first"][0]["wrong"]["reason"].as_str().unwrap().contains("refused"));
    assert_eq!(overview["busiest"][0]["series"]["first"][0]["labels"]["service_name"], "shop");
    assert_eq!(overview["losses"]["first"][0]["detail"], NOBODY);
    assert_eq!(overview["endpoints"]["first"][0]["endpoint"], NOBODY);
    assert_eq!(overview["components"]["of"], 3);
    assert_eq!(
        (&overview["flow"]["in"]["total"], &overview["flow"]["in"]["perSecond"]),
        (&Value::from(1), &Value::Null)
    );
}
