use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn store(folder: &TempDir) -> CodeStore {
    CodeStore::open(&folder.path().join("compiled-filters")).unwrap()
}

fn code(bytes: &[u8]) -> OwnCode {
    OwnCode::authenticated(bytes.to_vec())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[track_caller]
fn assert_found(found: Found, bytes: &[u8]) {
    match found {
        Found::Code(code) => assert_eq!(code.bytes(), bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_kept_is_found_by_the_next_process_and_closed_to_others() {
    let folder = folder();
    store(&folder).keep("a", &code(b"machine code"));
    let again = store(&folder);
    assert_found(again.load("a"), b"machine code");
    assert!(matches!(again.load("b"), Found::Nothing));
    let path = folder.path().join("compiled-filters");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("key")), 0o600);
    assert_eq!(mode(&path.join("a.cwasm")), 0o600);
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 2);
}

#[test]
fn a_file_that_was_changed_is_deleted() {
    let folder = folder();
    let store = store(&folder);
    let file = folder.path().join("compiled-filters/a.cwasm");
    type Tamper = fn(&Path, Vec<u8>);
    let tampers: [(&str, Tamper); 7] = [
        ("the last byte", |file, mut bytes| {
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(file, bytes).unwrap();
        }),
        ("the MAC", |file, mut bytes| {
            bytes[0] ^= 1;
            std::fs::write(file, bytes).unwrap();
        }),
        ("cut", |file, bytes| std::fs::write(file, &bytes[..bytes.len() - 1]).unwrap()),
        ("emptied", |file, _| std::fs::write(file, []).unwrap()),
        ("another's", |file, bytes| {
            std::fs::write(file.with_file_name("b.cwasm"), bytes).unwrap();
            std::fs::rename(file.with_file_name("b.cwasm"), file.with_file_name("c.cwasm")).unwrap();
            std::fs::remove_file(file).unwrap();
            std::fs::rename(file.with_file_name("other.cwasm"), file).unwrap();
        }),
        ("a link", |file, bytes| {
            std::fs::write(file.with_file_name("elsewhere"), bytes).unwrap();
            std::fs::remove_file(file).unwrap();
            symlink(file.with_file_name("elsewhere"), file).unwrap();
        }),
        ("open to others", |file, _| {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o660)).unwrap();
        }),
    ];
    for (what, tamper) in tampers {
        store.keep("a", &code(b"machine code"));
        store.keep("other", &code(b"of another"));
        assert_found(store.load("a"), b"machine code");
        tamper(&file, std::fs::read(&file).unwrap());
        assert!(matches!(store.load("a"), Found::Foreign), "{what}");
        assert!(matches!(store.load("a"), Found::Nothing), "{what}: deleted");
        store.keep("a", &code(b"compiled again"));
        assert_found(store.load("a"), b"compiled again");
    }
}

#[test]
fn another_key_finds_nothing_of_ours() {
    let folder = folder();
    store(&folder).keep("a", &code(b"machine code"));
    std::fs::write(folder.path().join("compiled-filters/key"), [7; KEY_BYTES]).unwrap();
    assert!(matches!(store(&folder).load("a"), Found::Foreign));
}

#[test]
fn a_folder_or_key_that_others_can_reach_is_refused() {
    let folder = folder();
    let path = folder.path().join("compiled-filters");
    drop(store(&folder));
    let refusal = |path: &Path| CodeStore::open(path).unwrap_err().to_string();
    for (name, mode) in [(path.clone(), 0o755), (path.join("key"), 0o640)] {
        let before = std::fs::metadata(&name).unwrap().permissions();
        std::fs::set_permissions(&name, std::fs::Permissions::from_mode(mode)).unwrap();
        let refusal = refusal(&path);
        assert!(refusal.contains("closed to all others: chmod"), "{refusal}");
        std::fs::set_permissions(&name, before).unwrap();
    }
    std::fs::write(path.join("key"), b"short").unwrap();
    assert!(refusal(&path).contains("is no key: remove it"));
    symlink(&path, folder.path().join("link")).unwrap();
    assert!(refusal(&folder.path().join("link")).contains("cannot open"));
}

#[test]
fn the_oldest_make_room() {
    let folder = folder();
    let path = folder.path().join("compiled-filters");
    let store = CodeStore::bounded(&path, 3 * 1100).unwrap();
    for (age, name) in [(30, "c"), (40, "b"), (50, "a")] {
        store.keep(name, &code(&[0; 1000]));
        let file = File::options().write(true).open(path.join(format!("{name}.cwasm"))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    // What is used is young again.
    assert_found(store.load("a"), &[0; 1000]);
    store.keep("d", &code(&[0; 1000]));
    assert!(matches!(store.load("b"), Found::Nothing));
    for name in ["a", "c", "d"] {
        assert_found(store.load(name), &[0; 1000]);
    }
}
