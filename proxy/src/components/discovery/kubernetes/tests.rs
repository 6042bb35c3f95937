//! What becomes of objects, and how they are followed at a server of our own.

use std::collections::BTreeMap;
use std::future::Future;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

mod api_server;
mod connections;
mod faults;
mod following;

fn decode(arguments: &str) -> Result<DiscoveryKubernetesArguments, String> {
    let text = format!("discovery.kubernetes \"a\" {{\n{arguments}\n}}");
    let file = parse_file("test", &text).map_err(|error| error.to_string())?;
    let alloy_syntax::ast::Statement::Block(block) = &file.body.statements[0] else { panic!("no block") };
    decode_block(block, &Scope::stdlib(&StdlibOptions::default())).map_err(|errors| errors.to_string())
}

fn object(value: &Value) -> Object {
    fn read<K: DeserializeOwned>(value: &Value) -> K {
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
    }
    match value["kind"].as_str().unwrap() {
        "Pod" => Object::Pod(read(value)),
        "Service" => Object::Service(read(value)),
        "Endpoints" => Object::Endpoints(read(value)),
        "EndpointSlice" => Object::EndpointSlice(read(value)),
        "Node" => Object::Node(read(value)),
        "Namespace" => Object::Namespace(read(value)),
        "Ingress" => Object::Ingress(read(value)),
        kind => panic!("{kind}"),
    }
}

/// Objects, and the targets that Prometheus makes of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    arguments: String,
    objects: Vec<Value>,
    /// Labels of all targets.
    #[serde(default)]
    common: BTreeMap<String, String>,
    targets: Vec<BTreeMap<String, String>>,
}

fn sorted(targets: impl IntoIterator<Item = BTreeMap<String, String>>) -> Vec<BTreeMap<String, String>> {
    let mut targets: Vec<_> = targets.into_iter().collect();
    targets.sort();
    targets
}

fn as_maps(targets: &[Labels]) -> Vec<BTreeMap<String, String>> {
    let map = |target: &Labels| target.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    sorted(targets.iter().map(map))
}

#[test]
fn objects_become_targets_as_in_prometheus() {
    for cases in [
        include_str!("tests/labels/pod.json"),
        include_str!("tests/labels/service.json"),
        include_str!("tests/labels/endpoints.json"),
        include_str!("tests/labels/endpointslice.json"),
        include_str!("tests/labels/node.json"),
        include_str!("tests/labels/ingress.json"),
    ] {
        for case in serde_json::from_str::<Vec<Case>>(cases).unwrap() {
            let arguments = decode(&case.arguments).unwrap();
            let expected =
                sorted(case.targets.into_iter().map(|own| case.common.clone().into_iter().chain(own).collect()));
            // Whichever part comes first.
            let forwards: Vec<usize> = (0..arguments.parts(None).len()).collect();
            let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
            for order in [forwards, backwards] {
                let (targets, problems) = told(&arguments, &case.objects, &order);
                assert_eq!(problems, Vec::<String>::new(), "{}", case.name);
                assert_eq!(as_maps(&targets), expected, "{}", case.name);
            }
        }
    }
}

/// What is told of these objects, heard of in this order of parts.
fn told(arguments: &DiscoveryKubernetesArguments, objects: &[Value], order: &[usize]) -> (Vec<Labels>, Vec<String>) {
    let parts = arguments.parts(None);
    let mut cluster = Cluster::new(arguments.role(), arguments.attached(), &parts, MOST_OBJECTS);
    for part in order {
        assert!(!cluster.has_news(), "before all is known");
        cluster.hear(*part, News::ListBegins);
        for value in objects {
            if format!("{}s", value["kind"].as_str().unwrap().to_lowercase()).starts_with(singular(parts[*part].kind)) {
                cluster.hear(*part, News::Is(object(value)));
            }
        }
        cluster.hear(*part, News::ListEnds);
    }
    assert!(cluster.has_news());
    cluster.tell(&mut Vec::new())
}

fn singular(kind: Kind) -> &'static str {
    match kind {
        Kind::Ingress => "ingress",
        other => other.plural(),
    }
}

fn pod(name: &str, ip: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": "Running", "podIP": ip},
    })
}

/// The addresses of all targets, in order.
fn addresses(targets: &[Labels]) -> Vec<String> {
    let mut addresses: Vec<String> =
        targets.iter().map(|target| target.value(crate::components::discovery::ADDRESS).unwrap().to_owned()).collect();
    addresses.sort();
    addresses
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    // Longer than any pause that a test waits for.
    tokio::time::timeout(Duration::from_secs(600), future).await.unwrap()
}

#[test]
fn a_change_of_one_object_remakes_its_targets_alone() {
    let arguments = decode("role = \"endpoints\"").unwrap();
    let endpoints = |name: &str, pod: &str| {
        object(&json!({"kind": "Endpoints", "metadata": {"name": name, "namespace": "shop"}, "subsets": [{
            "addresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod}}],
            "ports": [{"port": 80}],
        }]}))
    };
    let mut cluster = Cluster::new(arguments.role(), arguments.attached(), &arguments.parts(None), MOST_OBJECTS);
    for part in 0..3 {
        cluster.hear(part, News::ListBegins);
    }
    cluster.hear(2, News::Is(endpoints("one", "a")));
    cluster.hear(2, News::Is(endpoints("two", "b")));
    for part in 0..3 {
        cluster.hear(part, News::ListEnds);
    }
    let (before, _) = cluster.tell(&mut Vec::new());
    assert_eq!(before.len(), 2);
    // The pod of one of them comes.
    cluster.hear(0, News::Is(object(&pod("b", "10.0.0.1"))));
    let (after, _) = cluster.tell(&mut Vec::new());
    assert!(std::ptr::eq(before[0].text(), after[0].text()), "not made again");
    assert_eq!(
        (before[1].value("__meta_kubernetes_pod_name"), after[1].value("__meta_kubernetes_pod_name")),
        (None, Some("b"))
    );
    assert!(!cluster.has_news());
    // And goes.
    cluster.hear(0, News::Gone(object(&pod("b", "10.0.0.1"))));
    assert_eq!(cluster.tell(&mut Vec::new()).0, before);
}

