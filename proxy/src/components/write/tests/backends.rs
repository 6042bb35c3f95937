//! Many backends behind one URL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tokio::sync::RwLock;

use super::backend::Asked;
use super::*;

mod policies;

/// The name that requests are for; nothing is there.
const URL: &str = "http://pyroscope.invalid:4040/base";
const FEW_RETRIES: &str = "min_backoff_period = \"1ms\"\nmax_backoff_period = \"20ms\"\nmax_backoff_retries = 8";

fn block(addresses: impl IntoIterator<Item = impl ToString>, more: &str) -> String {
    let target = |address: String| format!("{{ __address__ = \"{address}\" }}");
    let targets: Vec<_> = addresses.into_iter().map(|address| target(address.to_string())).collect();
    format!("backends {{\ntargets = [{}]\n{more}\n}}", targets.join(", "))
}

fn addresses<'a>(backends: impl IntoIterator<Item = &'a Backend>) -> Vec<SocketAddr> {
    backends.into_iter().map(|backend| backend.address).collect()
}

fn running(endpoint: &str, previous: Option<&Write>) -> Write {
    let write = build(URL, endpoint, previous).unwrap();
    write.activate();
    write
}

async fn start(count: usize) -> Vec<Backend> {
    join_all((0..count).map(|_| Backend::start(Answers::new()))).await
}

/// Nobody listens there.
async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn counts(backends: &[Backend]) -> Vec<usize> {
    backends.iter().map(|backend| backend.asked().len()).collect()
}

/// The services whose profiles a backend has.
fn services(backend: &Backend) -> BTreeSet<String> {
    services_in(backend.asked())
}

fn services_in(asked: Vec<Asked>) -> BTreeSet<String> {
    let service = |asked: Asked| {
        let query = asked.target.split_once('?').unwrap().1.to_owned();
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "name").unwrap().1.into_owned()
    };
    asked.into_iter().filter(|asked| asked.target.contains("/ingest?")).map(service).collect()
}

