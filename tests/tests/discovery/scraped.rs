//! What is discovered and relabelled is scraped, and what changes there changes what is scraped.

use std::time::Duration;

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::blocks;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::spine::good_profile;
use flamegate_tests::told_server::{Answer, ToldServer};
use serde_json::json;

/// Another list of targets is taken after some seconds; the rest is for a busy machine.
const ARRIVAL: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_discovered_target_is_scraped_under_its_labels() {
    let profiles = ToldServer::start(Answer::Bytes(good_profile())).await.unwrap();
    let address = profiles.url("").replace("http://", "");
    let tell = |app: &str| Answer::Json(json!([{ "targets": [address], "labels": { "__meta_app": app } }]).to_string());
    let server = ToldServer::start(tell("shop")).await.unwrap();
    let backend = Backend::start().await.unwrap();
    let url = server.url("/targets");
    let configuration = format!(
        r#"
discovery.http "web" {{
  url              = "{url}"
  refresh_interval = "200ms"
}}

discovery.relabel "named" {{
  targets = discovery.http.web.targets

  rule {{
    source_labels = ["__meta_app"]
    target_label  = "service_name"
  }}
}}

pyroscope.scrape "default" {{
  targets         = discovery.relabel.named.output
  forward_to      = [pyroscope.write.default.receiver]
  scrape_interval = "1s"
  scrape_timeout  = "1s"

  profiling_config {{
    profile.goroutine {{
      path = "/asked/goroutine"
    }}

    profile.memory {{
      enabled = false
    }}

    profile.mutex {{
      enabled = false
    }}

    profile.block {{
      enabled = false
    }}

    profile.process_cpu {{
      enabled = false
    }}
  }}
}}
"#
    ) + &blocks::write("default", &[backend.url()], "");
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    for app in ["shop", "market"] {
        server.answers(tell(app));
        let of_app = |series: &Received| series.labels.get("service_name").is_some_and(|name| name == app);
        let arrived = backend.wait_for(of_app, ARRIVAL).await;
        arrived.unwrap_or_else(|error| panic!("{app}: {error}\n{}", flamegate.logs().join("\n")));
    }
    let asked = profiles.asked();
    assert!(asked.iter().all(|request| request.starts_with("GET /asked/goroutine ")), "{asked:?}");
}
