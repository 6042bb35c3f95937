//! Recorded answers, and a daemon that gives them.

use std::collections::BTreeSet;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};

use super::super::DiscoveryDocker;
use super::super::tests::{context, services};
use super::*;
use crate::component::Component;
use crate::upstream::http_client::tests::server::{Answers, Server};

const CONTAINERS: &str = include_str!("tests/containers.json");
const NETWORKS: &str = include_str!("tests/networks.json");

fn build(text: &str) -> Result<DiscoveryDocker, String> {
    let file = parse_file("test", &format!("docker {{\n{text}\n}}")).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    let arguments: DiscoveryDockerArguments =
        decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())?;
    DiscoveryDocker::build(&arguments, &context(&services(), "discovery.docker.a"), None).map_err(|error| error.message)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn daemon(containers: &str, networks: &str) -> Server {
    let answers: Answers = [("/containers/json", containers), ("/networks", networks)]
        .map(|(path, body)| (path.to_owned(), answer("200 OK", body)))
        .into();
    Server::start(answers).await
}

/// The targets of the recorded answers.
async fn targets(more: &str) -> Vec<String> {
    let daemon = daemon(CONTAINERS, NETWORKS).await;
    let component = build(&format!("host = \"tcp://127.0.0.1:{}/\"\n{more}", daemon.port())).unwrap();
    let found = component.discovery.0.look().await;
    assert_eq!(found.problems, Vec::<String>::new());
    found.targets.iter().map(|target| target.to_string().replace("__meta_docker_", "")).collect()
}

const FRONT: &str = r#"network_id="f0", network_ingress="false", network_internal="false", network_ip="172.20.0.2", network_label_team_name="a", network_name="front", network_scope="local""#;
const BACK: &str = r#"network_id="b0", network_ingress="false", network_internal="true", network_ip="fd00::2", network_name="back", network_scope="local""#;
const WEB: &str = r#"container_id="web0", container_label__="x", container_label_com_example_app="shop", container_name="/web", container_network_mode="front""#;

