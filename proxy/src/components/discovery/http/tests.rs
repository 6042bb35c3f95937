//! A real server, and what it may answer.

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};

use super::super::tests::{context, services};
use super::super::{DiscoveryHttp, Found};
use super::*;
use crate::component::{Component, Services};
use crate::upstream::http_client::tests::server;

fn build(text: &str, services: &Services, previous: Option<&DiscoveryHttp>) -> Result<DiscoveryHttp, String> {
    let file = parse_file("test", &format!("http {{\n{text}\n}}")).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    let arguments: DiscoveryHttpArguments =
        decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())?;
    DiscoveryHttp::build(&arguments, &context(services, "discovery.http.a"), previous).map_err(|error| error.message)
}

fn answer(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

const GROUPS: &str =
    r#"[{"targets":["a:1","b:1"],"labels":{"zone":"z","__meta_url":"mine"}},{"targets":null},{"labels":{}}]"#;

#[tokio::test]
async fn a_server_is_asked_as_prometheus_asks() {
    let answers = [("/all?x=1".to_owned(), answer("Application/JSON; charset=\"UTF-8\"", GROUPS))].into();
    let (server, services) = (server::Server::start(answers).await, services());
    let url = server.url("/all?x=1");
    let client = "bearer_token = \"t\"\nrefresh_interval = \"1m30s\"";
    let component = build(&format!("url = \"{url}\"\n{client}"), &services, None).unwrap();
    let Found { targets, problems } = component.discovery.0.look().await;
    assert!(problems.is_empty(), "{problems:?}");
    let shown: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let target = |address: &str| format!(r#"{{__address__="{address}", __meta_url="{url}", zone="z"}}"#);
    assert_eq!(shown, ["a:1", "b:1"].map(target));
    let asked = server.last();
    let lines = ["accept: application/json", "authorization: Bearer t", "x-prometheus-refresh-interval-seconds: 90"];
    for line in lines.into_iter().chain(["GET /all?x=1 HTTP/1.1", "user-agent: Flamegate/"]) {
        assert!(asked.contains(line), "{line}: {asked}");
    }
}

#[tokio::test]
async fn after_an_answer_that_brings_none_the_targets_of_before_stay() {
    let bad = [
        ("/none", "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(), "answered 204"),
        ("/html", answer("text/html", GROUPS), "content type of the answer is \"text/html\""),
        ("/charset", answer("application/json; charset=latin1", GROUPS), "charset=latin1"),
        ("/broken", answer("application/json", "[{"), "the answer is no list of groups in JSON: EOF"),
        ("/field", answer("application/json", r#"[{"target":[]}]"#), "unknown field `target`"),
        ("/null", answer("application/json", "[null]"), "invalid type: null"),
        (
            "/cut",
            answer("application/json", GROUPS).replace("content-length: ", "content-length: 9"),
            "no whole answer",
        ),
        ("/large", answer("application/json", &" ".repeat(MAX_ANSWER + 1)), "larger than 16777216 bytes"),
    ];
    let mut answers: server::Answers =
        bad.iter().map(|(path, answer, _)| ((*path).to_owned(), answer.clone())).collect();
    answers.insert("/good".to_owned(), answer("application/json", GROUPS));
    answers.insert("/empty".to_owned(), answer("application/json", "null"));
    let (server, services) = (server::Server::start(answers).await, services());
    let at = |path: &str, before| build(&format!("url = \"{}\"", server.url(path)), &services, before).unwrap();
    let good = at("/good", None);
    assert_eq!(good.discovery.0.look().await.targets.len(), 2);
    for (failures, (path, _, problem)) in (1..).zip(&bad) {
        let Found { targets, problems } = at(path, Some(&good)).discovery.0.look().await;
        assert_eq!(targets.len(), 2, "{path}");
        assert!(problems[0].contains(problem) && problems[0].contains(path), "{problems:?}");
        assert_eq!(
            services.metrics.discovery_http(&context(&services, "discovery.http.a").component).count(),
            failures,
            "{path}"
        );
    }
    let empty = at("/empty", Some(&good)).discovery.0.look().await;
    assert!(empty.targets.is_empty() && empty.problems.is_empty(), "{empty:?}");
}

#[test]
fn arguments_that_cannot_be_used_are_refused() {
    let services = services();
    for (arguments, problem) in [
        ("", "missing required attribute \"url\""),
        ("url = \"ftp://a\"", "ftp"),
        ("url = \"http://a\"\nrefresh_interval = \"0s\"", "must be longer than 0s"),
        ("url = \"http://a\"\nbearer_token = \"a\"\nbearer_token_file = \"b\"", "at most one of"),
    ] {
        let error = build(arguments, &services, None).err().unwrap();
        assert!(error.contains(problem), "{error}");
    }
}
