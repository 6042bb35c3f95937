//! The conformance cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use profiler_core::labels::Labels;
use serde_json::{Value as Json, json};

use super::arguments;
use crate::components::scrape::check::check;
use crate::components::scrape::identity::{offset, stable_hash};

use crate::components::scrape::target::{Settings, Target};
use crate::components::service_name::service_name;

/// The cases of a file, each as we answer it.
fn cases(name: &str, text: &str) -> Vec<Json> {
    let file: Json = serde_json::from_str(text).unwrap();
    let mut cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len() as u64, file["count"]);
    let deviations: toml::Table = include_str!("../../../../../tests/conformance/deviations.toml").parse().unwrap();
    for deviation in deviations["deviation"].as_array().unwrap() {
        if deviation["file"].as_str() != Some(name) {
            continue;
        }
        let case = cases.iter_mut().find(|case| case["id"] == deviation["id"].as_str().unwrap()).unwrap();
        let Json::Object(ours) = serde_json::to_value(&deviation["ours"]).unwrap() else { panic!("{deviation}") };
        case.as_object_mut().unwrap().extend(ours);
    }
    cases
}

fn labels(labels: &Json) -> Labels {
    let pairs: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
    Labels::from_pairs(pairs).unwrap()
}

/// What the configuration calls what the cases name as the reference's fields.
const TYPES: [(&str, &str); 9] = [
    ("Memory", "memory"),
    ("Block", "block"),
    ("Goroutine", "goroutine"),
    ("Mutex", "mutex"),
    ("ProcessCPU", "process_cpu"),
    ("FGProf", "fgprof"),
    ("GoDeltaProfMemory", "godeltaprof_memory"),
    ("GoDeltaProfMutex", "godeltaprof_mutex"),
    ("GoDeltaProfBlock", "godeltaprof_block"),
];

fn settings(case: &Json) -> Settings {
    let args = &case["args"];
    let config = &args["profiling_config"];
    let mut body =
        format!("targets = []\nforward_to = []\nscheme = {}\njob_name = {}\n", args["scheme"], args["job_name"]);
    if !args["params"].is_null() {
        writeln!(body, "params = encoding.from_json({:?})", args["params"].to_string()).unwrap();
    }
    writeln!(body, "profiling_config {{\npath_prefix = {}", config["PathPrefix"]).unwrap();
    let block = |of: &Json| format!("enabled = {}\npath = {}\ndelta = {}\n", of["Enabled"], of["Path"], of["Delta"]);
    for (theirs, ours) in TYPES {
        writeln!(body, "profile.{ours} {{\n{}}}", block(&config[theirs])).unwrap();
    }
    for custom in config["Custom"].as_array().into_iter().flatten() {
        writeln!(body, "profile.custom {} {{\n{}}}", custom["Name"], block(custom)).unwrap();
    }
    let mut arguments = arguments(&format!("{body}}}"), None).unwrap();
    // One case has an interval that the arguments refuse.
    let seconds = |name: &str| Duration::from_secs(args[name].as_u64().unwrap());
    arguments.scrape_interval = seconds("scrape_interval_s");
    arguments.delta_profiling_duration = seconds("delta_profiling_duration_s");
    Settings::of(&arguments)
}

fn scraped(target: &Target) -> Json {
    let labels = target.labels().unwrap();
    json!({
        "url": target.url.to_string(),
        "hash": target.identity.to_string(),
        "has_seconds": target.has_seconds(),
        "godeltaprof": target.is_delta_already(),
        "labels": labels.iter().collect::<BTreeMap<_, _>>(),
    })
}

#[test]
fn targets() {
    for case in cases("scrape_targets.json", include_str!("../../../../../tests/conformance/scrape_targets.json")) {
        let id = case["id"].as_str().unwrap();
        let settings = settings(&case).into();
        let mut all = Vec::new();
        let mut error = None;
        for target in case["targets"].as_array().unwrap() {
            let mut described = case["group_labels"].as_object().cloned().unwrap_or_default();
            described.extend(target.as_object().unwrap().clone());
            match Target::all_of(&labels(&described.into()), &settings) {
                Ok(targets) => all.extend(targets.iter().map(scraped)),
                Err(refused) => error = Some(refused.to_string()),
            }
        }
        assert_eq!(error.as_deref(), case["error"].as_str(), "{id}");
        let mut expected = case["expected"].as_array().cloned().unwrap_or_default();
        for all in [&mut all, &mut expected] {
            all.sort_by_key(|target| target["url"].to_string());
        }
        assert_eq!(all, expected, "{id}");
    }
}

#[test]
fn offsets() {
    for case in cases("scrape_offset.json", include_str!("../../../../../tests/conformance/scrape_offset.json")) {
        let number = |name: &str| case[name].as_u64().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(number("now_unix_nano"));
        let identity = case["hash"].as_str().unwrap().parse().unwrap();
        let delay = offset(identity, Duration::from_secs(number("interval_s")), now);
        assert_eq!(delay, Duration::from_nanos(number("delay_nanos")), "{case}");
    }
}

#[test]
fn bodies() {
    for case in cases("scrape_validate.json", include_str!("../../../../../tests/conformance/scrape_validate.json")) {
        let body = STANDARD.decode(case["data_base64"].as_str().unwrap()).unwrap();
        let refused = check(&body, case["content_type"].as_str().unwrap().as_bytes()).err();
        assert_eq!(refused.map(|error| error.to_string()).as_deref(), case["error"].as_str(), "{case}");
    }
}

#[test]
fn service_names() {
    for case in cases("service_name.json", include_str!("../../../../../tests/conformance/service_name.json")) {
        assert_eq!(service_name(&labels(&case["target"]), ""), case["scrape"].as_str().unwrap(), "{case}");
    }
}

/// The fingerprints beside them are those of a cache that counts label sets here.
#[test]
fn hashes() {
    for case in cases("label_hash.json", include_str!("../../../../../tests/conformance/label_hash.json")) {
        let hash = stable_hash(labels(&case["labels"]).iter());
        assert_eq!(hash.to_string(), case["stable_hash"], "{case}");
    }
}
