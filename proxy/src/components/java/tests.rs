//! The conformance cases, and what the arguments make of a plan.

use std::collections::{BTreeMap, BTreeSet};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use profiler_core::labels::Labels;
use serde_json::{Value as Json, json};

use super::launcher_words::options_of;
use super::plan::Plan;
use super::series::Series;
use super::target_loop::TargetLoop;
use super::*;

fn arguments(body: &str) -> Result<JavaArguments, String> {
    let text = format!("java \"x\" {{\nforward_to = []\ntargets = []\n{body}\n}}\n");
    let file = parse_file("test.alloy", &text).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())
}

fn config(attributes: &str) -> Result<String, String> {
    let arguments = arguments(&format!("profiling_config {{\n{attributes}\n}}"))?;
    Ok(arguments.profiling_config.agent_options().map_err(|invalid| invalid.message)?.to_string())
}

fn cases(file: &str) -> Vec<Json> {
    let file: Json = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len() as u64, file["count"]);
    cases
}

fn words(words: &[&str]) -> Result<String, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    options_of(&words).map(|options| options.to_string()).map_err(|error| error.to_string())
}

fn set(options: &str) -> BTreeSet<&str> {
    options.split(',').collect()
}

/// What the configuration calls what the cases name as the reference's fields.
const FIELDS: [(&str, &str); 9] = [
    ("SampleRate", "sample_rate"),
    ("Alloc", "alloc"),
    ("Lock", "lock"),
    ("CPU", "cpu"),
    ("Event", "event"),
    ("PerThread", "per_thread"),
    ("LogLevel", "log_level"),
    ("Custom", "custom_arguments"),
    ("Tlab", "tlab"),
];

