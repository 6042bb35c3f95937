//! The client on real sockets of loopback.

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use http::{Method, StatusCode};

use self::server::{Answers, Identity, Server};
use super::*;

pub(crate) mod server;

fn arguments(config: &str) -> Result<HttpClientArguments, String> {
    let file = parse_file("test", &format!("client {{\n{config}\n}}")).map_err(|error| error.to_string())?;
    let block = file.body.blocks().next().unwrap();
    decode_block(block, &Scope::stdlib(&StdlibOptions::default())).map_err(|error| error.to_string())
}

fn client(config: &str) -> HttpClient {
    HttpClient::new(&arguments(config).unwrap()).unwrap()
}

async fn get(client: &HttpClient, url: &str) -> Result<Response<Bytes>, HttpError> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.parse().unwrap();
    client.send(request, 100).await
}

fn answers(pairs: &[(&str, &str)]) -> Answers {
    pairs.iter().map(|(path, answer)| ((*path).to_owned(), (*answer).to_owned())).collect()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[tokio::test]
async fn credentials_and_headers_are_sent() {
    let server = Server::start(answers(&[("/", OK)])).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, " s3cret\n").unwrap();
    let file = file.display();
    for (config, header) in [
        ("bearer_token = \"t\"".to_owned(), "authorization: Bearer t"),
        (format!("bearer_token_file = \"{file}\""), "authorization: Bearer s3cret"),
        ("basic_auth {\nusername = \"u\"\npassword = \"p\"\n}".to_owned(), "authorization: Basic dTpw"),
        (
            format!("basic_auth {{\nusername = \"u\"\npassword_file = \"{file}\"\n}}"),
            "authorization: Basic dTpzM2NyZXQ=",
        ),
        ("authorization {\ntype = \"Key\"\ncredentials = \"c\"\n}".to_owned(), "authorization: Key c"),
        (format!("authorization {{\ncredentials_file = \"{file}\"\n}}"), "authorization: Bearer s3cret"),
        ("http_headers = { \"X-Two\" = [\"1\", \"2\"] }".to_owned(), "x-two: 1\r\nx-two: 2"),
        (String::new(), "user-agent: Flamegate/"),
    ] {
        let answer = get(&client(&config), &server.url("/")).await.unwrap();
        assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"ok"[..]));
        let request = server.last();
        assert!(request.contains(header), "{config}: {request}");
    }
    // Read again for each request.
    let client = client(&format!("bearer_token_file = \"{file}\""));
    for token in ["a", "b"] {
        std::fs::write(folder.path().join("secret"), token).unwrap();
        get(&client, &server.url("/")).await.unwrap();
        assert!(server.last().contains(&format!("authorization: Bearer {token}\r\n")), "{}", server.last());
    }
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    let error = get(&client, &server.url("/")).await.unwrap_err().to_string();
    assert!(error.contains("secret") && error.contains("No such file"), "{error}");
}

