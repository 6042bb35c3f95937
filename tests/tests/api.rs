//! The API of the admin listener: components, rates, support bundles, the controller's metrics.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use flamegate_tests::backend::Backend;
use flamegate_tests::blocks::ReceiveHttp;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{Reply, get};
use flamegate_tests::polling::DEADLINE;
use serde_json::Value;

#[path = "api/components.rs"]
mod components;
#[path = "api/graph.rs"]
mod graph;
#[path = "api/support.rs"]
mod support;

/// Nothing that is told may hold it.
const PASSWORD: &str = "hunter2";

/// A pipeline with one of everything: receiver, rules, a custom component with a writer inside, and a template.
struct Pipeline {
    flamegate: Flamegate,
    backend: Backend,
    configuration: String,
}

impl Pipeline {
    /// With these blocks besides.
    async fn start(besides: &str) -> Self {
        let backend = Backend::start().await.unwrap();
        let url = backend.url();
        let receive = ReceiveHttp { label: "default", ..ReceiveHttp::default() }.block();
        let receive = receive.replace("forward_to = []", "forward_to = [pyroscope.relabel.rules.receiver]");
        let configuration = format!(
            r#"{besides}
{receive}
pyroscope.relabel "rules" {{
  forward_to = [send.out.receiver, pyroscope.write.beside.receiver]

  rule {{
    target_label = "edge"
    replacement  = "a"
  }}
}}

pyroscope.write "beside" {{ }}

declare "send" {{ // {PASSWORD}
  argument "url" {{ }}

  argument "password" {{
    optional = true
  }}

  pyroscope.write "inner" {{
    endpoint {{
      url                 = argument.url.value
      remote_timeout      = "90s"
      max_backoff_retries = 3

      basic_auth {{
        username = "edge"
        password = argument.password.value
      }}
    }}
  }}

  export "receiver" {{
    value = pyroscope.write.inner.receiver
  }}
}}

send "out" {{
  url      = "{url}"
  password = "{PASSWORD}"
}}

foreach "each" {{
  collection = ["a", "b"]
  var        = "item"

  template {{
    pyroscope.write "of_item" {{
      external_labels = {{"item" = item}}
    }}
  }}
}}
"#
        );
        Self::run(backend, configuration).await
    }

    /// One that nothing passes, without rules to compile.
    async fn idle(besides: &str) -> Self {
        let backend = Backend::start().await.unwrap();
        Self::run(backend, format!("{besides}\npyroscope.write \"beside\" {{ }}\n")).await
    }

    async fn run(backend: Backend, configuration: String) -> Self {
        let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
        // The last line of a start: what is logged from now on comes of the test.
        flamegate.wait_for_log("now serving", DEADLINE).await.unwrap();
        Self { flamegate, backend, configuration }
    }

    async fn get(&self, path: &str) -> Reply {
        get(&self.url(path)).await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.flamegate.admin())
    }

    /// An answer of the API.
    async fn json(&self, path: &str) -> Value {
        let reply = self.get(&format!("/api/v0/web/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.headers["content-type"], "application/json", "{path}");
        serde_json::from_slice(&reply.body).unwrap()
    }
}
