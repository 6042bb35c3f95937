//! `write_behaviour.json` and `write_retry.json`.

use std::collections::BTreeMap;

use flamegate_tests::backend::{Answer, Attempt, Backend, Code, Script, parse_name};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::conformance::{Case, cases};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::post;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};
use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpSocket;

const CODES: [Code; 16] = [
    Code::Canceled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

fn code(name: &str) -> Code {
    CODES.into_iter().find(|code| code.name() == name).unwrap_or_else(|| panic!("no code is called {name}"))
}

fn status(value: &Value) -> StatusCode {
    StatusCode::from_u16(u16::try_from(value.as_u64().unwrap()).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    let array = value.as_array().into_iter().flatten();
    array.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Nothing where the sender was told that all went well, else what it was told.
type Told = Option<String>;

#[tokio::test]
async fn behaviour() {
    for Case { id, value } in cases("write_behaviour.json").unwrap() {
        let mut backends = Vec::new();
        for index in 0..value["endpoints"].as_u64().unwrap() {
            backends.push(Backend::start_with(script(&value, &index.to_string())).await.unwrap());
        }
        let (_flamegate, url) = pipeline(&value, &backends).await;
        let told = if value["api"] == "push" { push(&url).await } else { ingest(&url, &value).await };

        let expected = value["expected"].as_object().unwrap();
        let requests: Vec<u64> = backends.iter().map(|backend| backend.attempts().len() as u64).collect();
        for (key, expected) in expected {
            match key.as_str() {
                "requests_total" => assert_eq!(requests.iter().sum::<u64>(), expected.as_u64().unwrap(), "{id}"),
                "requests_per_endpoint" => assert_eq!(Value::from(requests.clone()), *expected, "{id}"),
                "error" if expected.is_null() => assert_eq!(told, None, "{id}"),
                "error" => assert!(told.is_some(), "{id}"),
                "error_contains" => {
                    let (told, part) = (told.clone().unwrap_or_default(), expected.as_str().unwrap());
                    assert!(told.contains(part), "{id}: {told:?} lacks {part:?}");
                }
                _ => backends[0].attempts().iter().for_each(|attempt| carries(&id, key, expected, attempt)),
            }
        }
        if expected.keys().any(|key| key == "path") {
            assert_eq!(requests, [1], "{id}");
        }
    }
}

/// What one request is to carry.
fn carries(id: &str, key: &str, expected: &Value, Attempt { request, .. }: &Attempt) {
    let texts = |expected: &Value| -> BTreeMap<String, String> { serde_json::from_value(expected.clone()).unwrap() };
    match key {
        "path" => assert_eq!(request.path, expected.as_str().unwrap(), "{id}"),
        "content_types" => {
            let types = request.headers.get_all("content-type").iter();
            let types: Vec<_> = types.map(|value| value.to_str().unwrap()).collect();
            assert_eq!(types, strings(expected), "{id}");
        }
        "header" => {
            for (name, value) in texts(expected) {
                assert_eq!(request.headers[&name], value, "{id}: {name}");
            }
        }
        "name_labels" => {
            let mut labels = texts(expected);
            // Of the receiver, through which the profile comes here.
            labels.insert("service_name".to_owned(), labels["__name__"].clone());
            let name = request.query.iter().find(|(key, _)| key == "name").unwrap();
            assert_eq!(parse_name(&name.1).unwrap(), labels, "{id}");
        }
        "query" => {
            let mut others = request.query.clone();
            others.retain(|(key, _)| key != "name");
            assert_eq!(others.into_iter().collect::<BTreeMap<_, _>>(), texts(expected), "{id}");
        }
        other => panic!("{id}: this test does not know what {other:?} expects"),
    }
}

/// What the endpoint of this number answers.
fn script(case: &Value, endpoint: &str) -> Script {
    let ok = match case["api"].as_str().unwrap() {
        "push" => Answer::status(StatusCode::OK).with_header("content-type", "application/proto"),
        _ => Answer::status(StatusCode::OK),
    };
    if let Some(failing) = case["failing"][endpoint].as_str() {
        // connect CODE "message"
        let (name, message) = failing.strip_prefix("connect ").unwrap().split_once(' ').unwrap_or_else(|| {
            let name = failing.strip_prefix("connect ").unwrap();
            (name, "")
        });
        return Script::always(Answer::connect_error(code(name), message.trim_matches('"')));
    }
    let Some(statuses) = case["status"][endpoint].as_array() else { return Script::always(ok) };
    let text = case["body"].as_str().unwrap_or_default();
    let mut answers: Vec<_> = statuses.iter().map(|value| Answer::text(status(value), text)).collect();
    if answers.len() == 1 {
        return Script::always(answers.remove(0));
    }
    Script::first(answers)
}

async fn pipeline(case: &Value, backends: &[Backend]) -> (Flamegate, String) {
    let urls: Vec<String> = backends.iter().map(Backend::url).collect();
    let mut endpoint = "min_backoff_period = \"1ms\"\n".to_owned();
    for key in ["max_backoff_retries", "retry_on_http_429", "headers"] {
        if let Some(value) = case.get(key) {
            endpoint += &format!("{key} = {}\n", alloy(value));
        }
    }
    let external = case.get("external_labels").map(|labels| format!("external_labels = {}\n", alloy(labels)));
    let write = blocks::write("default", &urls, &endpoint);
    let write = write.replacen("{\n", &format!("{{\n{}", external.unwrap_or_default()), 1);
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let flamegate = Flamegate::start(&(receive + &write), &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    (flamegate, url)
}

/// A value in the language of the configuration.
fn alloy(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key:?} = {}", alloy(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        plain => plain.to_string(),
    }
}

async fn push(url: &str) -> Told {
    let reply = PushClient::CONNECT.push(url, &good_push()).await.unwrap();
    reply.error.map(|error| format!("{}: {}", error.code, error.message))
}

async fn ingest(url: &str, case: &Value) -> Told {
    let labels: BTreeMap<String, String> =
        case.get("labels").map(|labels| serde_json::from_value(labels.clone()).unwrap()).unwrap_or_default();
    let pairs: Vec<_> =
        labels.iter().filter(|(key, _)| *key != "__name__").map(|(key, value)| format!("{key}={value}")).collect();
    let service = labels.get("__name__").map_or("shop", String::as_str);
    let query = case["query"].as_str().unwrap_or_default();
    let url = format!("{url}/ingest?name={service}{{{}}}&{query}", pairs.join(","));
    let content_types = strings(&case["content_types"]);
    let headers: Vec<_> = content_types.iter().map(|value| ("content-type", value.as_str())).collect();
    let reply = post(&url, &headers, "main 1\n").await.unwrap();
    (reply.status != 200).then(|| reply.text())
}

/// One pipeline for each case and each value of `retry_on_http_429`, all in one process.
#[tokio::test]
async fn retries() {
    struct Tried {
        id: String,
        case: Value,
        flag: bool,
        label: String,
        backend: Target,
    }
    let mut all = Vec::new();
    let mut configuration = String::new();
    for Case { id, value: case } in cases("write_retry.json").unwrap() {
        for flag in [false, true] {
            let backend = Target::of(&case).await;
            let label = format!("case_{id}_{flag}");
            let retrying = format!("min_backoff_period = \"1ms\"\nmax_backoff_retries = 2\nretry_on_http_429 = {flag}");
            configuration += &ReceiveHttp { label: &label, writes: &[&label], ..ReceiveHttp::default() }.block();
            configuration += &blocks::write(&label, &[backend.url()], &retrying);
            all.push(Tried { id: id.clone(), case: case.clone(), flag, label, backend });
        }
    }
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    for Tried { id, case, flag, label, backend } in all {
        let what = format!("case {id}, retry_on_http_429 = {flag}: {case}");
        let url = format!("http://{}", flamegate.listener(&format!("pyroscope.receive_http.{label}")).await.unwrap());
        let ok = case["ok"] == true;
        let told = if case["path"] == "push" {
            let told = push(&url).await;
            let name = case.get("client_code").or(case.get("connect_code")).and_then(Value::as_str);
            if let (Some(told), Some(name)) = (&told, name) {
                assert!(told.starts_with(&format!("{name}: ")), "{what}: {told}");
            }
            told
        } else {
            ingest(&url, &case).await
        };
        assert_eq!(told.is_none(), ok, "{what}: {told:?}");
        let retried = case[format!("retry_429_{flag}")].as_bool().unwrap_or_default();
        let id = format!("pyroscope.write.{label}");
        let metrics = flamegate.metrics().await.unwrap();
        let counted = metrics.sum("pyroscope_write_retries_total", &[("component_id", &id)]);
        assert_eq!(counted, Some(f64::from(u8::from(retried))), "{what}");
        if let Target::Answers(backend) = backend {
            assert_eq!(backend.attempts().len(), 1 + usize::from(retried), "{what}: {}", backend.summary());
        }
    }
}

enum Target {
    Answers(Backend),
    /// Bound, so that nobody else has the port, but not listening.
    RefusesConnections(TcpSocket),
}

impl Target {
    async fn of(case: &Value) -> Self {
        if case["transport_error"] == "connection refused" {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
            return Self::RefusesConnections(socket);
        }
        Self::Answers(Backend::start_with(answers(case)).await.unwrap())
    }

    fn url(&self) -> String {
        match self {
            Self::Answers(backend) => backend.url(),
            Self::RefusesConnections(socket) => format!("http://{}", socket.local_addr().unwrap()),
        }
    }
}

fn answers(case: &Value) -> Script {
    let answer = match (case["connect_error"].as_str(), case["body"].as_str()) {
        (Some(name), _) => {
            let answer = Answer::connect_error(code(name), "as scripted");
            if let Some(expected) = case.get("http_status") {
                assert_eq!(code(name).status(), status(expected), "{case}");
            }
            answer
        }
        (None, Some(text)) => Answer::text(status(&case["http_status"]), text),
        (None, None) => Answer::status(status(&case["http_status"])),
    };
    Script::always(answer)
}