/// Our options mean what the reference's command lines mean. Where to and for how long is recorded is said to the agent
/// elsewhere, and the recording ends by itself ten seconds later than the reference's, which it may do while it is asked to.
#[test]
fn the_agent_is_told_what_the_cases_tell_asprof() {
    for case in cases(include_str!("../../../../tests/conformance/java_argv.json")) {
        let given = &case["profiling_config"];
        let attribute = |(field, name): &(&str, &str)| match &given[*field] {
            Json::Null => String::new(),
            value => format!("{name} = {value}\n"),
        };
        let interval = format!("interval = \"{}ms\"\n", given["IntervalS"].as_f64().unwrap() * 1000.0);
        let ours = config(&(FIELDS.iter().map(attribute).collect::<String>() + &interval)).unwrap();
        let argv: Vec<&str> = case["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let ["-f", "/tmp/asprof-<own pid>-<pid>.jfr", "-o", "jfr", recorded @ .., "start", "--timeout", _, "<pid>"] =
            argv.as_slice()
        else {
            panic!("{case}");
        };
        assert_eq!(set(&ours), set(&words(recorded).unwrap()), "{case}");
    }
}

#[test]
fn the_launchers_words_are_the_agents_options() {
    for (given, options) in [
        (&["-e", "cpu/umask=0x1,event=0xd3/"][..], "event=cpu/umask=0x1:event=0xd3/"),
        (&["--event", "ctimer", "--wall", "50ms", "--live"], "event=ctimer,wall=50ms,live"),
        (&["-F", "mixed,vtable", "--ratelimit", "cpu:10,wall:5"], "features=mixed+vtable,ratelimit=cpu:10;wall:5"),
        (&["-j", "512", "-t", "-s", "-g", "--all-user"], "jstackdepth=512,threads,simple,sig,alluser"),
        (&["-I", "com/shop/*", "-X", "*park*", "--cstack", "vm"], "include=com/shop/*,exclude=*park*,cstack=vm"),
        (&["-L", "WARN", "--nativemem", "1m", "--nofree"], "loglevel=WARN,nativemem=1m,nofree"),
    ] {
        assert_eq!(words(given).unwrap(), options);
    }
    for (given, says) in [
        (&["--flame"][..], "\"--flame\" is no option of asprof"),
        (&["start"], "\"start\" is no option of asprof"),
        (&["4711"], "\"4711\" is no option of asprof"),
        (&["--alloc"], "--alloc needs a value behind it"),
        (&["-f", "/tmp/x.jfr"], "-f is not for a configuration to say"),
        (&["--timeout", "5"], "--timeout is not for a configuration to say"),
        (&["--jfrsync", "profile"], "--jfrsync records with the JVM's own recorder"),
        (&["--alloc", "1k,file=/etc/passwd"], "--alloc: \"1k,file=/etc/passwd\" cannot be given"),
    ] {
        let refused = words(given).unwrap_err();
        assert!(refused.starts_with(says), "{refused}");
    }
}

#[test]
fn extensions_are_recorded_beside_the_rest() {
    let options = config("wall = \"20ms\"\nlive = true\nnativemem = \"1m\"\ncstack = \"vm\"").unwrap();
    let expected = "event=itimer,interval=10000000,wall=20ms,alloc=512k,live,lock=10ms,nativemem=1m,cstack=vm,\
                    loglevel=INFO";
    assert_eq!(set(&options), set(expected));
    let options = config("cpu = false\nalloc = \"\"\nlock = \"\"\nlog_level = \"\"\nwall = \"5ms\"\nper_thread = true");
    assert_eq!(set(&options.unwrap()), set("wall=5ms,threads"));
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    for (attributes, says) in [
        ("tlab = true\nalloc = \"\"", "profiling_config.tlab requires profiling_config.alloc to be set"),
        ("live = true\nalloc = \"\"", "profiling_config.live requires profiling_config.alloc to be set"),
        ("sample_rate = 0", "must be 1 to 1000000000 samples a second"),
        ("interval = \"0s\"", "must be greater than 0 and at most 24h"),
        ("interval = \"25h\"", "must be greater than 0 and at most 24h"),
        ("event = \"\"", "must say what is sampled"),
        ("event = \"wall\"\nwall = \"5ms\"", "event = \"wall\" samples the same"),
        ("cstack = \"lbr\"", "\"lbr\" is none of fp, dwarf, vm, vmx, no"),
        ("log_level = \"loud\"", "\"LOUD\" is none of TRACE, DEBUG"),
        ("lock = \"1ms,all\"", "\"1ms,all\" cannot be given to the profiler"),
        ("custom_arguments = [\"--flame\"]", "\"--flame\" is no option of asprof"),
    ] {
        let refused = config(attributes).unwrap_err();
        assert!(refused.contains(says), "{attributes}: {refused}");
    }
    // As with the reference: nothing else counts beside words for asprof.
    assert_eq!(config("custom_arguments = [\"-e\", \"cpu\"]\ntlab = true\nalloc = \"\"").unwrap(), "event=cpu");
    for body in ["tmp_dir = \"tmp\"", "tmp_dir = \"/tmp,all\""] {
        assert!(arguments(body).is_err(), "{body}");
    }
}

/// Under which plan a recording goes on.
#[test]
fn only_what_is_recorded_otherwise_ends_a_recording() {
    let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../.test-tools/async-profiler");
    let plan = |target: &str, more: &str, before: Option<&Plan>| {
        let target = format!("{{\"__process_pid__\" = \"7\", {target}}}");
        let text = format!(
            "java \"x\" {{\nforward_to = []\ndist = {dist:?}\ntargets = [{target}, {{\"a\" = \"b\"}}]\n{more}\n}}\n"
        );
        let file = parse_file("test.alloy", &text).unwrap();
        let scope = Scope::stdlib(&StdlibOptions::default());
        let arguments: JavaArguments = decode_block(file.body.blocks().next().unwrap(), &scope).unwrap();
        Plan::new(&arguments, before).map_err(|invalid| invalid.message).unwrap()
    };
    let mut before = plan("\"team\" = \"a\", \"__meta_process_cwd\" = \"/\"", "", None);
    assert_eq!((before.orders.len(), before.without_pid.len()), (1, 1));
    let of = TargetLoop::new(7, before.orders[&7].clone());
    let mut orders = of.orders();
    let slower = "profiling_config {\ninterval = \"10s\"\n}";
    let without_locks = "profiling_config {\ninterval = \"10s\"\nlock = \"\"\n}";
    for (target, more, ends) in [
        ("\"team\" = \"a\", \"__meta_process_cwd\" = \"/tmp\"", String::new(), false),
        ("\"team\" = \"b\"", String::new(), true),
        ("\"team\" = \"b\"", slower.to_owned(), true),
        ("\"team\" = \"b\"", slower.replace("\n}", "\nquiet = true\n}"), false),
        ("\"team\" = \"b\"", without_locks.to_owned(), true),
        ("\"team\" = \"b\"", format!("tmp_dir = \"/var/tmp\"\n{without_locks}"), true),
    ] {
        before = plan(target, &more, Some(&before));
        of.aim(&before.orders[&7]);
        assert_eq!(orders.has_changed().unwrap(), ends, "{target} {more}");
        orders.mark_unchanged();
    }
    of.end();
    assert!(orders.has_changed().unwrap() && of.order().is_none());
}

fn series(target: &Json) -> Series {
    let pairs: BTreeMap<String, String> = serde_json::from_value(target.clone()).unwrap();
    Series::of(&Labels::from_pairs(pairs).unwrap()).unwrap()
}

#[test]
fn services_are_named_as_the_cases_say() {
    let mut cases = cases(include_str!("../../../../tests/conformance/service_name.json"));
    let pod = json!({"__meta_kubernetes_namespace": "a", "__meta_kubernetes_pod_container_name": "b"});
    cases.push(json!({"target": pod, "java": "java/a/b"}));
    for case in cases {
        let labels = series(&case["target"]).of_profile("process_cpu", "itimer").unwrap();
        assert_eq!(labels.value("service_name"), case["java"].as_str(), "{case}");
    }
}

#[test]
fn profiles_have_the_labels_of_their_target_and_of_what_was_recorded() {
    let target = json!({
        "__process_pid__": "7", "__meta_process_exe": "/bin/java", "__session_id__": "s", "service_name": "shop",
        "team": "a", "pyroscope_spy": "another",
    });
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("__delta__", "false"),
        ("__name__", "process_cpu"),
        ("__session_id__", "s"),
        ("jfr_event", "itimer"),
        ("otel.scope.name", "com.grafana.alloy/pyroscope.java"),
        ("otel.scope.version", version),
        ("pyroscope_spy", "alloy.java"),
        ("service_name", "shop"),
        ("team", "a"),
    ];
    let series = series(&target);
    assert_eq!(series.of_profile("process_cpu", "itimer").unwrap(), Labels::from_pairs(expected).unwrap());
    // Where nothing was sampled no event is named.
    let without = expected.into_iter().filter(|(name, _)| *name != "jfr_event");
    assert_eq!(series.of_profile("process_cpu", "").unwrap(), Labels::from_pairs(without).unwrap());
}
