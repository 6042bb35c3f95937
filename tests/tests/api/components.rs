//! What is told of components, in the reference's shape.

use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};
use serde_json::{Value, json};

use super::{PASSWORD, Pipeline};

/// Without what no test can know: the time, which must be one.
fn timeless(mut component: Value) -> Value {
    let time = component["health"]["updatedTime"].take();
    let time = time.as_str().unwrap_or_else(|| panic!("{component}"));
    // 2006-01-02T15:04:05.999999999Z
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape.split('.').next().unwrap(), "0000-00-00T00:00:00", "{time}");
    assert!(shape.ends_with('Z'), "{time}");
    component
}

fn by_id(list: Value) -> Vec<(String, Value)> {
    let Value::Array(list) = list else { panic!("no list: {list}") };
    let mut list: Vec<_> = list
        .into_iter()
        .map(|component| (component["localID"].as_str().unwrap().to_owned(), timeless(component)))
        .collect();
    list.sort_by(|(one, _), (other, _)| one.cmp(other));
    list
}

/// A component as lists have it; `besides` are the fields in which it is another.
fn listed(name: &str, label: &str, besides: &Value) -> (String, Value) {
    let id = format!("{name}.{label}");
    let mut component = json!({
        "name": name,
        "type": "block",
        "localID": id,
        "moduleID": "",
        "label": label,
        "referencesTo": [],
        "referencedBy": [],
        "dataFlowEdgesTo": [],
        "health": {"state": "healthy", "message": "component evaluated", "updatedTime": null},
        "original": "",
        "liveDebuggingEnabled": false,
    });
    for (key, value) in besides.as_object().unwrap() {
        component[key] = value.clone();
    }
    (id, component)
}

#[tokio::test]
async fn lists() {
    let pipeline = Pipeline::start("").await;
    let rules = ["pyroscope.relabel.rules"];
    let sinks = ["pyroscope.write.beside", "send.out"];
    let expected = [
        listed(
            "foreach",
            "each",
            &json!({"createdModuleIDs": ["foreach.each/foreach_a_1", "foreach.each/foreach_b_1"]}),
        ),
        listed(
            "pyroscope.receive_http",
            "default",
            &json!({"referencesTo": rules, "dataFlowEdgesTo": rules, "liveDebuggingEnabled": true}),
        ),
        listed(
            "pyroscope.relabel",
            "rules",
            &json!({
                "referencesTo": sinks, "referencedBy": [RECEIVE], "dataFlowEdgesTo": sinks, "liveDebuggingEnabled": true,
            }),
        ),
        listed("pyroscope.write", "beside", &json!({"referencedBy": rules})),
        listed("send", "out", &json!({"referencedBy": rules, "createdModuleIDs": ["send.out"]})),
    ];
    assert_eq!(by_id(pipeline.json("components").await), expected);

    let inner = |label: &str, module: &str| listed("pyroscope.write", label, &json!({"moduleID": module}));
    assert_eq!(by_id(pipeline.json("modules/send.out/components").await), [inner("inner", "send.out")]);
    let module = "foreach.each/foreach_b_1";
    let of_module = by_id(pipeline.json(&format!("modules/{module}/components")).await);
    assert_eq!(of_module, [inner("of_item", module)]);
}

