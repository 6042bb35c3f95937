//! `flamegate filter new` and `build`. That what is written builds in each language is tried where the languages'
//! toolchains are: `cargo xtask test --only guests`.

use std::collections::BTreeSet;

use super::*;

const ALL: [&str; 6] = [".gitignore", "Makefile", "README.md", "cases.json", "wit/filter.wit", "wit/profile.wit"];

fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_project_is_written_in_each_language() {
    let folder = tempfile::tempdir().unwrap();
    for (language, world, own, source) in [
        ("rust", "labels", &["Cargo.lock", "Cargo.toml", "src/lib.rs"][..], "src/lib.rs"),
        ("c", "labels", &["filter.c"], "filter.c"),
        (
            "go",
            "labels",
            &[
                "export_flamegate_filter_filter_labels/apply.go",
                "export_flamegate_filter_lifecycle/lifecycle.go",
                "go.mod",
                "go.sum",
                "no_wasi.wat",
                "teamlabel/rules.go",
            ],
            "export_flamegate_filter_lifecycle/lifecycle.go",
        ),
        ("python", "labels", &["app.py", "requirements.txt"], "app.py"),
        ("javascript", "labels", &["filter.js", "package-lock.json", "package.json"], "filter.js"),
        (
            "rust",
            "profile",
            &["Cargo.lock", "Cargo.toml", "src/lib.rs", "src/component.rs", "shop.pb.gz", "shop-redacted.pb.gz"],
            "src/component.rs",
        ),
        ("python", "profile", &["app.py", "requirements.txt", "shop.pb.gz", "shop-redacted.pb.gz"], "app.py"),
    ] {
        let name = format!("{world}/My {language} filter");
        // Of labels it is where nothing is said.
        let of_profiles: &[&str] = if world == "profile" { &["--world", world] } else { &[] };
        let ended = filter(folder.path(), &[&["new", "--lang", language, &name], of_profiles].concat()).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{language}");
        let project = folder.path().join(&name);
        let expected: BTreeSet<String> =
            ALL.iter().chain(&["wit/packed.wit"]).chain(own).map(|name| (*name).to_owned()).collect();
        assert_eq!(files(&project), expected, "{language}");
        for file in &expected {
            assert!(ended.stdout.contains(&format!("  {file}\n")), "{language}: {file}: {}", ended.stdout);
        }
        let hyphened = format!("my-{language}-filter");
        let read = |file: &str| std::fs::read_to_string(project.join(file)).unwrap();
        says(&read("Makefile"), &[&format!("build/{hyphened}.wasm")], language);
        says(&read("README.md"), &[&format!("# {hyphened}\n"), "flamegate filter test"], language);
        if source != "src/lib.rs" {
            says(&read(source), &[&hyphened], language);
        }
        for contract in ["filter.wit", "packed.wit", "profile.wit"] {
            let ours = std::fs::read_to_string(examples().join("../wit").join(contract)).unwrap();
            assert_eq!(read(&format!("wit/{contract}")), ours);
        }
    }
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "mine").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let new = |name: &'static str| {
        let path = folder.path().to_owned();
        async move { filter(&path, &["new", "--lang", "c", name]).await }
    };
    for (name, parts) in [
        (".", &["is not empty (", "name a new folder"][..]),
        ("mine", &["mine is there and no folder"]),
        ("mine/filter", &["cannot make the folder mine/filter"]),
    ] {
        let ended = new(name).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{name}: {ended:?}");
        says(&ended.stderr, parts, name);
    }
    assert_eq!(new("empty").await.code, Some(0), "an empty folder will do");
    let before = std::fs::read(folder.path().join("empty/filter.c")).unwrap();
    assert_eq!(new("empty").await.code, Some(1));
    assert_eq!(std::fs::read(folder.path().join("empty/filter.c")).unwrap(), before);
    assert_eq!(std::fs::read_to_string(folder.path().join("mine")).unwrap(), "mine");

    for language in ["c", "go", "javascript"] {
        let ended = filter(folder.path(), &["new", "--lang", language, "--world", "profile", "new"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{language}: {ended:?}");
        says(&ended.stderr, &["there is no example in this language", "--lang rust or python"], language);
        assert!(!folder.path().join("new").exists(), "{language}");
    }

    let ended = filter(folder.path(), &["new", "--lang", "cobol", "new"]).await;
    assert_eq!(ended.code, Some(2));
    says(&ended.stderr, &["cobol", "rust, c, go, python, javascript"], "cobol");
    assert!(!folder.path().join("new").exists());
}

#[tokio::test]
async fn a_build_is_the_makefiles() {
    let folder = tempfile::tempdir().unwrap();
    let none = filter(folder.path(), &["build"]).await;
    assert_eq!(none.code, Some(1));
    says(&none.stderr, &["a filter is built by its Makefile", "cannot read ./Makefile"], "no Makefile");

    let component = examples().join("hostile.wasm");
    let copy = format!("all:\n\tmkdir -p build\n\tcp {} build/mine.wasm\n", component.display());
    for (makefile, code, stdout, stderr) in [
        (&*copy, 0, &["build/mine.wasm\n", "world     labels-filter\n", "hostile"][..], &[][..]),
        ("all:\n\ttouch build/mine.wasm\n", 1, &[], &["build holds no component"]),
        (
            "all:\n\t# wasm32-unknown-unknown\n\texit 3\n",
            1,
            &[],
            &["make failed", "rustup target add wasm32-unknown-unknown"],
        ),
    ] {
        std::fs::write(folder.path().join("Makefile"), makefile).unwrap();
        let _before = std::fs::remove_file(folder.path().join("build/mine.wasm"));
        let ended = filter(Path::new("/"), &["build", folder.path().to_str().unwrap()]).await;
        assert_eq!(ended.code, Some(code), "{makefile}: {ended:?}");
        says(&ended.stdout, stdout, makefile);
        says(&ended.stderr, stderr, makefile);
    }
}