fn token(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

fn with_tokens(tokens: &Server, path: &str) -> HttpClient {
    client(&format!(
        "oauth2 {{\nclient_id = \"me & you\"\nclient_secret = \"s\"\nscopes = [\"a\", \"b\"]\nendpoint_params = {{ x = \"y\" }}\n\
         token_url = \"{}\"\n}}",
        tokens.url(path)
    ))
}

#[tokio::test]
async fn tokens_are_asked_for_when_they_are_needed() {
    let server = Server::start(answers(&[("/", OK)])).await;
    let tokens = Server::start(answers(&[
        ("/long", &token("{\"access_token\":\"long\",\"token_type\":\"bearer\",\"expires_in\":\"3600\"}")),
        ("/short", &token("{\"access_token\":\"short\",\"expires_in\":5}")),
        ("/forever", &token("{\"access_token\":\"forever\"}")),
        ("/none", &token("{\"token\":\"secret\"}")),
    ]))
    .await;
    // One that expires soon is not used twice.
    for (path, asked) in [("long", 1), ("short", 3), ("forever", 1)] {
        let before = tokens.count();
        let client = with_tokens(&tokens, &format!("/{path}"));
        for _ in 0..3 {
            get(&client, &server.url("/")).await.unwrap();
            assert!(server.last().contains(&format!("authorization: Bearer {path}\r\n")), "{}", server.last());
        }
        assert_eq!(tokens.count() - before, asked, "{path}");
    }
    let question = tokens.last();
    assert!(question.ends_with("\r\n\r\ngrant_type=client_credentials&scope=a+b&x=y"), "{question}");
    assert!(question.contains("authorization: Basic bWUrJTI2K3lvdTpz\r\n"), "{question}");
    let error = get(&with_tokens(&tokens, "/none"), &server.url("/")).await.unwrap_err().to_string();
    assert!(error.contains("something else than a token") && !error.contains("secret"), "{error}");
    // A server that refuses one style is asked in the other.
    let before = tokens.count();
    let error = get(&with_tokens(&tokens, "/away"), &server.url("/")).await.unwrap_err().to_string();
    assert!(error.contains("no OAuth 2 token: token_url answered 404"), "{error}");
    assert_eq!(tokens.count() - before, 2);
    assert!(tokens.last().contains("&client_id=me+%26+you&client_secret=s&"), "{}", tokens.last());
}

#[tokio::test]
async fn redirects_are_followed_and_secrets_stay_at_home() {
    let elsewhere = Server::start(answers(&[("/", OK)])).await;
    let found =
        |to: &str| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let server = Server::start(answers(&[
        ("/a", &found("b")),
        ("/b", OK),
        ("/away", &found(&elsewhere.url("/"))),
        ("/round", &found("/round")),
        ("/nowhere", &found("ftp://host/")),
    ]))
    .await;
    let secrets = "bearer_token = \"t\"\nhttp_headers = { \"X-Secret\" = [\"s\"] }\n";
    let follows = client(secrets);
    assert_eq!(get(&follows, &server.url("/a")).await.unwrap().status(), StatusCode::OK);
    assert!(server.last().starts_with("GET /b ") && server.last().contains("Bearer t"), "{}", server.last());
    assert_eq!(get(&follows, &server.url("/away")).await.unwrap().status(), StatusCode::OK);
    let seen = elsewhere.last();
    assert!(!seen.contains("authorization") && !seen.contains("x-secret"), "{seen}");
    let error = async |path: &str| get(&follows, &server.url(path)).await.unwrap_err().to_string();
    assert_eq!(error("/round").await, "stopped after 10 redirects");
    assert_eq!(error("/nowhere").await, "redirected to \"ftp://host/\", which is no http or https URL");
    let stays = client("follow_redirects = false");
    assert_eq!(get(&stays, &server.url("/a")).await.unwrap().status(), StatusCode::FOUND);
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let long = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(1000));
    let server = Server::start(answers(&[("/", &long)])).await;
    let error = get(&client(""), &server.url("/")).await.unwrap_err().to_string();
    assert_eq!(error, "the answer is larger than 100 bytes");
}

#[tokio::test]
async fn http_goes_through_the_proxy_with_its_whole_url() {
    let server = Server::start(answers(&[("/", OK)])).await;
    let proxy = Server::start(answers(&[("http://example.invalid/x", OK)])).await;
    let url = proxy.url("").replace("http://", "http://me:pass@");
    let through = client(&format!("proxy_url = \"{url}\"\nno_proxy = \"10.0.0.0/8, .example.com\""));
    get(&through, "http://example.invalid/x").await.unwrap();
    assert!(proxy.last().starts_with("GET http://example.invalid/x HTTP/1.1"), "{}", proxy.last());
    assert!(proxy.last().contains("proxy-authorization: Basic bWU6cGFzcw=="), "{}", proxy.last());
    // This host is among the exceptions, where there are some.
    get(&through, &server.url("/")).await.unwrap();
    assert!(server.last().starts_with("GET / ") && !server.last().contains("proxy-"), "{}", server.last());
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let identity = Identity::new("localhost");
    let server = Server::start_tls(answers(&[("/", OK)]), &identity, None).await;
    let proxy = Server::start_proxy().await;
    let config = format!(
        "proxy_url = \"{}\"\nproxy_connect_header = {{ \"X-Pass\" = [\"p\"] }}\ntls_config {{\nca_pem = `{}`\n}}\n{H1}",
        proxy.url(""),
        identity.certificate
    );
    let port = server.port();
    get(&client(&config), &format!("https://localhost:{port}/")).await.unwrap();
    assert!(proxy.last().starts_with(&format!("CONNECT localhost:{port} HTTP/1.1")), "{}", proxy.last());
    assert!(proxy.last().contains("x-pass: p"), "{}", proxy.last());
    assert!(server.last().starts_with("GET / "), "{}", server.last());
}

/// The server of these tests speaks nothing else.
const H1: &str = "enable_http2 = false";