#[tokio::test]
async fn one_with_arguments_and_exports() {
    let pipeline = Pipeline::start("").await;
    let text = |value: &str| json!({"type": "string", "value": value});
    let number = |value: i64| json!({"type": "number", "value": value});
    let attribute = |name: &str, value: Value| json!({"name": name, "type": "attr", "value": value});
    let receiver = |id: &str| json!({"type": "capsule", "value": format!("{id}.receiver")});

    // As the reference, without what is as it would be without it; of secrets only that there are some.
    let endpoint = json!([
        attribute("url", text(&pipeline.backend.url())),
        attribute("remote_timeout", text("1m30s")),
        attribute("max_backoff_retries", number(3)),
        {"name": "basic_auth", "type": "block", "body": [
            attribute("username", text("edge")),
            attribute("password", json!({"type": "capsule", "value": "(secret)"})),
        ]},
    ]);
    let (_, mut expected) = listed("pyroscope.write", "inner", &json!({"moduleID": "send.out"}));
    expected["arguments"] = json!([{"name": "endpoint", "type": "block", "body": endpoint}]);
    let id = "send.out/pyroscope.write.inner";
    expected["exports"] = json!([attribute("receiver", receiver(id))]);
    let told = timeless(pipeline.json(&format!("components/{id}")).await);
    assert_eq!(told, expected);
    assert!(!told.to_string().contains(PASSWORD));

    // Of a custom component what it was given, and what it gives.
    let told = pipeline.json("components/send.out").await;
    let given =
        [("password", PASSWORD), ("url", &pipeline.backend.url())].map(|(name, value)| attribute(name, text(value)));
    let mut arguments = told["arguments"].as_array().unwrap().clone();
    arguments.sort_by_key(|argument| argument["name"].to_string());
    assert_eq!(arguments, given);
    assert_eq!(told["exports"], json!([attribute("receiver", receiver(id))]));

    // Of a block that may stand more than once each; of receivers their names.
    let told = pipeline.json("components/pyroscope.relabel.rules").await;
    let arguments = told["arguments"].as_array().unwrap();
    let forward_to = arguments.iter().find(|argument| argument["name"] == "forward_to").unwrap();
    assert_eq!(forward_to["value"]["type"], "array", "{told}");
    assert_eq!(forward_to["value"]["value"], json!([receiver(id), receiver("pyroscope.write.beside")]));
    let rule = arguments.iter().find(|argument| argument["name"] == "rule").unwrap();
    assert_eq!(rule["body"], json!([attribute("target_label", text("edge")), attribute("replacement", text("a"))]));

    // What a template's item is.
    let told = pipeline.json("components/foreach.each/foreach_b_1/pyroscope.write.of_item").await;
    let labels = json!({"type": "object", "value": [{"key": "item", "value": text("b")}]});
    assert_eq!(told["arguments"][0], attribute("external_labels", labels));
}

#[tokio::test]
async fn what_is_not_there() {
    let pipeline = Pipeline::start("livedebugging { }").await;
    for path in [
        "components/none",
        "components/pyroscope.write.none",
        "components/pyroscope.write.inner",
        "components/send.none/pyroscope.write.inner",
        "components/send.out/none",
        "components/foreach.each/foreach_c_1/pyroscope.write.of_item",
        // Settings are none.
        "components/livedebugging",
        "modules/none/components",
        "modules/pyroscope.relabel.rules/components",
        "modules/send.out",
        "graph/none",
        "none",
    ] {
        let reply = pipeline.get(&format!("/api/v0/web/{path}")).await;
        // Whether rates may be looked at is asked first.
        let status = if path.starts_with("graph") { 500 } else { 404 };
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    let post = flamegate_tests::http_client::post(&pipeline.url("/api/v0/web/components"), &[], "").await.unwrap();
    assert_eq!(post.status, 405);
}

/// What cannot take the value that another component now exports goes on as it is, and says so.
#[tokio::test]
async fn health() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("regex");
    std::fs::write(&file, "a").unwrap();
    let besides = format!(
        "local.file \"regex\" {{\n  filename = {file:?}\n}}\n\npyroscope.relabel \"by_file\" {{\n  forward_to = []\n\n  \
         rule {{\n    regex        = local.file.regex.content\n    target_label = \"x\"\n  }}\n}}\n"
    );
    let pipeline = Pipeline::start(&besides).await;
    let told = async || pipeline.json("components/pyroscope.relabel.by_file").await;
    let becomes = async |state: &str| {
        eventually(&format!("it is {state}"), async || {
            let told = told().await;
            (told["health"]["state"] == state).then_some(told)
        })
        .await
        .unwrap()
    };
    let counted = async |state: &str| {
        let labels = [("health_type", state), ("controller_path", "/"), ("controller_id", "")];
        pipeline.flamegate.metrics().await.unwrap().sum("alloy_component_controller_running_components", &labels)
    };
    let before = becomes("healthy").await;
    assert_eq!((counted("healthy").await, counted("unhealthy").await), (Some(7.0), None));

    std::fs::write(&file, "(").unwrap();
    let broken = becomes("unhealthy").await;
    let message = broken["health"]["message"].as_str().unwrap();
    assert!(message.starts_with("component evaluation failed: ") && message.contains("missing closing )"), "{message}");
    assert_eq!(broken["arguments"], before["arguments"], "it goes on with its last ones");
    assert_eq!((counted("healthy").await, counted("unhealthy").await), (Some(6.0), Some(1.0)));
    let healthy = pipeline.get("/-/healthy").await;
    assert_eq!(
        (healthy.status.as_u16(), healthy.text().as_str()),
        (500, "unhealthy components: pyroscope.relabel.by_file\n")
    );

    std::fs::write(&file, "b").unwrap();
    let mended = becomes("healthy").await;
    assert_ne!(mended["arguments"], before["arguments"]);
    assert_eq!(pipeline.get("/-/healthy").await.status, 200);
}