#[test]
fn a_list_says_what_is_gone() {
    let arguments = decode("role = \"pod\"\nnamespaces {\n names = [\"shop\", \"other\"]\n}").unwrap();
    let mut cluster = Cluster::new(arguments.role(), arguments.attached(), &arguments.parts(None), MOST_OBJECTS);
    let mut before = vec![Labels::from_pairs([("__address__", "x"), ("__meta_kubernetes_namespace", "shop")]).unwrap()];
    let shop = 1;
    cluster.hear(0, News::Failed("down".to_owned()));
    cluster.hear(shop, News::ListBegins);
    cluster.hear(shop, News::Is(object(&pod("a", "10.0.0.1"))));
    cluster.hear(shop, News::Failed("cut".to_owned()));
    let (targets, problems) = cluster.tell(&mut before);
    assert_eq!(addresses(&targets), ["x"], "half a list is none");
    assert_eq!(problems, ["pods of namespace \"other\": down", "pods of namespace \"shop\": cut"]);
    for names in [["a", "b"], ["b", "c"]] {
        cluster.hear(shop, News::ListBegins);
        for name in names {
            cluster.hear(shop, News::Is(object(&pod(name, &format!("10.0.0.{name}")))));
        }
        cluster.hear(shop, News::ListEnds);
        let (targets, problems) = cluster.tell(&mut before);
        assert_eq!(addresses(&targets), names.map(|name| format!("10.0.0.{name}:80")));
        assert_eq!(problems, ["pods of namespace \"other\": down"]);
    }
}

#[test]
fn an_object_with_too_many_labels_is_left_out() {
    let mut large = pod("large", "10.0.0.1");
    large["metadata"]["annotations"] = json!({"a": "x".repeat(300 << 10)});
    let ports: Vec<Value> = (1..100).map(|port| json!({"containerPort": port})).collect();
    large["spec"]["containers"][0]["ports"] = ports.into();
    let (targets, problems) = told(&decode("role = \"pod\"").unwrap(), &[large, pod("small", "10.0.0.2")], &[0]);
    assert_eq!(addresses(&targets), ["10.0.0.2:80"]);
    let said = "pods \"large\" of namespace \"shop\" has no targets: the labels of its targets take more than";
    assert!(matches!(&problems[..], [only] if only.starts_with(said)), "{problems:?}");
}

#[test]
fn what_is_too_much_is_left_out() {
    let mut cluster = Cluster::new(Kind::Pod, Default::default(), &decode("role = \"pod\"").unwrap().parts(None), 10);
    let Object::Pod(without_address) = object(&pod("any", "")) else { panic!("no pod") };
    for _ in 0..2 {
        cluster.hear(0, News::ListBegins);
        for index in 0..11 {
            let mut pod = without_address.clone();
            pod.metadata.name = Some(index.to_string());
            cluster.hear(0, News::Is(Object::Pod(pod)));
        }
        cluster.hear(0, News::ListEnds);
        let (_, problems) = cluster.tell(&mut Vec::new());
        let what = "some are left out; narrow them down by namespaces or selectors";
        assert_eq!(problems, [format!("pods: more than 10 objects: {what}")]);
    }
    cluster.hear(0, News::ListBegins);
    cluster.hear(0, News::ListEnds);
    assert_eq!(cluster.tell(&mut Vec::new()).1, Vec::<String>::new());
}

#[test]
fn arguments_that_cannot_be_used_are_refused() {
    for (arguments, says) in [
        ("", "role"),
        ("role = \"pods\"", "is no role: write one of pod, service, endpoints, endpointslice, node or ingress"),
        ("role = \"pod\"\napi_server = \"ftp://a\"", "only http and https are possible"),
        (
            "role = \"pod\"\napi_server = \"http://a\"\nkubeconfig_file = \"k\"",
            "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
        ),
        (
            "role = \"pod\"\napi_server = \"http://a\"\nnamespaces {\n own_namespace = true\n}",
            "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously",
        ),
        (
            "role = \"pod\"\nbearer_token = \"a\"\nbearer_token_file = \"b\"",
            "at most one of basic_auth, authorization, oauth2, bearer_token & bearer_token_file must be configured",
        ),
        ("role = \"pod\"\nnamespaces {\n names = [\"a/b\"]\n}", "is no name of a namespace"),
        ("role = \"pod\"\nselectors {\n role = \"service\"\n}", "pod role supports only pod, node selectors"),
        (
            "role = \"pod\"\nselectors {\n role = \"pod\"\n}\nselectors {\n role = \"pod\"\n}",
            "duplicated selector role: pod",
        ),
        ("role = \"pod\"\nselectors {\n role = \"pod\"\n label = \"a in\"\n}", "unable to parse requirement"),
        ("role = \"pod\"\nselectors {\n role = \"pod\"\n field = \"a\"\n}", "invalid selector"),
    ] {
        let error = decode(arguments).unwrap_err();
        assert!(error.contains(says), "{arguments}: {error}");
    }
}
