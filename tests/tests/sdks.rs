//! Real SDKs send through Flamegate: what they profile arrives under the labels that the pipeline gives it, both
//! at intervals and at their exit.

use std::error::Error;
use std::time::Duration;

use flamegate_tests::destination::{Destination, Expected, Kind};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::sdk::Sdk;

/// After the client's end: everything was sent, so that only the way through Flamegate remains.
const ARRIVAL: Duration = Duration::from_secs(30);
/// A client that does not await the answer to its last upload has hung up by then; one that does has not timed out.
const BACKEND_ANSWERS_AFTER: Duration = Duration::from_millis(1500);
const APPLICATION: &str = "busy.app";

/// `edge` is set, `region` becomes `zone`.
fn configuration(backend: &str) -> String {
    format!(
        r#"
        pyroscope.receive_http "default" {{
            http {{
                listen_address = "127.0.0.1"
                listen_port    = 0
            }}
            forward_to = [pyroscope.relabel.default.receiver]
        }}

        pyroscope.relabel "default" {{
            forward_to = [pyroscope.write.default.receiver]

            rule {{
                target_label = "edge"
                replacement  = "flamegate"
            }}

            rule {{
                action      = "labelmap"
                regex       = "region"
                replacement = "zone"
            }}

            rule {{
                action = "labeldrop"
                regex  = "region"
            }}
        }}

        pyroscope.write "default" {{
            endpoint {{
                url = "{backend}"
            }}
        }}
        "#
    )
}

/// What each client's profiles look like behind the pipeline.
fn expected(sdk: Sdk) -> Vec<Expected<'static>> {
    let mut cpu = Expected {
        service: APPLICATION,
        labels: &[("edge", "flamegate"), ("zone", "eu-west")],
        absent: &["region"],
        sample_labels: &[],
        kind: Kind::Cpu,
        function: sdk.function_while_running(),
    };
    if sdk == Sdk::Python08 {
        // Its tags are labels of the samples, inside the profile: relabel does not see them.
        cpu.labels = &[("edge", "flamegate")];
        cpu.sample_labels = &[("region", "eu-west")];
        cpu.absent = &[];
    }
    let mut all = vec![cpu];
    if let Some(function) = sdk.function_before_exit() {
        all.push(Expected { function, ..cpu });
    }
    if sdk == Sdk::Go {
        all.push(Expected { kind: Kind::Heap, function: "allocateOnTheHeap", ..cpu });
    }
    all
}

async fn arrives_relabelled(sdk: Sdk) -> Result<(), Box<dyn Error>> {
    for destination in Destination::start_all(BACKEND_ANSWERS_AFTER).await? {
        let flamegate = Flamegate::start(&configuration(&destination.url()), &[]).await?;
        let listener = flamegate.listener("pyroscope.receive_http.default").await?;
        sdk.run(&format!("http://{listener}"), APPLICATION).await?;
        for expected in expected(sdk) {
            if let Err(error) = destination.wait_for(&expected, ARRIVAL).await {
                return Err(format!("{error}\nflamegate wrote:\n{}", flamegate.logs().join("\n")).into());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn go() {
    arrives_relabelled(Sdk::Go).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn python_1_4() {
    arrives_relabelled(Sdk::Python14).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn python_0_8() {
    arrives_relabelled(Sdk::Python08).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn java() {
    arrives_relabelled(Sdk::Java).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn node() {
    arrives_relabelled(Sdk::Node).await.unwrap_or_else(|error| panic!("{error}"));
}
