//! py-spy, which stops a process of Python and reads its memory.

use std::path::Path;
use std::process::Command;

use super::super::python::PYTHON;
use super::super::sampled::Function;
use super::super::source::{path, tool, versions};
use super::{Recorded, Stacks, agree};
use crate::running::Running;

#[test]
#[ignore = "`cargo xtask soak oracles` runs it, with nothing beside it"]
fn py_spy_says_the_same() {
    for python in versions("/usr/bin/python3", "FLAMEGATE_PYTHONS") {
        let setting = python.display().to_string();
        let mut command = Command::new(&python);
        command.arg(path("python/ways.py"));
        let running = Running::start(command);
        let (ours, theirs) = PYTHON.whole_stacks_beside(&setting, &running, || py_spy(running.pid()));
        agree(&setting, &Stacks::sampled(&ours, form), &theirs);
    }
}

/// As py-spy has it: the name without its module. The thread that waits for the end of the input does nothing but wake up
/// whenever py-spy has stopped it, and is left out.
fn form(function: &Function) -> Option<String> {
    let file = Path::new(&function.file);
    let module = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("__init__") => file.parent().and_then(Path::file_name).and_then(|folder| folder.to_str()),
        stem => stem,
    };
    let module = format!("{}.", module.unwrap_or_default());
    let name = function.name.strip_prefix(&module).unwrap_or(&function.name);
    Some(format!("{name} ({}:{})", function.file, function.line)).filter(|form| is_of_work(form))
}

/// Code that is run as a text is a module, too.
fn is_of_work(form: &str) -> bool {
    !form.starts_with("<module> (/")
}

/// Without pauses it reads what changes meanwhile. It asks by the clock on the wall: while the program waits for a CPU, it
/// would be told of the same place again and again at a higher rate.
fn py_spy(pid: u32) -> Recorded {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("py-spy-{pid}"));
    Recorded::until_enough(|stacks| {
        let mut command = Command::new(tool("py-spy/bin/py-spy"));
        command.args(["record", "--format", "raw", "--full-filenames", "--rate", "199", "--duration", "1", "--output"]);
        let output = command.arg(&file).args(["--pid", &pid.to_string()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let form = |frame: &str| Some(frame.to_owned()).filter(|form| is_of_work(form));
        stacks.add_folded(&std::fs::read_to_string(&file).unwrap(), form);
    })
}
