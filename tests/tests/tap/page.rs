//! The page, without a script and as its script follows it.

use flamegate_tests::polling::eventually;
use flamegate_tests::raw_http::RawConnection;

use super::{RELABEL, RULES, Running, form_urlencoded, pipeline, shop};

#[tokio::test]
async fn without_a_script_loading_it_again_shows_what_passed() {
    let running = Running::start(&pipeline(RULES)).await;
    let path = format!("/tap?component={RELABEL}&labels={}", form_urlencoded(r#"{service_name="shop"}"#));
    let first = running.get(&path).await;
    assert_eq!(first.status, 200);
    assert!(first.text().contains("Nothing has passed yet"), "{}", first.text());
    assert!(first.text().contains("<option value=\"profiles.view.default\">"));
    running.push(&shop("a")).await;
    running.push(&shop("gone")).await;
    running.push(&[("service_name", "other")]).await;
    let shown = eventually("the rows are there", async || {
        let text = running.get(&path).await.text();
        (text.matches("<li>").count() == 2).then_some(text)
    });
    let shown = shown.await.unwrap();
    // The last one first.
    let (dropped, passed) = shown.split_once("<li>").unwrap().1.split_once("<li>").unwrap();
    assert!(dropped.contains("dropped") && dropped.contains("gone") && !dropped.contains("<ins"), "{dropped}");
    assert!(
        passed.contains("<del class=\"label\"><span class=\"unseen\">removed </span>secret=<bdi>x</bdi></del>"),
        "{passed}"
    );
    assert!(
        passed.contains("<ins class=\"label\"><span class=\"unseen\">added </span>team=<bdi>pay</bdi></ins>"),
        "{passed}"
    );
    assert!(passed.contains("pprof cpu"), "{passed}");
}

#[tokio::test]
async fn its_script_is_sent_what_passes() {
    let running = Running::start(&pipeline(RULES)).await;
    let admin = running.flamegate.admin();
    let mut connection = RawConnection::open(admin).await.unwrap();
    connection.send(format!("GET /live/tap?component={RELABEL} HTTP/1.1\r\nHost: {admin}\r\n\r\n")).await.unwrap();
    connection.wait_for_line("HTTP/1.1 200").await.unwrap();
    running.push(&shop("a")).await;
    connection.wait_for_line("event: rows").await.unwrap();
    let rows = connection.wait_for_line("data: ").await.unwrap();
    assert!(rows.contains("<p data-missed=\"0\"></p><li>") && rows.contains("team=<bdi>pay</bdi>"), "{rows}");
}

#[tokio::test]
async fn hostile_labels_stay_texts() {
    let running = Running::start(&pipeline(RULES)).await;
    let (script, long) = ("<script>alert(1)</script>\u{202e}\u{7}", "x".repeat(10_000));
    let path = "/tap";
    running.get(path).await;
    running.push(&[("service_name", script), ("__name__", "\"><img src=x>"), ("long", &long)]).await;
    let shown = eventually("the rows are there", async || {
        let reply = running.get(path).await;
        (reply.text().matches("<li>").count() == 3).then_some(reply)
    });
    let reply = shown.await.unwrap();
    let text = reply.text();
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;··"), "{text}");
    assert!(!text.contains("<script>") && !text.contains("<img") && !text.contains(['\u{202e}', '\u{7}']));
    assert!(!text.contains(&long));
    assert!(reply.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));

    let wrong = running.get("/tap?component=%3Cscript%3E&labels=%22%3E%3Cscript%3E").await;
    assert_eq!(wrong.status, 400);
    assert!(!wrong.text().contains("<script>"), "{}", wrong.text());
    assert_eq!(running.get("/tap?component=%3Cscript%3E").await.status, 404);
}