/// A reload changes what is told.
#[tokio::test]
async fn what_a_reload_changes() {
    let pipeline = Pipeline::start("").await;
    let before = pipeline.json("components/pyroscope.write.beside").await;
    let changed = pipeline.configuration.replace("foreach \"each\"", "foreach \"other\"");
    pipeline.flamegate.reload(&changed).await.unwrap();
    let ids: Vec<String> = by_id(pipeline.json("components").await).into_iter().map(|(id, _)| id).collect();
    assert!(ids.contains(&"foreach.other".to_owned()) && !ids.contains(&"foreach.each".to_owned()), "{ids:?}");
    let after = pipeline.json("components/pyroscope.write.beside").await;
    assert!(after["health"]["updatedTime"].as_str() > before["health"]["updatedTime"].as_str(), "{before} {after}");
}

#[tokio::test]
async fn metrics_of_the_controller() {
    let pipeline = Pipeline::start("").await;
    let url = format!("http://{}", pipeline.flamegate.listener(RECEIVE).await.unwrap());
    assert_eq!(PushClient::CONNECT.push(&url, &good_push()).await.unwrap().error, None);
    pipeline.backend.wait_for_attempts(1, DEADLINE).await.unwrap();

    let metrics = pipeline.flamegate.metrics().await.unwrap();
    let root = [("controller_path", "/"), ("controller_id", "")];
    let module = [("controller_path", "/"), ("controller_id", "send.out")];
    let template = [("controller_path", "/foreach.each"), ("controller_id", "foreach_a_1")];
    let healthy = |of: [(&'static str, &'static str); 2]| [of[0], of[1], ("health_type", "healthy")];
    let running = "alloy_component_controller_running_components";
    for (name, labels, value) in [
        (running, &healthy(root)[..], 5.0),
        (running, &healthy(module), 1.0),
        (running, &healthy(template), 1.0),
        ("alloy_component_controller_evaluating", &root, 0.0),
        ("alloy_component_evaluation_queue_size", &root, 0.0),
        ("alloy_component_evaluation_seconds_count", &root, 5.0),
        ("alloy_component_evaluation_seconds_count", &module, 1.0),
    ] {
        assert_eq!(metrics.sum(name, labels), Some(value), "{name} {labels:?}");
    }
    let mut connections: Vec<_> = metrics
        .matching("alloy_component_graph_connection", &root)
        .map(|sample| (sample.labels["from"].as_str(), sample.labels["to"].as_str(), sample.value))
        .collect();
    connections.sort_by_key(|connection| (connection.0, connection.1));
    let rules = "pyroscope.relabel.rules";
    let expected = [(RECEIVE, rules, 1.0), (rules, "pyroscope.write.beside", 1.0), (rules, "send.out", 1.0)];
    assert_eq!(connections, expected);
    for sample in metrics.samples.iter().filter(|sample| sample.name.starts_with("alloy_component_")) {
        let names: Vec<&str> = sample.labels.keys().map(String::as_str).collect();
        assert!(names.contains(&"controller_path") && names.contains(&"controller_id"), "{sample:?}");
    }

    let digests = |metrics: &flamegate_tests::flamegate::Metrics| -> Vec<String> {
        metrics.matching("alloy_config_hash", &[("cluster_name", "")]).map(|it| it.labels["sha256"].clone()).collect()
    };
    let before = digests(&metrics);
    assert_eq!((before.len(), before[0].len()), (1, 64), "{before:?}");
    pipeline.flamegate.reload(&(pipeline.configuration.clone() + "// another\n")).await.unwrap();
    eventually("the digest is another one", async || {
        let after = digests(&pipeline.flamegate.metrics().await.unwrap());
        (after.len() == 1 && after != before).then_some(())
    })
    .await
    .unwrap();
}
