//! `flamegate filter run --profile`: what a filter makes of a profile.

use std::collections::BTreeSet;

use flamegate_tests::gzip::is_gzip;
use flamegate_tests::pprof::{self, Profile, ProfileBuilder};

use super::*;

/// Two functions in three stacks.
fn profile() -> ProfileBuilder {
    ProfileBuilder::new(&[("cpu", "nanoseconds"), ("samples", "count")])
        .sample(&["secret.pay", "main"], &[7, 1], &[("thread", "a")])
        .sample(&["main"], &[3, 1], &[("thread", "b")])
        .sample(&["secret.pay", "main"], &[2, 2], &[])
}

/// The component; arguments after it; the exit code, parts of standard output and of standard error.
type Case = (&'static str, &'static [&'static str], i32, &'static [&'static str], &'static [&'static str]);

const GZIPPED: [&str; 2] = ["--profile", "in.pb.gz"];
const CASES: &[Case] = &[
    (
        "redact",
        &["--config", "secret.", "--labels", "service_name=shop"],
        0,
        &[
            "redact 0.1.0, deterministic",
            "\n  service_name=\"shop\"\nverdict: unchanged\nprofile: changed\n\
             + function \"[redacted]\" in \"\"\n- function \"secret.pay\" in \"program.rs\"\n",
            " instructions; memory: ",
        ],
        &[],
    ),
    ("redact", &["--config", "public."], 0, &["\nverdict: unchanged\nprofile: unchanged\n"], &[]),
    ("redact", &["--config", "# none"], 1, &[], &["configure refuses the configuration: no names to hide"]),
    // Without the clock it is not even started.
    ("probe", &["--config", "read"], 1, &[], &["clock", "--grant clock"]),
    (
        "probe",
        &["--grant", "clock", "--config", "drop-samples 1\ndrop-types 1\nlabel 2 region=eu"],
        0,
        &["profile: changed\n+ label region=\"eu\"\n- label thread=\"b\"\n+ samples: 2\n- samples: 3\n\
             - total of cpu: 12 nanoseconds\n+ total of cpu: 9 nanoseconds\n- total of samples: 4 count\n"],
        &[],
    ),
    (
        "probe",
        &["--grant", "clock", "--config", "range 0 9"],
        0,
        &["+ range=\"3\"\nverdict: changed\nprofile: unchanged\n"],
        &[],
    ),
    (
        "probe",
        &["--grant", "clock", "--config", "drop-samples 0 1 2"],
        0,
        &["profile: nothing is left of it, and it is dropped\n"],
        &[],
    ),
    // Of a series that is dropped no profile is left to be spoken of.
    (
        "probe",
        &["--grant", "clock", "--config", "rename 0 x\ndrop noise", "--labels", "a=b", "--repeat", "3"],
        0,
        &["\n- a=\"b\"\nverdict: drop, \"noise\"\n\napply: ", "\n3 calls: median "],
        &[],
    ),
    (
        "probe",
        &["--grant", "clock", "--config", "rename 9 x"],
        1,
        &[],
        &["apply: the filter trapped", "no function at place 9"],
    ),
    // A filter of labels has its say, and does not see the profile.
    (
        "hostile",
        &["--config", "unchanged", "--labels", "a=b"],
        0,
        &["  a=\"b\"\nverdict: unchanged\nprofile: unchanged\n"],
        &[],
    ),
];

#[tokio::test]
async fn what_becomes_of_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.pb.gz"), profile().gzip().unwrap()).unwrap();
    std::fs::write(folder.path().join("in.pb"), profile().encode()).unwrap();
    for &(component, arguments, code, stdout, stderr) in CASES {
        for profile in [GZIPPED, ["--profile", "in.pb"]] {
            let ended = run(folder.path(), component, &[arguments, &profile[..]].concat()).await;
            let context = format!("{component} {arguments:?} {profile:?}");
            assert_eq!(ended.code, Some(code), "{context}: {ended:?}");
            assert_eq!(ended.stderr.is_empty(), stderr.is_empty(), "{context}: {ended:?}");
            says(&ended.stdout, stdout, &context);
            says(&ended.stderr, stderr, &context);
        }
    }
}

#[tokio::test]
async fn what_is_no_profile_is_told_so_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let whole = profile().gzip().unwrap();
    for (name, bytes) in
        [("cut.pb.gz", &whole[..whole.len() / 2]), ("text.pb", &b"samples: 3"[..]), ("in.pb.gz", &whole)]
    {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    for (arguments, parts) in [
        (
            &["--profile", "cut.pb.gz"][..],
            &["apply: ", "a profile is a pprof message, gzipped or not, of at most 32 MiB"][..],
        ),
        (&["--profile", "text.pb"], &["apply: ", "a profile is a pprof message"]),
        (&["--profile", "none.pb"], &["cannot read none.pb", "No such file"]),
        (&["--profile", "."], &["cannot read .", "it is no file"]),
        (&[], &["apply: ", "--profile FILE.pb.gz"]),
        (&["--profile", "in.pb.gz", "--out", "none/out.pb"], &["cannot write none/out.pb"]),
    ] {
        let ended = run(folder.path(), "redact", &[&["--config", "secret."], arguments].concat()).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        says(&ended.stderr, parts, &format!("{arguments:?}"));
    }
    let lonely = run(folder.path(), "redact", &["--config", "secret.", "--out", "out.pb"]).await;
    assert_eq!(lonely.code, Some(2));
    says(&lonely.stderr, &["--profile <FILE>"], "--out alone");
}

#[tokio::test]
async fn what_is_passed_on_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (plain, gzipped) = (profile().encode(), profile().gzip().unwrap());
    std::fs::write(here.join("in.pb"), &plain).unwrap();
    std::fs::write(here.join("in.pb.gz"), &gzipped).unwrap();
    for name in ["in.pb", "in.pb.gz"] {
        let ended = run(here, "redact", &["--config", "secret.", "--profile", name, "--out", "out"]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{name}");
        let written = std::fs::read(here.join("out")).unwrap();
        assert_eq!(is_gzip(&written), name == "in.pb.gz", "as it came in");
        let written = pprof::decode(&written, 1 << 20).unwrap();
        assert_eq!(pprof::sampled_functions(&written), BTreeSet::from(["[redacted]", "main"].map(str::to_owned)));
        assert_eq!(values(&written), values(&profile().build()));
        assert!(!written.string_table.iter().any(|text| text.contains("secret")), "{:?}", written.string_table);
    }

    let same = run(here, "redact", &["--config", "public.", "--profile", "in.pb.gz", "--out", "same"]).await;
    assert_eq!(same.code, Some(0));
    assert_eq!(std::fs::read(here.join("same")).unwrap(), gzipped);
    says(&same.stdout, &["profile: unchanged\n", &format!("written to same: {} bytes\n", gzipped.len())], "unchanged");
    for order in ["drop-samples 0 1 2", "drop noise"] {
        let orders = ["--grant", "clock", "--config", order, "--profile", "in.pb", "--out", "none"];
        let gone = run(here, "probe", &orders).await;
        assert_eq!(gone.code, Some(0), "{order}: {gone:?}");
        says(&gone.stdout, &["nothing is written to none: no profile is passed on\n"], order);
        assert!(!here.join("none").exists(), "{order}");
    }
}

fn values(profile: &Profile) -> Vec<Vec<i64>> {
    profile.sample.iter().map(|sample| sample.value.clone()).collect()
}

async fn run(folder: &Path, component: &str, arguments: &[&str]) -> Ended {
    let component = examples().join(component).with_extension("wasm");
    filter(folder, &[&["run", component.to_str().unwrap()], arguments].concat()).await
}
