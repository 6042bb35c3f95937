//! PHP, stopped where its stack is known: the kernel's code finds the functions that are on it, and whatever their memory
//! becomes, it ends, and so does who reads their names.

use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::FrameKind;

use super::replay::ORIGINS;
use super::stopped::{Function, Stopped};

#[test]
fn frames_of_php_lie_where_they_belong() {
    for php in phps() {
        let path = source();
        let source = std::fs::read_to_string(&path).expect("the program");
        let (place, included) = (path.display(), path.with_file_name("included.php"));
        // Each with what is called in its line; C has no lines.
        let shop = [
            ("posix_kill", ""),
            (r"Trade\stop_here", "posix_kill("),
            (r"Trade\Shop::byName", "stop_here()"),
            ("usort", ""),
            (r"Trade\Shop::sorted", "usort("),
            (r"Trade\Shop::each", "$this->sorted()"),
        ];
        let class = format!("class@anonymous:{place}:36::visit");
        let closure =
            if has_places(&php) { r"{closure:Trade\visit():43}".to_owned() } else { format!("{{closure:{place}:43}}") };
        let including = format!("include:{}", included.display());
        let visits = [
            (class.as_str(), "foreach"),
            (closure.as_str(), "$visitor->visit"),
            ("array_map", ""),
            (r"Trade\visit", "array_map("),
            (including.as_str(), ""),
            (r"Trade\descend", "require __DIR__"),
        ];
        let outer = [&[(r"Trade\descend", "descend($depth - 1)"); 5][..], &[("{main}", "descend(5)")]].concat();
        let expected = [&shop[..], &visits, &outer].concat();

        let stopped = stopped_in(&php);
        let (replay, instance) = stopped.replay();
        for origin in ORIGINS {
            let walked =
                replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
            assert_eq!(walked.stop, 0, "{}: {:?}", php.display(), stopped.memory.places(&walked.frames));
            let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
            let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
            assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{}", php.display());
            for (Function { name, line, .. }, (_, call)) in functions.iter().zip(&expected) {
                let text = source.lines().nth((*line as usize).wrapping_sub(1)).unwrap_or_default();
                assert!(text.contains(call), "{}: {name} in line {line}: {text}", php.display());
            }
        }
    }
}

#[test]
fn no_memory_of_php_breaks_who_reads_it() {
    stopped_in(Path::new("/usr/bin/php8.2")).withstands_changes();
}

/// That of the system, and those that are named.
fn phps() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_PHPS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec![PathBuf::from("/usr/bin/php8.2")], named].concat()
}

/// From 8.4 on functions without a name say where they are.
fn has_places(php: &Path) -> bool {
    let output = Command::new(php).args(["-n", "-r", "echo PHP_VERSION_ID;"]).output().expect("php");
    String::from_utf8_lossy(&output.stdout).parse::<u32>().expect("a version") >= 80_400
}

fn stopped_in(php: &Path) -> Stopped {
    let mut command = Command::new(php);
    command.arg(source());
    Stopped::of(command, FrameKind::Php)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/php/stopped.php")
}