#[tokio::test]
async fn http2_is_spoken_where_it_may_be() {
    let identity = Identity::new("localhost");
    let server = Server::start_tls(answers(&[("/", OK)]), &identity, None).await;
    let url = format!("https://localhost:{}/", server.port());
    let trusting = format!("tls_config {{\nca_pem = `{}`\n}}", identity.certificate);
    assert!(get(&client(&trusting), &url).await.is_err());
    assert_eq!(server.last(), "h2");
    get(&client(&format!("{trusting}\n{H1}")), &url).await.unwrap();
    assert!(server.last().starts_with("GET / HTTP/1.1"), "{}", server.last());
}

#[tokio::test]
async fn servers_must_prove_who_they_are() {
    let (identity, other) = (Identity::new("localhost"), Identity::new("other"));
    let server = Server::start_tls(answers(&[("/", OK)]), &identity, None).await;
    let url = format!("https://localhost:{}/", server.port());
    let with = |tls: &str| client(&format!("tls_config {{\n{tls}\n}}\n{H1}"));
    let trusting = |identity: &Identity| format!("ca_pem = `{}`", identity.certificate);
    get(&with(&trusting(&identity)), &url).await.unwrap();
    get(&with("insecure_skip_verify = true"), &url).await.unwrap();
    for (config, says) in [
        (String::new(), "certificate"),
        (trusting(&other), "certificate"),
        (format!("{}\nserver_name = \"other\"", trusting(&identity)), "certificate"),
    ] {
        let error = get(&with(&config), &url).await.unwrap_err().to_string();
        assert!(error.contains(says), "{config}: {error}");
    }
    // By the name that is configured instead of the URL's.
    let server = Server::start_tls(answers(&[("/", OK)]), &other, None).await;
    let url = format!("https://127.0.0.1:{}/", server.port());
    get(&with(&format!("{}\nserver_name = \"other\"", trusting(&other))), &url).await.unwrap();
    assert!(get(&with(&trusting(&other)), &url).await.is_err());
}

#[tokio::test]
async fn clients_prove_who_they_are_and_files_are_read_again() {
    let (server_identity, me) = (Identity::new("localhost"), Identity::new("client"));
    let server = Server::start_tls(answers(&[("/", OK)]), &server_identity, Some(&me)).await;
    let url = format!("https://localhost:{}/", server.port());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let path = folder.path().display();
    let files = client(&format!(
        "tls_config {{\nca_file = \"{path}/ca\"\ncert_file = \"{path}/cert\"\nkey_file = \"{path}/key\"\n}}\n{H1}"
    ));
    let error = get(&files, &url).await.unwrap_err().to_string();
    assert!(error.contains("cannot read ca_file") && error.contains("/ca"), "{error}");
    write("ca", "no certificate");
    write("cert", &me.certificate);
    write("key", &me.key);
    let error = get(&files, &url).await.unwrap_err().to_string();
    assert!(error.contains("ca_pem or ca_file: no certificate in it"), "{error}");
    write("ca", &server_identity.certificate);
    get(&files, &url).await.unwrap();
    let given = format!(
        "tls_config {{\nca_pem = `{}`\ncert_pem = `{}`\nkey_pem = `{}`\nmin_version = \"TLS13\"\n}}\n{H1}",
        server_identity.certificate, me.certificate, me.key
    );
    get(&client(&given), &url).await.unwrap();
    let without = format!("tls_config {{\nca_pem = `{}`\n}}\n{H1}", server_identity.certificate);
    assert!(get(&client(&without), &url).await.is_err(), "the server asks for a certificate");
}