#[tokio::test]
async fn each_port_in_each_network_is_a_target() {
    let expected: BTreeSet<String> = [
        (FRONT, "172.20.0.2"),
        (BACK, "[fd00::2]"),
    ]
    .into_iter()
    .flat_map(|(network, ip)| {
        let of = |name: &str, mode: &str| {
            format!(
                r#"{{__address__="{ip}:80", container_id="{name}", container_name="/{}", container_network_mode="{mode}", {network}}}"#,
                if name == "beside" { "sidecar" } else { name }
            )
        };
        [
            format!(r#"{{__address__="{ip}:6060", {WEB}, {network}, port_private="6060"}}"#),
            format!(
                r#"{{__address__="{ip}:8080", {WEB}, {network}, port_private="8080", port_public="18080", port_public_ip="0.0.0.0"}}"#
            ),
            of("beside", "container:between"),
            of("between", "container:web0"),
        ]
    })
    .chain([
        r#"{__address__="localhost", container_id="host0", container_name="/agent", container_network_mode="host", network_id="h0", network_ingress="true", network_internal="false", network_ip="", network_name="host", network_scope="swarm"}"#.to_owned(),
        format!(
            r#"{{__address__="10.89.0.2:5432", container_id="podman", container_label_com_example_app="store", container_name="/db", container_network_mode="", {}, port_private="5432", port_public="15432", port_public_ip="127.0.0.1"}}"#,
            BACK.replace("fd00::2", "10.89.0.2")
        ),
    ])
    .collect();
    let found = targets("match_first_network = false").await;
    assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert!(found.is_sorted());
}

#[tokio::test]
async fn the_first_network_is_enough() {
    let found = targets("port = 99\nhost_networking_host = \"node.example\"").await;
    let addresses: Vec<&str> = found.iter().filter_map(|target| target.split('"').nth(1)).collect();
    let expected =
        ["10.89.0.2:5432", "[fd00::2]:6060", "[fd00::2]:8080", "[fd00::2]:99", "[fd00::2]:99", "node.example"];
    assert_eq!(addresses, expected);
}

#[tokio::test]
async fn filters_are_asked_for_and_refusals_are_shown() {
    let refusal = answer("400 Bad Request", r#"{"message":"invalid filter 'colour'"}"#);
    let query =
        "%7B%22colour%22%3A%7B%22r%C3%A9d%22%3Atrue%7D%2C%22label%22%3A%7B%22a%22%3Atrue%2C%22b%3Dc%22%3Atrue%7D%7D";
    let server = Server::start([(format!("/base/containers/json?filters={query}"), refusal)].into()).await;
    let filter = |name: &str, values: &str| format!("filter {{\nname = \"{name}\"\nvalues = [{values}]\n}}\n");
    let filters =
        filter("label", "\"b=c\"") + &filter("colour", "\"réd\"") + &filter("label", "\"a\"") + &filter("id", "");
    let host = format!("host = \"http://127.0.0.1:{}/base/\"\nbearer_token = \"t\"\n", server.port());
    let found = build(&(host + &filters)).unwrap().discovery.0.look().await;
    let problem = "cannot list the containers: the daemon answered 400 Bad Request: invalid filter 'colour'";
    assert!(found.problems[0].ends_with(problem), "{:?}", found.problems);
    assert!(server.last().contains("authorization: Bearer t"), "{}", server.last());
}

#[tokio::test]
async fn answers_that_are_no_lists_are_told_of() {
    for (containers, networks, problem) in [
        ("{}", "[]", "cannot list the containers: the answer is no such list: invalid type: map"),
        ("[]", "[{}]", "cannot list the networks: the answer is no such list: missing field `Id`"),
    ] {
        let daemon = daemon(containers, networks).await;
        let component = build(&format!("host = \"tcp://127.0.0.1:{}\"", daemon.port())).unwrap();
        let problems = component.discovery.0.look().await.problems;
        assert!(problems[0].contains(problem), "{problems:?}");
    }
    let nobody = build("host = \"unix:///nonexistent/docker.sock\"").unwrap().discovery.0.look().await.problems;
    assert!(nobody[0].contains("cannot connect to /nonexistent/docker.sock: No such file"), "{nobody:?}");
}

#[tokio::test]
async fn many_ports_of_many_labels_are_bounded() {
    let ports: Vec<serde_json::Value> =
        (1..2000).map(|port| serde_json::json!({ "PrivatePort": port, "Type": "tcp" })).collect();
    let containers = serde_json::json!([{
        "Id": "a", "Names": ["/a"], "Ports": ports, "Labels": { "long": "x".repeat(50_000) },
        "NetworkSettings": { "Networks": { "n": { "NetworkID": "n" } } },
    }]);
    let daemon = daemon(&containers.to_string(), "null").await;
    let component = build(&format!("host = \"tcp://127.0.0.1:{}\"", daemon.port())).unwrap();
    let problems = component.discovery.0.look().await.problems;
    assert!(problems[0].contains("select fewer of them by filters"), "{problems:?}");
}

#[test]
fn arguments_that_cannot_be_used_are_refused() {
    for (arguments, problem) in [
        ("", "missing required attribute \"host\""),
        ("host = \"\"", "has no scheme"),
        ("host = \"docker.sock\"", "has no scheme"),
        ("host = \"unix://docker.sock\"", "is no whole path"),
        ("host = \"npipe:////./pipe/docker_engine\"", "not known here"),
        ("host = \"tcp://\"", "is no URL"),
        ("host = \"tcp://a\"\nport = 70000", "from 0 to 65535"),
        ("host = \"tcp://a\"\nrefresh_interval = \"0s\"", "longer than 0s"),
        ("host = \"tcp://a\"\nfilter {\nname = \"a\"\n}", "missing required attribute \"values\""),
    ] {
        let error = build(arguments).err().unwrap();
        assert!(error.contains(problem), "{arguments}: {error}");
    }
}
