//! Lookups at a server of our own.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SRV};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::super::DiscoveryDns;
use super::super::tests::{context, services, shown};
use super::*;
use crate::component::Component;

/// Records by name and kind; else a code. Names that are not there do not exist.
type Zone = HashMap<(&'static str, RecordType), Result<Vec<RData>, ResponseCode>>;

struct Server {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

/// Over UDP no more records fit into an answer here.
const FIT: usize = 20;

impl Server {
    async fn start(zone: Zone) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // The same port may be taken there.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let (zone, asked): (Arc<Mutex<Zone>>, Arc<Mutex<Vec<String>>>) = (Arc::new(Mutex::new(zone)), Arc::default());
        let mut serving = JoinSet::new();
        let answers = (zone.clone(), asked.clone());
        serving.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                let answer = answer(&answers, &buffer[..length], FIT);
                udp.send_to(&answer, from).await.unwrap();
            }
        });
        let answers = (zone.clone(), asked.clone());
        serving.spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let answers = answers.clone();
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut query = vec![0; length.into()];
                        stream.read_exact(&mut query).await.unwrap();
                        let answer = answer(&answers, &query, usize::MAX);
                        stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                });
            }
        });
        Self { address, zone, asked, _serving: serving }
    }

    fn set(&self, name: &'static str, kind: RecordType, records: Result<Vec<RData>, ResponseCode>) {
        self.zone.lock().unwrap().insert((name, kind), records);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn servers(&self) -> Servers {
        let address = self.address;
        Arc::new(move || {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = address.port();
                connection
            });
            let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
            let domain = Name::from_utf8("example.test.").unwrap();
            let mut options = ResolverOpts::default();
            options.timeout = Duration::from_secs(1);
            Ok((ResolverConfig::from_parts(Some(domain.clone()), vec![domain], vec![server]), options))
        })
    }

    fn lookups(&self, arguments: &str) -> Lookups {
        Lookups::new(&decode(arguments).unwrap(), self.servers(), None).unwrap()
    }
}

fn answer((zone, asked): &(Arc<Mutex<Zone>>, Arc<Mutex<Vec<String>>>), query: &[u8], fit: usize) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let name = question.name().to_utf8().to_lowercase();
    asked.lock().unwrap().push(name.clone());
    let zone = zone.lock().unwrap();
    let found = zone.iter().find(|((owner, kind), _)| *owner == name && *kind == question.query_type());
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    match found.map(|(_, records)| records) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(Err(code)) => answer.metadata.response_code = *code,
        Some(Ok(records)) if records.len() > fit => answer.metadata.truncation = true,
        Some(Ok(records)) => {
            for data in records {
                answer.add_answer(Record::from_rdata(question.name().clone(), 1, data.clone()));
            }
        }
    }
    answer.add_query(question);
    answer.to_vec().unwrap()
}

fn decode(text: &str) -> Result<DiscoveryDnsArguments, String> {
    let file = parse_file("test", &format!("dns {{\n{text}\n}}")).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())
}

fn name(text: &str) -> Name {
    Name::from_utf8(text).unwrap()
}

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(10, 0, 0, last)))
}

fn texts(found: &Found) -> Vec<String> {
    found.targets.iter().map(ToString::to_string).collect()
}

fn addresses(found: &Found) -> Vec<&str> {
    found.targets.iter().map(|target| target.value(ADDRESS).unwrap()).collect()
}

fn meta(address: &str, dns_name: &str, srv: (&str, &str), mx: &str, ns: &str) -> String {
    let (srv, port) = srv;
    format!(
        "{{__address__=\"{address}\", __meta_dns_mx_record_target=\"{mx}\", __meta_dns_name=\"{dns_name}\", \
         __meta_dns_ns_record_target=\"{ns}\", __meta_dns_srv_record_port=\"{port}\", \
         __meta_dns_srv_record_target=\"{srv}\"}}"
    )
}

