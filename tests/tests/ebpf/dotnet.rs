//! Programs of .NET, named as who wrote them names their methods.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use flamegate_tests::backend::{Backend, Received};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};

use super::{configuration, profile};
use programs::Installed;

#[path = "../../../profiler-core/tests/dotnet/programs.rs"]
#[allow(dead_code, reason = "one runtime of those that it can install")]
mod programs;

/// Runs until it is dropped.
struct Running {
    child: Child,
    _program: Installed,
}

impl Running {
    fn start() -> Self {
        let program = Installed::on_9("truth.cs");
        let child = program.command().stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Self { child, _program: program }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn methods_of_dotnet_are_named_unless_that_is_switched_off() {
    let (backend, running) = (Backend::start().await.unwrap(), Running::start());
    let settings = |more: &str| {
        let target = format!("{{\"__process_pid__\" = \"{}\", \"service_name\" = \"truth\"}}", running.child.id());
        let fixed = "  collect_interval = \"1s\"\n  sample_rate = 199\n";
        configuration(&backend, &format!("  targets = [{target}]\n{fixed}{more}"))
    };
    let flamegate = Flamegate::start(&settings(""), &[]).await.unwrap();
    let own = ["Truth.Program.Run", "Truth.Work.Beta", "System.Collections.Generic.ArraySortHelper`1.IntroSort"];
    let is_named = |functions: &BTreeSet<String>| own.iter().all(|name| functions.contains(*name));
    let functions = |received: &Received| received.profiles[0].functions.clone();
    let named = eventually("methods of .NET", async || {
        backend.received().into_iter().find(|received| is_named(&functions(received)))
    });
    let profile = profile(&named.await.unwrap());
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].as_str();
    let beta = profile.function.iter().find(|function| text(function.name) == "Truth.Work.Beta").unwrap();
    assert_eq!(text(beta.filename), "azmcp.dll");
    let labels = [("component_id", super::COMPONENT)];
    let metrics = flamegate.metrics().await.unwrap();
    assert!(metrics.sum("UnwindDotnetFrames_total", &labels).unwrap_or_default() > 0.0);

    flamegate.reload(&settings("  dotnet_enabled = false")).await.unwrap();
    let before = backend.received().len();
    // The first ones may still be of what was sampled before.
    let later = eventually("profiles after the reload", async || {
        let received = backend.received();
        (received.len() >= before + 4).then_some(received)
    });
    let last = later.await.unwrap().pop().unwrap();
    assert!(!functions(&last).iter().any(|name| name.starts_with("Truth.")), "{last}");
    flamegate.into_folder(DEADLINE).await.unwrap();
}
