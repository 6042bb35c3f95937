//! `flamegate convert`.

use std::fs;
use std::path::{Path, PathBuf};

use flamegate_tests::flamegate::{Ended, Flamegate};
use flamegate_tests::gzip;
use profiler_core::pprof::Profile;
use tempfile::TempDir;

/// Far more than the profile is.
const LIMIT: usize = 16 << 20;

async fn convert(arguments: &[&str]) -> Ended {
    Flamegate::command(Path::new("/"), &[&["convert"], arguments].concat(), "").await.unwrap()
}

/// A recording of async-profiler, with all that it records.
fn recording(folder: &TempDir) -> (PathBuf, Vec<u8>) {
    let committed = "../profiler-core/tests/recordings/async-profiler-4.6.jfr.gz";
    let packed = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(committed)).unwrap();
    let bytes = gzip::decompress_if_gzip(&packed, LIMIT).unwrap().into_owned();
    let path = folder.path().join("x.jfr");
    fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

fn types(profile: &Path) -> Vec<String> {
    let profile = Profile::from_bytes(&fs::read(profile).unwrap().into(), LIMIT).unwrap();
    profile.sample_type.iter().map(|kind| profile.string(kind.kind).to_owned()).collect()
}

#[tokio::test]
async fn a_recording_becomes_one_profile_of_all_kinds_or_of_those_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (jfr, _) = recording(&folder);
    let pprof = folder.path().join("x.pb.gz");
    let (jfr, output) = (jfr.to_str().unwrap(), pprof.to_str().unwrap());

    let ended = convert(&[jfr, "-o", output]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("cpu, wall, alloc_in_new_tlab, live, malloc, mutex, block\n"), "{}", ended.stderr);
    let all = types(&pprof);
    assert_eq!(all[..2], ["cpu", "wall"]);
    assert_eq!(all[7..], ["mutex_contentions", "mutex_delay", "block_contentions", "block_delay"]);

    let ended = convert(&[jfr, "-o", output, "--kind", "block", "--kind", "cpu", "--threads"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(types(&pprof), ["cpu", "contentions", "delay"]);
    let profile = Profile::from_bytes(&fs::read(&pprof).unwrap().into(), LIMIT).unwrap();
    assert!(profile.function_names().any(|name| name == "java.lang.Thread.run"));
    let labels = profile.sample.iter().flat_map(|sample| &sample.label);
    assert!(labels.into_iter().any(|label| profile.string(label.str) == "burner"));
}

#[tokio::test]
async fn what_cannot_be_converted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = recording(&folder);
    let pprof = folder.path().join("x.pb.gz");
    let (jfr, output) = (path.to_str().unwrap(), pprof.to_str().unwrap());

    let ended = convert(&[jfr, "-o", output, "--kind", "alloc_sample"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("it holds no samples of alloc_sample, but of cpu, wall"), "{}", ended.stderr);

    fs::write(&path, gzip::compress(&bytes).unwrap()).unwrap();
    let ended = convert(&[jfr, "-o", output]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(1), &*format!("{jfr}: it is compressed; `gunzip` it first\n"))
    );

    // What was whole is written all the same.
    fs::write(&path, [&bytes[..], b"something else"].concat()).unwrap();
    let ended = convert(&[jfr, "-o", output]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("no chunk of a JFR recording begins at byte"), "{}", ended.stderr);
    assert_eq!(types(&pprof)[..2], ["cpu", "wall"]);
}