#[tokio::test]
async fn each_kind_of_record_becomes_a_target() {
    let srv = |host: &str, port| RData::SRV(SRV::new(1, 1, port, name(host)));
    let server = Server::start(Zone::from([
        (("_p._tcp.test.", RecordType::SRV), Ok(vec![srv("two.test.", 4041), srv("one.test.", 4040)])),
        (("host.test.", RecordType::A), Ok(vec![RData::CNAME(CNAME(name("other.test."))), a(2), a(1), a(2)])),
        (("host.test.", RecordType::AAAA), Ok(vec![RData::AAAA(AAAA("fd00::1".parse().unwrap()))])),
        (("test.", RecordType::MX), Ok(vec![RData::MX(MX::new(1, name("mail.test.")))])),
        (("test.", RecordType::NS), Ok(vec![RData::NS(NS(name("ns.test.")))])),
    ]))
    .await;
    let none = ("", "");
    for (arguments, expected) in [
        (
            "names = [\"_p._tcp.test.\"]",
            vec![
                meta("one.test:4040", "_p._tcp.test.", ("one.test.", "4040"), "", ""),
                meta("two.test:4041", "_p._tcp.test.", ("two.test.", "4041"), "", ""),
            ],
        ),
        (
            "names = [\"host.test\"]\ntype = \"A\"\nport = 80",
            vec![meta("10.0.0.1:80", "host.test", none, "", ""), meta("10.0.0.2:80", "host.test", none, "", "")],
        ),
        ("names = [\"host.test\"]\ntype = \"aaaa\"\nport = 80", vec![meta("[fd00::1]:80", "host.test", none, "", "")]),
        ("names = [\"test.\"]\ntype = \"MX\"\nport = 25", vec![meta("mail.test:25", "test.", none, "mail.test.", "")]),
        ("names = [\"test.\"]\ntype = \"NS\"\nport = 53", vec![meta("ns.test:53", "test.", none, "", "ns.test.")]),
    ] {
        let found = server.lookups(arguments).look().await;
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert_eq!(texts(&found), expected, "{arguments}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_keeps_its_targets() {
    let server = Server::start(Zone::from([
        (("one.test.", RecordType::A), Ok(vec![a(1)])),
        (("two.test.", RecordType::A), Ok(vec![a(2)])),
    ]))
    .await;
    let lookups = server.lookups("names = [\"two.test.\", \"one.test.\"]\ntype = \"A\"\nport = 1");
    assert_eq!(addresses(&lookups.look().await), ["10.0.0.2:1", "10.0.0.1:1"]);
    server.set("one.test.", RecordType::A, Err(ResponseCode::ServFail));
    server.set("two.test.", RecordType::A, Ok(vec![a(3)]));
    let found = lookups.look().await;
    assert_eq!(addresses(&found), ["10.0.0.3:1", "10.0.0.1:1"]);
    assert!(found.problems.len() == 1 && found.problems[0].contains("\"one.test.\" cannot be looked up"), "{found:?}");
    let next = Lookups::new(
        &decode("names = [\"one.test.\"]\ntype = \"A\"\nport = 1").unwrap(),
        server.servers(),
        Some(&lookups),
    );
    assert_eq!(addresses(&next.unwrap().look().await), ["10.0.0.1:1"], "after a reload, too");
    // It is known that there is none: no record, or no such name.
    server.set("one.test.", RecordType::A, Ok(Vec::new()));
    server.set("two.test.", RecordType::A, Err(ResponseCode::NXDomain));
    let found = lookups.look().await;
    assert!(found.targets.is_empty() && found.problems.is_empty(), "{found:?}");
    drop(server);
    server_is_gone(&lookups).await;
}

async fn server_is_gone(lookups: &Lookups) {
    let found = tokio::time::timeout(Duration::from_secs(60), lookups.look()).await.unwrap();
    assert_eq!(found.problems.len(), 2, "{found:?}");
}

#[tokio::test]
async fn names_are_looked_for_in_the_system_s_domains() {
    let server = Server::start(Zone::from([
        (("host.example.test.", RecordType::A), Ok(vec![a(1)])),
        (("a.b.example.test.", RecordType::A), Ok(vec![a(2)])),
    ]))
    .await;
    let of = async |names: &str| {
        let lookups = server.lookups(&format!("names = [{names:?}]\ntype = \"A\"\nport = 1"));
        let found = lookups.look().await;
        (addresses(&found).join(" "), server.asked())
    };
    let asked = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(of("host").await, ("10.0.0.1:1".to_owned(), asked(&["host.example.test."])));
    assert_eq!(of("a.b").await, ("10.0.0.2:1".to_owned(), asked(&["a.b.", "a.b.example.test."])));
    assert_eq!(of("host.").await, (String::new(), asked(&["host."])));
    server.set("bad.example.test.", RecordType::A, Err(ResponseCode::Refused));
    let found = server.lookups("names = [\"bad\"]\ntype = \"A\"\nport = 1").look().await;
    assert!(found.problems.len() == 1, "nobody knows: {found:?}");
}

#[tokio::test]
async fn long_answers_come_over_tcp() {
    let records: Vec<RData> = (0..200).map(a).collect();
    let server = Server::start(Zone::from([(("many.test.", RecordType::A), Ok(records))])).await;
    let found = server.lookups("names = [\"many.test.\"]\ntype = \"A\"\nport = 1").look().await;
    assert_eq!(found.targets.len(), 200, "{:?}", found.problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_component_follows() {
    let server = Server::start(Zone::from([(("one.test.", RecordType::A), Ok(vec![a(1)]))])).await;
    let services = services();
    let arguments = decode("names = [\"one.test.\"]\ntype = \"A\"\nport = 1\nrefresh_interval = \"20ms\"").unwrap();
    let context = context(&services, "discovery.dns.a");
    let mut component = DiscoveryDns::build(&arguments, &context, None).unwrap();
    component.discovery = Dns(Arc::new(Lookups::new(&arguments, server.servers(), None).unwrap()));
    assert!(shown(&component.exports()).is_empty());
    component.activate();
    let finds = async |address: &str| {
        let waiting = async {
            while !matches!(&shown(&component.exports())[..], [only] if only.contains(address)) {
                services.changes.wait().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    };
    finds("10.0.0.1:1").await;
    server.set("one.test.", RecordType::A, Ok(vec![a(9)]));
    finds("10.0.0.9:1").await;
    let next = DiscoveryDns::build(&arguments, &context, Some(&component)).unwrap();
    assert_eq!(shown(&next.exports()).len(), 1, "until something else is known");
    component.stop().await;
}

#[test]
fn arguments_that_cannot_be_used_are_refused() {
    for (arguments, says) in [
        ("names = [\"a\"]\ntype = \"A\"", "a port is required in DNS-SD configs"),
        ("names = [\"a\"]\ntype = \"TXT\"", "is no kind of record"),
        ("names = [\"a\"]\nport = 65536", "from 0 to 65535"),
        ("names = [\"a\"]\nrefresh_interval = \"0s\"", "longer than 0s"),
        ("names = [\"\"]", "is no name"),
        ("names = [\"a..b\"]", "is no name"),
    ] {
        let error = decode(arguments).unwrap_err();
        assert!(error.contains(says), "{arguments}: {error}");
    }
}