/// By address, what the component shows of its backends.
fn shown(write: &Write, field: &str) -> BTreeMap<String, Value> {
    let info = write.debug_info().unwrap();
    let endpoints = info.fields().unwrap()["endpoint"].elements().unwrap();
    let backends = endpoints.first().unwrap().fields().unwrap()["backends"].elements().unwrap();
    let of = |backend: &Value| {
        let fields = backend.fields().unwrap();
        (fields["address"].as_str().unwrap().to_owned(), fields[field].clone())
    };
    backends.iter().map(of).collect()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn until_shown(write: &Write, address: SocketAddr, state: &str) {
    let shows = || shown(write, "state").get(&address.to_string()).is_some_and(|shown| shown.as_str() == Some(state));
    until(&format!("{address} is {state}"), shows).await;
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_costs_no_retry() {
    let (backend, gone) = (Backend::start(Answers::new()).await, dead().await);
    let write = running(&block([backend.address, gone], ""), None);
    for _ in 0..20 {
        send(&write).await.unwrap();
    }
    assert_eq!(backend.asked().len(), 20);
    // After five failures it is left alone.
    assert_eq!(shown(&write, "state")[&gone.to_string()], Value::from("ejected"));
    assert_eq!(shown(&write, "failures")[&gone.to_string()], Value::from(5_u64));
    assert!(format!("{:?}", shown(&write, "last_error")).contains(" refused"));
    let retries = write.stage.targets[0].metrics.retries.count();
    assert_eq!(retries, 0);
}

#[tokio::test]
async fn where_none_can_be_reached_each_is_tried_once() {
    let gone = [dead().await, dead().await, dead().await];
    let write = running(&block(gone, ""), None);
    let error = send(&write).await.unwrap_err();
    assert_eq!((error.status, error.retry), (http::StatusCode::SERVICE_UNAVAILABLE, Retry::Later(None)));
    assert!(shown(&write, "failures").values().all(|failures| *failures == Value::from(1_u64)));
}

#[tokio::test]
async fn who_fails_again_and_again_is_ejected_but_never_all() {
    let backends = start(2).await;
    backends[0].answer("/base/ingest", 500);
    let write = running(&block(addresses(&backends), ""), None);
    let mut refused = 0;
    for _ in 0..30 {
        refused += usize::from(send(&write).await.is_err());
    }
    assert_eq!((refused, counts(&backends)), (5, vec![5, 25]));
    assert_eq!(shown(&write, "state")[&backends[0].address.to_string()], Value::from("ejected"));
    // The fault of a request is none of the backend.
    backends[1].answer("/base/ingest", 400);
    for _ in 0..10 {
        assert!(send(&write).await.is_err());
    }
    assert_eq!(counts(&backends), [5, 35]);
    backends[1].answer("/base/ingest", 503);
    for _ in 0..25 {
        assert!(send(&write).await.is_err());
    }
    let counted = counts(&backends);
    assert!(counted[0] > 5 && counted[1] > 40, "with all ejected all are tried: {counted:?}");
    backends.iter().for_each(|backend| backend.answer("/base/ingest", 200));
    for _ in 0..10 {
        send(&write).await.unwrap();
    }
}

#[tokio::test]
async fn a_backend_that_dies_under_load_loses_nothing() {
    let mut backends = start(3).await;
    let write = running(&format!("{}\n{FEW_RETRIES}", block(addresses(&backends), "")), None);
    let sent = AtomicUsize::new(0);
    let sending = (0..600).map(|service| {
        let (write, sent) = (&write, &sent);
        async move {
            send_of(write, &format!("s{service}")).await.unwrap();
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    let load = stream::iter(sending).buffer_unordered(16).collect::<Vec<_>>();
    let killing = async {
        until("a third is sent", || sent.load(Ordering::Relaxed) > 200).await;
        let dying = backends.pop().unwrap();
        // Until its connections are closed it may take some more.
        let record = dying.record();
        drop(dying);
        record
    };
    let (_, record) = tokio::join!(load, killing);
    let had = services_in(record.lock().unwrap().clone());
    let all: BTreeSet<String> = backends.iter().flat_map(services).chain(had).collect();
    assert_eq!(all.len(), 600);
}

#[tokio::test]
async fn health_checks_take_backends_out_and_in() {
    let backends = start(2).await;
    let check = "health_check {\ninterval = \"20ms\"\nunhealthy_threshold = 2\nhealthy_threshold = 2\n}";
    let endpoint = format!("bearer_token = \"t\"\n{}", block(addresses(&backends), check));
    let write = running(&endpoint, None);
    let asked_ready = |backend: &Backend| backend.asked().iter().any(|asked| asked.target == "/ready");
    until("both were asked", || backends.iter().all(asked_ready)).await;
    let asked = backends[0].asked().into_iter().find(|asked| asked.target == "/ready").unwrap();
    assert_eq!(asked.headers["authorization"], "Bearer t");
    assert_eq!(asked.headers["host"], "pyroscope.invalid:4040");

    backends[0].answer("/ready", 503);
    until_shown(&write, backends[0].address, "unhealthy").await;
    let error = shown(&write, "last_error")[&backends[0].address.to_string()].clone();
    assert!(error.as_str().unwrap().contains("answers 503"), "{error:?}");
    backends.iter().for_each(Backend::forget);
    for service in 0..10 {
        send_of(&write, &format!("s{service}")).await.unwrap();
    }
    assert_eq!((services(&backends[0]).len(), services(&backends[1]).len()), (0, 10));

    // With none that is well any is better than none.
    backends[1].answer("/ready", 503);
    until_shown(&write, backends[1].address, "unhealthy").await;
    send(&write).await.unwrap();

    backends.iter().for_each(|backend| backend.answer("/ready", 204));
    for backend in &backends {
        until_shown(&write, backend.address, "healthy").await;
    }
    backends.iter().for_each(Backend::forget);
    for service in 0..10 {
        send_of(&write, &format!("s{service}")).await.unwrap();
    }
    assert_eq!((services(&backends[0]).len(), services(&backends[1]).len()), (5, 5));
}

#[tokio::test]
async fn tcp_checks_open_connections() {
    let (backend, gone) = (Backend::start(Answers::new()).await, dead().await);
    let check = "health_check {\ntype = \"tcp\"\ninterval = \"20ms\"\n}";
    let write = running(&block([backend.address, gone], check), None);
    until_shown(&write, gone, "unhealthy").await;
    assert_eq!(shown(&write, "state")[&backend.address.to_string()], Value::from("healthy"));
    assert!(backend.asked().is_empty() && backend.connections() > 0);
}

#[tokio::test]
async fn targets_change_under_load_and_nothing_is_lost() {
    let backends = start(4).await;
    let endpoint = |list: &[Backend]| format!("{}\n{FEW_RETRIES}", block(addresses(list), ""));
    let current = RwLock::new(Arc::new(running(&endpoint(&backends[..2]), None)));
    let sent = AtomicUsize::new(0);
    let sending = (0..800).map(|service| {
        let (current, sent) = (&current, &sent);
        async move {
            let write = current.read().await.clone();
            send_of(&write, &format!("s{service}")).await.unwrap();
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    let load = stream::iter(sending).buffer_unordered(16).collect::<Vec<_>>();
    let changing = async {
        for (step, list) in [&backends[1..3], &backends[2..], &backends[..1], &backends[..]].into_iter().enumerate() {
            until("some were sent", || sent.load(Ordering::Relaxed) > 150 * (step + 1)).await;
            let before = current.read().await.clone();
            *current.write().await = Arc::new(running(&endpoint(list), Some(&before)));
        }
    };
    tokio::join!(load, changing);
    let all: BTreeSet<String> = backends.iter().flat_map(services).collect();
    assert_eq!(all.len(), 800);
    assert!(backends.iter().all(|backend| !backend.asked().is_empty()), "{:?}", counts(&backends));
}

#[tokio::test]
async fn what_stays_keeps_its_connections_and_its_health() {
    let backends = start(3).await;
    backends[0].answer("/base/ingest", 500);
    let endpoint = |list: &[Backend], more: &str| format!("{}\n{more}", block(addresses(list), ""));
    let first = running(&endpoint(&backends[..2], ""), None);
    for _ in 0..20 {
        let _either = send(&first).await;
    }
    assert_eq!(counts(&backends), [5, 15, 0]);
    let second = running(&endpoint(&backends, ""), Some(&first));
    until("three are there", || shown(&second, "state").len() == 3).await;
    for _ in 0..20 {
        send(&second).await.unwrap();
    }
    assert_eq!(counts(&backends), [5, 25, 10], "the first one stays ejected");
    assert_eq!(backends[1].connections(), 1);
    // Another option of the endpoint, but the same connections.
    let third = running(&endpoint(&backends, "bearer_token = \"t\""), Some(&second));
    for _ in 0..20 {
        send(&third).await.unwrap();
    }
    assert_eq!(counts(&backends), [5, 35, 20]);
    assert_eq!((backends[1].connections(), backends[2].connections()), (1, 1));
}

#[tokio::test]
async fn without_targets_the_sender_is_to_come_again() {
    let backend = Backend::start(Answers::new()).await;
    let empty = running(&block([] as [&str; 0], ""), None);
    let error = send(&empty).await.unwrap_err();
    assert_eq!((error.status, error.retry), (http::StatusCode::SERVICE_UNAVAILABLE, Retry::Later(None)));
    assert!(error.to_string().contains("no backend: the list of targets is empty"), "{error}");
    // A call that waits finds those that come.
    let endpoint = |list: &[SocketAddr]| format!("{}\n{FEW_RETRIES}", block(list, "")).replace("20ms", "1s");
    let empty = running(&endpoint(&[]), None);
    let filling = async {
        tokio::task::yield_now().await;
        running(&endpoint(&[backend.address]), Some(&empty))
    };
    let (sent, _filled) = tokio::join!(send(&empty), filling);
    sent.unwrap();
}

#[tokio::test]
async fn names_are_looked_up_and_bad_ones_do_no_harm() {
    let backend = Backend::start(Answers::new()).await;
    let port = backend.address.port();
    let write = running(&block([format!("localhost:{port}"), "nothing.invalid".to_owned()], ""), None);
    for _ in 0..4 {
        send(&write).await.unwrap();
    }
    assert_eq!(
        shown(&write, "target"),
        BTreeMap::from([(backend.address.to_string(), Value::from(format!("localhost:{port}")))])
    );
    let info = format!("{:?}", write.debug_info());
    assert!(info.contains("unresolved = [{error = ") && info.contains("target = \"nothing.invalid\""), "{info}");
}

#[tokio::test]
async fn over_tls_the_name_is_that_of_the_url() {
    let ours = Authority::new("ours");
    let backends =
        [Backend::start_tls(&listener(&ours.server())).await, Backend::start_tls(&listener(&ours.server())).await];
    let check = "health_check { interval = \"20ms\" }";
    for (more, version) in [("", Version::HTTP_2), ("enable_http2 = false", Version::HTTP_11)] {
        let endpoint =
            format!("{}\ntls_config {{\nca_pem = `{}`\n}}\n{more}", block(addresses(&backends), check), ours.pem);
        let write = build("https://localhost:1/", &endpoint, None).unwrap();
        write.activate();
        send(&write).await.unwrap();
        send(&write).await.unwrap();
        for backend in &backends {
            let asked = backend.asked().into_iter().rfind(|asked| asked.target.contains("ingest?")).unwrap();
            assert_eq!(asked.version, version);
            let authority = asked.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or(&asked.target);
            assert!(authority.trim_start_matches("https://").starts_with("localhost:1"), "{asked:?}");
            backend.forget();
        }
        // Checks speak TLS as well.
        until("checks succeeded", || {
            backends.iter().all(|backend| backend.asked().iter().any(|asked| asked.target.ends_with("/ready")))
        })
        .await;
        assert!(shown(&write, "state").values().all(|state| *state == Value::from("healthy")));
    }
    let url = format!("https://{}", backends[0].address);
    let endpoint = format!("{}\ntls_config {{\nca_pem = `{}`\n}}", block(addresses(&backends), ""), ours.pem);
    let write = build(&url, &endpoint, None).unwrap();
    write.activate();
    assert!(refusal(&write).await.contains("certificate"), "it is for the name alone");
}

#[tokio::test]
async fn series_of_backends_come_and_go() {
    let backends = start(2).await;
    let write = running(&block(addresses(&backends), ""), None);
    send(&write).await.unwrap();
    send(&write).await.unwrap();
    let series = |name: &str, backend: &Backend| {
        let text = write.metrics.text().unwrap();
        let address = format!("backend=\"{}\"", backend.address);
        text.lines()
            .find(|line| line.starts_with(name) && line.contains(&address))
            .map(|line| line.rsplit_once(' ').unwrap().1.to_owned())
    };
    let requests = "flamegate_write_backend_requests_total{";
    for backend in &backends {
        assert_eq!(series(requests, backend).as_deref(), Some("1"));
        assert_eq!(series("flamegate_write_backend_failures_total{", backend).as_deref(), Some("0"));
        assert_eq!(series("flamegate_write_backend_in_flight{", backend).as_deref(), Some("0"));
        assert_eq!(series("flamegate_write_backend_state{", backend).as_deref(), Some("0"));
    }
    // What a reload does where nothing but the targets differs.
    let fewer = running(&block(addresses(&backends[..1]), ""), Some(&write));
    until("the other one is forgotten", || series(requests, &backends[1]).is_none()).await;
    assert_eq!(series(requests, &backends[0]).as_deref(), Some("1"));
    drop(fewer);
    write.forget();
    assert!(!write.metrics.text().unwrap().contains("backend=\""));
}

#[test]
fn what_is_wrong_is_said() {
    let one = "targets = [{ __address__ = \"h:1\" }]";
    for (block, says) in [
        ("backends { targets = [{ a = \"b\" }] }".to_owned(), "targets: [0] has no __address__"),
        (block(["h", "http://h:1"], ""), "targets: [1]: __address__ \"http://h:1\" is a URL"),
        (block(["h:x"], ""), "neither host:port"),
        (block(vec!["h"; 1001], ""), "1001 are more than the 1000"),
        (block(["h"], "policy = \"best\""), "is no policy"),
        (block(["h"], "hash_labels = [\"a\"]"), "is for the policy \"consistent_hash\" alone"),
        (block(["h"], "health_check { interval = \"0s\" }"), "must be longer than 0s"),
        (block(["h"], "health_check { unhealthy_threshold = 0 }"), "must be 1 or more"),
        (block(["h"], "health_check { type = \"icmp\" }"), "is no check"),
        (block(["h"], "health_check {\ntype = \"tcp\"\npath = \"/a\"\n}"), "is for the type \"http\" alone"),
        (block(["h"], "health_check { path = \"ready\" }"), "begins with a slash"),
        (format!("backends {{\n{one}\n}}\nproxy_url = \"http://p:1\""), "cannot stand beside `backends`"),
        (format!("backends {{\n{one}\n}}\nproxy_from_environment = true"), "cannot stand beside `backends`"),
    ] {
        let error = build(URL, &block, None).err().unwrap();
        assert!(error.contains(says), "{block}: {error}");
    }
}
