//! Modules from files, web servers and repositories, and files for other components: what changes there changes what
//! runs, without a reload.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::path::Path;

use flamegate_tests::backend::Backend;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::{Flamegate, FlamegateError};
use flamegate_tests::http_client::get;
use flamegate_tests::polling::eventually;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};

#[path = "modules/files.rs"]
mod files;
#[path = "modules/git.rs"]
mod git;
#[path = "modules/http.rs"]
mod http;
#[path = "modules/local_file.rs"]
mod local_file;

/// A module that declares `mark`, which sets the label `edge` of what passes.
fn marking(edge: &str) -> String {
    format!(
        "declare \"mark\" {{\n  argument \"forward_to\" {{ }}\n  pyroscope.relabel \"rule\" {{\n    forward_to = \
         argument.forward_to.value\n    rule {{\n      target_label = \"edge\"\n      replacement = \"{edge}\"\n    \
         }}\n  }}\n  export \"receiver\" {{ value = pyroscope.relabel.rule.receiver }}\n}}\n"
    )
}

/// A module whose `mark` is another file's.
const WRAPPING: &str = r#"
declare "mark" {
  argument "forward_to" { }
  wrapped "it" { forward_to = argument.forward_to.value }
  export "receiver" { value = wrapped.it.receiver }
}
"#;

/// A module whose `mark` is that of another, which it imports from beside itself.
const NESTED: &str = r#"
import.file "inner" { filename = file.path_join(module_path, "inner.alloy") }
declare "mark" {
  argument "forward_to" { }
  inner.mark "it" { forward_to = argument.forward_to.value }
  export "receiver" { value = inner.mark.it.receiver }
}
"#;

/// A receiver, `lib.mark`, a writer; `import` must bring `lib`.
fn configuration(import: &str, url: &str) -> String {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let receive = receive.replace("pyroscope.write.default.receiver", "lib.mark.default.receiver");
    let mark = "lib.mark \"default\" { forward_to = [pyroscope.write.default.receiver] }\n";
    format!("{import}\n{receive}{mark}{}", blocks::write("default", &[url.to_owned()], ""))
}

/// A process that marks what passes by an imported module.
struct Marking {
    flamegate: Flamegate,
    backend: Backend,
    url: String,
}

impl Marking {
    async fn start(import: &str) -> Self {
        let backend = Backend::start().await.unwrap();
        let flamegate = Flamegate::start(&configuration(import, &backend.url()), &[]).await.unwrap();
        let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        Self { flamegate, backend, url }
    }

    /// What a profile is marked with by now.
    async fn edge(&self) -> String {
        assert_eq!(PushClient::CONNECT.push(&self.url, &good_push()).await.unwrap().error, None);
        self.backend.received().last().unwrap().labels["edge"].clone()
    }

    async fn becomes(&self, edge: &str) {
        let marked = eventually(&format!("the mark {edge}"), async || (self.edge().await == edge).then_some(())).await;
        marked.unwrap_or_else(|error| panic!("{error}\n{}", self.flamegate.logs().join("\n")));
    }

    /// What `/-/healthy` says.
    async fn health(&self) -> (u16, String) {
        let reply = get(&format!("http://{}/-/healthy", self.flamegate.admin())).await.unwrap();
        (reply.status.as_u16(), reply.text())
    }

    async fn becomes_unhealthy(&self, component: &str) {
        let what = format!("{component} is unhealthy");
        let unhealthy = eventually(&what, async || {
            let (status, text) = self.health().await;
            (status == 500 && text.contains(component)).then_some(())
        });
        unhealthy.await.unwrap_or_else(|error| panic!("{error}\n{}", self.flamegate.logs().join("\n")));
    }

    async fn becomes_healthy(&self) {
        let healthy = eventually("all are healthy", async || (self.health().await.0 == 200).then_some(()));
        healthy.await.unwrap_or_else(|error| panic!("{error}\n{}", self.flamegate.logs().join("\n")));
    }

    /// What is said of another import that cannot be used; the one that runs goes on.
    async fn refusal(&self, import: &str) -> String {
        match self.flamegate.reload(&configuration(import, &self.backend.url())).await {
            Err(FlamegateError::Answer { status: 400, body, .. }) => body,
            other => panic!("{import}: {other:?}"),
        }
    }
}

fn import_file(path: &Path) -> String {
    format!("import.file \"lib\" {{ filename = {:?} }}", path.display().to_string())
}
