//! `flamegate fmt`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flamegate_tests::flamegate::{Ended, Flamegate};
use tempfile::TempDir;

const UGLY: &str = "// kept\npyroscope.write \"a\" {\nendpoint { url=\"http://host\" }\n}";
const NEAT: &str = "// kept\npyroscope.write \"a\" {\n\tendpoint {\n\t\turl = \"http://host\"\n\t}\n}\n";
const BROKEN: &str = "pyroscope.write \"a\" {\n  endpoint = =\n}\n";

/// A folder with three files, and a folder.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("ugly.alloy", UGLY), ("neat.alloy", NEAT), ("broken.alloy", BROKEN)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    folder
}

async fn fmt(folder: &Path, arguments: &[&str], stdin: &str) -> Ended {
    Flamegate::command(folder, &[&["fmt"], arguments].concat(), stdin).await.unwrap()
}

fn text(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}

/// Arguments, standard input; the exit code, standard output, and what standard error says.
type Case = (&'static [&'static str], &'static str, i32, &'static str, &'static [&'static str]);

#[tokio::test]
async fn what_comes_out_where() {
    let cases: [Case; 20] = [
        (&["ugly.alloy"], "", 0, NEAT, &[]),
        (&["neat.alloy"], "", 0, NEAT, &[]),
        (&["-"], UGLY, 0, NEAT, &[]),
        (&[], UGLY, 0, NEAT, &[]),
        (&["-"], "", 0, "\n", &[]),
        (&["-t", "neat.alloy"], "", 0, "", &[]),
        (&["--test", "neat.alloy"], "", 0, "", &[]),
        (&["-t", "-"], NEAT, 0, "", &[]),
        (&["-t", "ugly.alloy"], "", 1, "", &["file ugly.alloy is not formatted correctly"]),
        (&["-t", "-"], UGLY, 1, "", &["file <stdin> is not formatted correctly"]),
        (&["-w", "-t", "ugly.alloy"], "", 1, "", &["cannot use -w and -t at the same time"]),
        (&["-w", "-"], UGLY, 1, "", &["cannot use -w with standard input"]),
        (&["--write"], UGLY, 1, "", &["cannot use -w with standard input"]),
        (&["inner"], "", 1, "", &["cannot format a directory"]),
        (&["-w", "inner"], "", 1, "", &["cannot format a directory"]),
        (&["none.alloy"], "", 1, "", &["none.alloy", "No such file"]),
        (&["broken.alloy"], "", 1, "", &["broken.alloy:2:14", "  endpoint = =", "^", "expected expression, got ="]),
        (&["-t", "broken.alloy"], "", 1, "", &["broken.alloy:2:14", "expected expression, got ="]),
        (&["-"], BROKEN, 1, "", &["<stdin>:2:14", "expected expression, got ="]),
        (&["-"], "a \u{0}", 1, "", &["<stdin>:1:3", "illegal character NUL"]),
    ];
    let folder = folder();
    for (arguments, stdin, code, stdout, says) in cases {
        let ended = fmt(folder.path(), arguments, stdin).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), stdout), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.is_empty(), says.is_empty(), "{arguments:?}: {ended:?}");
        for part in says {
            assert!(ended.stderr.contains(part), "{arguments:?}: {part:?} is missing in {}", ended.stderr);
        }
    }
    for (name, before) in [("ugly.alloy", UGLY), ("neat.alloy", NEAT), ("broken.alloy", BROKEN)] {
        assert_eq!(text(&folder, name), before, "nothing is written without -w");
    }
    let format = Flamegate::command(folder.path(), &["format", "ugly.alloy"], "").await.unwrap();
    assert_eq!((format.code, format.stdout.as_str()), (Some(0), NEAT), "the reference's other name");
}

#[tokio::test]
async fn a_file_is_written_in_its_place() {
    let folder = folder();
    let path = folder.path().join("ugly.alloy");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let ended = fmt(folder.path(), &["-w", "ugly.alloy"], "").await;
    assert_eq!(ended, Ended { code: Some(0), stdout: String::new(), stderr: String::new() });
    assert_eq!(text(&folder, "ugly.alloy"), NEAT);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    let neat = folder.path().join("neat.alloy");
    let before = std::fs::metadata(&neat).unwrap().modified().unwrap();
    assert_eq!(fmt(folder.path(), &["-w", "neat.alloy"], "").await.code, Some(0));
    assert_eq!(std::fs::metadata(&neat).unwrap().modified().unwrap(), before, "what is neat is left alone");

    assert_eq!(fmt(folder.path(), &["-w", "broken.alloy"], "").await.code, Some(1));
    assert_eq!(text(&folder, "broken.alloy"), BROKEN, "what cannot be parsed stays");
}

/// For editors, which format a buffer, and ask where it is wrong.
#[tokio::test]
async fn errors_as_json() {
    let ended = fmt(Path::new("/"), &["--format", "json", "-"], BROKEN).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let error: serde_json::Value = serde_json::from_str(ended.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(error["file"], "<stdin>");
    assert_eq!((&error["start"]["line"], &error["start"]["column"]), (&2.into(), &14.into()), "{error}");
}
