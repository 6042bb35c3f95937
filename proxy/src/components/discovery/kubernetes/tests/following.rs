//! Following a server.

use super::api_server::{ApiServer, Fault};
use super::*;
use crate::component::Component;
use crate::components::discovery::DiscoveryKubernetes;
use crate::components::discovery::tests::{context, services, shown};

/// A search at this server, without a socket.
pub(super) fn search(server: &ApiServer, arguments: &str) -> Following {
    searching(server, arguments, Vec::new())
}

/// The same after another one that had told these targets.
pub(super) fn searching(server: &ApiServer, arguments: &str, told: Vec<Labels>) -> Following {
    let arguments = decode(arguments).unwrap();
    let mut following = Kubernetes::new(&arguments, arguments.way().unwrap(), told).following();
    let connection = Connection::over(server.ask(), http::Uri::from_static("http://server"));
    following.watching = Some(Watching::new(&following.settings, &connection, None));
    following
}

/// Looks until these are the targets.
pub(super) async fn finds(search: &mut impl Search, wanted: &[&str]) -> Found {
    soon(async {
        loop {
            let found = search.next().await;
            if addresses(&found.targets) == wanted {
                return found;
            }
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let mut search = search(&server, "role = \"pod\"");
    let found = finds(&mut search, &["10.0.0.1:80"]).await;
    assert_eq!(found.problems, Vec::<String>::new());
    server.put("pods", pod("b", "10.0.0.2"));
    finds(&mut search, &["10.0.0.1:80", "10.0.0.2:80"]).await;
    server.put("pods", pod("a", "10.0.0.3"));
    finds(&mut search, &["10.0.0.2:80", "10.0.0.3:80"]).await;
    server.delete("pods", "shop", "b");
    finds(&mut search, &["10.0.0.3:80"]).await;
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| !asked.contains("watch")).count(), 1, "listed once: {asked:?}");
    assert!(asked[1].contains("allowWatchBookmarks=true") && asked[1].contains("resourceVersion=1"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_together() {
    let server = ApiServer::start(None).await;
    let mut search = search(&server, "role = \"pod\"");
    assert!(soon(search.next()).await.targets.is_empty());
    let began = Instant::now();
    let names: Vec<String> = (0..50).map(|index| format!("10.0.0.{index}")).collect();
    names.iter().for_each(|ip| server.put("pods", pod(ip, ip)));
    let found = soon(search.next()).await;
    assert_eq!((found.targets.len(), began.elapsed() >= TELL_INTERVAL), (50, true));
}

#[tokio::test(start_paused = true)]
async fn long_lists_come_in_pages() {
    let server = ApiServer::start(None).await;
    for index in 0..1200 {
        server.put("pods", pod(&format!("pod-{index}"), "10.0.0.1"));
    }
    let found = soon(search(&server, "role = \"pod\"").next()).await;
    assert_eq!(found.targets.len(), 1200);
    let lists: Vec<String> = server.asked().into_iter().filter(|asked| !asked.contains("watch")).collect();
    assert_eq!(lists.len(), 3, "{lists:?}");
    assert!(lists.iter().all(|asked| asked.contains("limit=500")), "{lists:?}");
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_their_pods_and_services() {
    let server = ApiServer::start(None).await;
    let mut search = search(&server, "role = \"endpoints\"\nnamespaces {\n names = [\"shop\"]\n}");
    server.put(
        "endpoints",
        json!({"metadata": {"name": "web", "namespace": "shop"}, "subsets": [{
            "addresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a"}}],
            "ports": [{"port": 9}],
        }]}),
    );
    finds(&mut search, &["10.0.0.1:9"]).await;
    server.put("pods", pod("a", "10.0.0.1"));
    finds(&mut search, &["10.0.0.1:80", "10.0.0.1:9"]).await;
    server.put("services", json!({"metadata": {"name": "web", "namespace": "shop", "labels": {"v": "2"}}}));
    let found = soon(search.next()).await;
    assert!(found.targets.iter().all(|target| target.value("__meta_kubernetes_service_label_v") == Some("2")));
    assert!(server.asked().iter().all(|asked| asked.starts_with("/api/v1/namespaces/shop/")), "{:?}", server.asked());
}

#[tokio::test(start_paused = true)]
async fn namespaces_and_selectors_reach_the_server() {
    let server = ApiServer::start(None).await;
    let mut search = search(
        &server,
        "role = \"pod\"\nnamespaces {\n names = [\"one\", \"two\"]\n}\nselectors {\n role = \"pod\"\n \
         label = \"app in (a, b)\"\n field = \"spec.nodeName=n\"\n}",
    );
    soon(search.next()).await;
    for namespace in ["one", "two"] {
        let path = format!("/api/v1/namespaces/{namespace}/pods?");
        let asked: Vec<String> = server.asked().into_iter().filter(|asked| asked.starts_with(&path)).collect();
        let complete = |asked: &String| {
            let both = ["labelSelector=app+in+%28a%2C+b%29", "fieldSelector=spec.nodeName%3Dn"];
            both.iter().all(|part| asked.contains(part))
        };
        assert!(!asked.is_empty() && asked.iter().all(complete), "{asked:?}");
    }
}

/// Over a socket, where the body breaks off in the middle of a chunk.
#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let mut half = pod("b", "10.0.0.2");
    half["metadata"]["resourceVersion"] = "2".into();
    let line = format!("{}\n", json!({"type": "ADDED", "object": half}));
    server.fail_watch(Fault::Breaks(line[..line.len() / 2].to_owned()));
    let arguments = decode(&format!("role = \"pod\"\napi_server = \"{}\"", server.url())).unwrap();
    let mut search = Kubernetes::new(&arguments, arguments.way().unwrap(), Vec::new()).following();
    finds(&mut search, &["10.0.0.1:80"]).await;
    server.put("pods", pod("b", "10.0.0.2"));
    finds(&mut search, &["10.0.0.1:80", "10.0.0.2:80"]).await;
    let lists = server.asked().iter().filter(|asked| !asked.contains("watch=true")).count();
    assert_eq!(lists, 1, "{:?}", server.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_component_follows() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let services = services();
    let arguments = decode(&format!("role = \"pod\"\napi_server = \"{}\"", server.url())).unwrap();
    let context = context(&services, "discovery.kubernetes.a");
    let component = DiscoveryKubernetes::build(&arguments, &context, None).unwrap();
    assert!(shown(&component.exports()).is_empty());
    component.activate();
    soon(async {
        while shown(&component.exports()).len() != 1 {
            services.changes.wait().await;
        }
    })
    .await;
    let next = DiscoveryKubernetes::build(&arguments, &context, Some(&component)).unwrap();
    assert_eq!(shown(&next.exports()).len(), 1, "until something else is known");
    component.stop().await;
}
