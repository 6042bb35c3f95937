//! `import.file`.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Marking, NESTED, WRAPPING, import_file, marking};

#[tokio::test]
async fn a_file_that_changes_changes_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lib.alloy");
    fs::write(&path, marking("one")).unwrap();
    let run = Marking::start(&import_file(&path)).await;
    assert_eq!(run.edge().await, "one");

    fs::write(&path, marking("in-place")).unwrap();
    run.becomes("in-place").await;

    let beside = folder.path().join("lib.alloy.new");
    fs::write(&beside, marking("renamed")).unwrap();
    fs::rename(&beside, &path).unwrap();
    run.becomes("renamed").await;
    assert_eq!(run.health().await.0, 200);
}

/// As Kubernetes mounts a config map.
#[tokio::test]
async fn a_mounted_config_map_that_changes_changes_what_runs() {
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let swap = |edge: &str| {
        let version = format!("..{edge}");
        fs::create_dir(at(&version)).unwrap();
        fs::write(at(&version).join("lib.alloy"), marking(edge)).unwrap();
        symlink(&version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    swap("one");
    symlink("..data/lib.alloy", at("lib.alloy")).unwrap();
    for import in [import_file(&at("lib.alloy")), import_file(mount.path())] {
        let run = Marking::start(&import).await;
        let before = run.edge().await;
        let next = format!("{before}-next");
        swap(&next);
        fs::remove_dir_all(at(&format!("..{before}"))).unwrap();
        run.becomes(&next).await;
    }
}

#[tokio::test]
async fn polling_sees_changes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lib.alloy");
    fs::write(&path, marking("one")).unwrap();
    let polling = import_file(&path).replace('}', "\ndetector = \"poll\"\npoll_frequency = \"50ms\"\n}");
    let run = Marking::start(&polling.replace("{ ", "{\n")).await;
    fs::write(&path, marking("two")).unwrap();
    run.becomes("two").await;
}

#[tokio::test]
async fn what_is_broken_changes_nothing_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lib.alloy");
    fs::write(&path, marking("one")).unwrap();
    let run = Marking::start(&import_file(&path)).await;
    let broken = ["declare {".to_owned(), "pyroscope.write \"x\" { }".to_owned(), "\u{0}".to_owned()];
    for (text, edge) in broken.iter().zip(["two", "three", "four"]) {
        fs::write(&path, text).unwrap();
        run.becomes_unhealthy("import.file.lib").await;
        assert_ne!(run.edge().await, edge);
        fs::write(&path, marking(edge)).unwrap();
        run.becomes_healthy().await;
        run.becomes(edge).await;
    }
    // Gone, not text, and without what is made use of.
    fs::remove_file(&path).unwrap();
    run.becomes_unhealthy("import.file.lib").await;
    assert_eq!(run.edge().await, "four");
    fs::write(&path, b"\xff").unwrap();
    run.flamegate.wait_for_log("not UTF-8", flamegate_tests::polling::DEADLINE).await.unwrap();
    fs::write(&path, "").unwrap();
    run.becomes_unhealthy("lib.mark.default").await;
    assert_eq!(run.edge().await, "four");
    fs::write(&path, marking("five")).unwrap();
    run.becomes("five").await;
    run.becomes_healthy().await;
}

#[tokio::test]
async fn a_folder_is_one_module_and_imports_what_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("lib")).unwrap();
    // One file's declares are known in the other.
    fs::write(at("lib/a.alloy"), WRAPPING).unwrap();
    fs::write(at("lib/b.alloy"), marking("one").replace("\"mark\"", "\"wrapped\"")).unwrap();
    fs::write(at("lib/not-a-module.txt"), "{").unwrap();
    let run = Marking::start(&import_file(&at("lib"))).await;
    assert_eq!(run.edge().await, "one");
    fs::write(at("lib/b.alloy"), marking("two").replace("\"mark\"", "\"wrapped\"")).unwrap();
    run.becomes("two").await;

    // As the reference's manual nests them; what changes is the inner one.
    fs::write(at("outer.alloy"), NESTED).unwrap();
    fs::write(at("inner.alloy"), marking("inner")).unwrap();
    let configuration = super::configuration(&import_file(&at("outer.alloy")), &run.backend.url());
    run.flamegate.reload(&configuration).await.unwrap();
    run.becomes("inner").await;
    fs::write(at("inner.alloy"), marking("changed")).unwrap();
    run.becomes("changed").await;
    fs::write(at("inner.alloy"), "{").unwrap();
    run.becomes_unhealthy("import.file.lib").await;
    assert_eq!(run.edge().await, "changed");
    fs::write(at("inner.alloy"), marking("again")).unwrap();
    run.becomes("again").await;
    run.becomes_healthy().await;
}

#[tokio::test]
async fn an_import_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lib.alloy");
    fs::write(&path, marking("one")).unwrap();
    let run = Marking::start(&import_file(&path)).await;
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("broken.alloy"), "declare \"mark\" {\n  nonsense\n}\n").unwrap();
    for (import, says) in [
        (import_file(&folder.path().join("none.alloy")), "No such file"),
        (import_file(&folder.path().join("empty")), "holds no *.alloy file"),
        (import_file(&folder.path().join("broken.alloy")), "broken.alloy:"),
        ("import.file \"lib\" { filename = \"\" }".to_owned(), "is empty"),
        ("import.file \"lib\" {\nfilename = \"x\"\npoll_frequency = \"0s\"\n}".to_owned(), "must be greater than 0"),
        ("import.file \"lib\" {\nfilename = \"x\"\ndetector = \"y\"\n}".to_owned(), "\"fsnotify\" or \"poll\""),
    ] {
        let refusal = run.refusal(&import).await;
        assert!(refusal.contains(says), "{refusal}");
        assert_eq!(run.edge().await, "one");
    }
}