#[test]
fn options_that_cannot_be_are_refused() {
    let at_most_one =
        "at most one of basic_auth, authorization, oauth2, bearer_token & bearer_token_file must be configured";
    for (config, says) in [
        ("bearer_token = \"a\"\nbearer_token_file = \"b\"", at_most_one),
        ("bearer_token = \"a\"\nbasic_auth { }", at_most_one),
        ("authorization { }\nbasic_auth { }", at_most_one),
        (
            "basic_auth {\npassword = \"a\"\npassword_file = \"b\"\n}",
            "at most one of basic_auth password & password_file must be configured",
        ),
        (
            "authorization {\ncredentials = \"a\"\ncredentials_file = \"b\"\n}",
            "at most one of authorization credentials & credentials_file must be configured",
        ),
        ("authorization { type = \"Basic\" }", "use \"basic_auth\" block instead"),
        ("bearer_token = \"a\\nb\"", "holds a character that no HTTP header has"),
        ("oauth2 { }", "oauth2 client_id must be configured"),
        ("oauth2 { client_id = \"a\" }", "either oauth2 client_secret or client_secret_file must be configured"),
        ("oauth2 {\nclient_id = \"a\"\nclient_secret = \"b\"\n}", "oauth2 token_url must be configured"),
        ("oauth2 {\nclient_id = \"a\"\nclient_secret = \"b\"\ntoken_url = \"c\"\n}", "has no scheme"),
        (
            "oauth2 {\nclient_id = \"a\"\nclient_secret = \"b\"\ntoken_url = \"http://c\"\nno_proxy = \"d\"\n}",
            "proxy_url must also be configured",
        ),
        (
            "bearer_token = \"a\"\noauth2 {\nclient_id = \"a\"\nclient_secret = \"b\"\ntoken_url = \"http://c\"\n}",
            at_most_one,
        ),
        ("http_headers = { \"Authorization\" = [\"x\"] }", "setting header \"Authorization\" is not allowed"),
        ("http_headers = { \"a b\" = [\"x\"] }", "no HTTP header has such a name"),
        ("no_proxy = \"a\"", "if no_proxy is configured, proxy_url must also be configured"),
        ("proxy_connect_header = { \"a\" = [\"b\"] }", "proxy_url or proxy_from_environment must also be configured"),
        ("proxy_from_environment = true\nproxy_url = \"http://a\"", "proxy_url must not be configured"),
        ("proxy_from_environment = true\nno_proxy = \"a\"", "no_proxy must not be configured"),
        ("proxy_url = \"socks5://a\"", "has no port"),
        ("proxy_url = \"socks4://a:1\"", "socks4 proxies are not supported"),
        ("proxy_url = \"https://a\"", "https proxies are not supported"),
        ("proxy_url = \"http://a b\"", "cannot be read"),
        ("proxy_url = \"http://a\"\nno_proxy = \"b:http\"", "the port of an exception must be a number"),
        ("tls_config {\nca_pem = \"a\"\nca_file = \"b\"\n}", "at most one of ca_pem and ca_file must be configured"),
        ("tls_config { ca_pem = \"a\" }", "no certificate in it"),
        ("tls_config { cert_file = \"a\" }", "exactly one of key_pem or key_file must be configured"),
        ("tls_config { key_file = \"a\" }", "exactly one of cert_pem or cert_file must be configured"),
        ("tls_config { min_version = \"TLS10\" }", "is a version that Flamegate does not speak"),
        ("tls_config { server_name = \"a b\" }", "is neither a DNS name nor an IP address"),
    ] {
        let error = arguments(config).unwrap_err();
        assert!(error.contains(says), "{config}: {error}");
    }
    let shown = arguments("proxy_url = \"ftp://me:secret@host\"").unwrap_err();
    assert!(!shown.split_once(' ').unwrap().1.contains("secret") || shown.contains("(secret)"), "{shown}");
    arguments("proxy_url = \"http://a\"\nno_proxy = \"::1, fe80::/10, 10.0.0.0/8, a.b, c:80, [::1]:80\"").unwrap();
}

/// What the environment says is not this test's to change: only that it may say nothing.
#[tokio::test]
async fn loopback_is_not_asked_through_the_environments_proxy() {
    let server = Server::start(answers(&[("/", OK)])).await;
    get(&client("proxy_from_environment = true"), &server.url("/")).await.unwrap();
    assert!(server.last().starts_with("GET / "), "{}", server.last());
    let mut request = Request::new(Bytes::from_static(b"body"));
    *request.method_mut() = Method::PUT;
    *request.uri_mut() = server.url("/").parse().unwrap();
    client("").send(request, 100).await.unwrap();
    assert!(server.last().starts_with("PUT / ") && server.last().ends_with("body"), "{}", server.last());
}

#[tokio::test]
async fn a_unix_socket_is_asked_as_any_server_is() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let moved = OK.replace("200 OK", "302 Found\r\nlocation: http://127.0.0.1:9/");
        stream.write_all(moved.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let client = HttpClient::on_socket(&arguments("bearer_token = \"t\"").unwrap(), path.clone()).unwrap();
    let answer = get(&client, "http://localhost/a?b=c").await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::FOUND, &b"ok"[..]));
    let asked = asked.await.unwrap();
    for line in ["GET /a?b=c HTTP/1.1\r\n", "host: localhost\r\n", "authorization: Bearer t\r\n"] {
        assert!(asked.contains(line), "{line}: {asked}");
    }
    let gone = get(&client, "http://localhost/").await.unwrap_err().to_string();
    assert!(gone.contains(&format!("cannot connect to {}: Connection refused", path.display())), "{gone}");
}
