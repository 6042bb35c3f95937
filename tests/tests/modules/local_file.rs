//! `local.file`.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flamegate_tests::backend::Backend;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::{Flamegate, FlamegateError};
use flamegate_tests::http_client::get;
use flamegate_tests::polling::eventually;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};

use super::{Marking, marking};

const ID: &str = "local.file.password";

fn configuration(url: &str, file: &str, auth: &str) -> String {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let local = format!("local.file \"password\" {{\n  filename = \"{file}\"\n  is_secret = true\n}}\n");
    receive + &local + &blocks::write("default", &[url.to_owned()], auth)
}

#[tokio::test]
async fn a_password_that_is_rotated_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let file = path.display().to_string();
    fs::write(&path, "first").unwrap();
    let backend = Backend::start().await.unwrap();
    let by_component = "basic_auth {\nusername = \"me\"\npassword = local.file.password.content\n}".to_owned();
    let by_file = format!("basic_auth {{\nusername = \"me\"\npassword_file = \"{file}\"\n}}");
    let flamegate = Flamegate::start(&configuration(&backend.url(), &file, &by_component), &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let authorization = async || {
        assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
        backend.received().last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
    };
    let of = |password: &str| format!("Basic {}", STANDARD.encode(format!("me:{password}")));
    let becomes = async |password: &str| {
        let used = eventually(password, async || (authorization().await == of(password)).then_some(())).await;
        used.unwrap_or_else(|error| panic!("{error}\n{}", flamegate.logs().join("\n")));
    };
    assert_eq!(authorization().await, of("first"));
    fs::write(folder.path().join("new"), "second").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    becomes("second").await;

    // Gone: the last one is still used, and its state is told.
    fs::remove_file(&path).unwrap();
    let healthy = async || get(&format!("http://{}/-/healthy", flamegate.admin())).await.unwrap();
    eventually("the missing file is told", async || {
        let reply = healthy().await;
        (reply.status == 500 && reply.text().contains(ID)).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(authorization().await, of("second"));
    fs::write(&path, "third").unwrap();
    becomes("third").await;
    assert_eq!(healthy().await.status, 200);
    let accessed = flamegate.metrics().await.unwrap();
    let accessed = accessed.sum("local_file_timestamp_last_accessed_unix_seconds", &[("component_id", ID)]).unwrap();
    assert!(accessed > 1.7e9, "{accessed}");
    assert!(!flamegate.logs().join("\n").contains("second"));

    // The endpoint reads a file by itself as well.
    flamegate.reload(&configuration(&backend.url(), &file, &by_file)).await.unwrap();
    for password in ["fourth", "fifth"] {
        fs::write(&path, format!("{password}\n")).unwrap();
        assert_eq!(authorization().await, of(password));
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    let large = fs::File::create(folder.path().join("large")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    for (name, says) in
        [("none", "No such file"), ("folder", "it is no file"), ("large", "is larger than 16777216 bytes")]
    {
        let file = folder.path().join(name).display().to_string();
        match flamegate.reload(&configuration(&backend.url(), &file, "")).await {
            Err(FlamegateError::Answer { status: 400, body, .. }) => assert!(body.contains(says), "{body}"),
            other => panic!("{other:?}"),
        }
    }
}

/// The reference's way to make a module of whatever a component exports.
#[tokio::test]
async fn a_module_from_a_file_by_way_of_a_string() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    fs::write(&path, marking("one")).unwrap();
    let import = format!(
        "local.file \"text\" {{ filename = {:?} }}\nimport.string \"lib\" {{ content = local.file.text.content }}",
        path.display().to_string()
    );
    let run = Marking::start(&import).await;
    assert_eq!(run.edge().await, "one");
    fs::write(&path, marking("two")).unwrap();
    run.becomes("two").await;
}
