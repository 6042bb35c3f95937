//! .NET: whichever way methods were compiled, in stacks with the framework's own.

use profiler_core::kernel::{FrameKind, Unwinder};
use profiler_core::sampler::Trace;

use super::programs::Installed;
use super::sampled::{Runtime, Sampled, Stack};
use crate::running::Running;

const SOURCE: &str = "truth.cs";
/// `Depth` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;
/// Where threads begin. The framework's methods there call the next one last: what was compiled ahead leaves no frame.
const ROOTS: [&str; 2] = ["System.Threading.Thread.StartCallback", BEGIN];
const BEGIN: &str = "Truth.Program+<Main>c__AnonStorey0.<>m__0";

static DOTNET: Runtime = Runtime {
    kind: FrameKind::DotNet,
    unwinder: Unwinder::DOTNET,
    programs: "dotnet",
    work: |function| match function.name.as_str() {
        "Truth.Work.Alpha" => Some("alpha"),
        "Truth.Work.Beta" => Some("beta"),
        "Truth.Work.Gamma" => Some("gamma"),
        _ => None,
    },
    reaches_root: |functions| functions.last().is_some_and(|function| ROOTS.contains(&function.name.as_str())),
    is_of_work,
    // By then the compiler has done most.
    warm_up: 1_250,
    has_other_threads: true,
    percent_of_work: 50,
};

/// Of a program that tells nothing of its work.
static FRAMEWORK: Runtime = Runtime {
    work: |_| None,
    reaches_root: |functions| functions.last().is_some_and(|function| function.name == "Framework.Program.Main"),
    ..DOTNET
};

/// Of the program's own threads: those of the runtime have names.
fn is_of_work(trace: &Trace) -> bool {
    !trace.comm.text().starts_with(".NET") || trace.user.iter().any(|frame| frame.kind == FrameKind::DotNet)
}

#[test]
fn methods_that_are_compiled_time_and_again_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[]);
}

#[test]
fn methods_that_are_compiled_once_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[("DOTNET_TieredCompilation", "0")]);
}

/// As they are compiled first, and those of the framework, too; only loops that go on for long are compiled better, while
/// they run.
#[test]
fn methods_that_are_compiled_quickly_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[("DOTNET_TC_CallCounting", "0"), ("DOTNET_ReadyToRun", "0")]);
}

/// Code that is written where it runs: the barriers of the collector are then the runtime's own file's.
#[test]
fn methods_in_memory_that_can_be_written_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[("DOTNET_EnableWriteXorExecute", "0")]);
}

#[test]
fn programs_of_one_file_are_as_they_say() {
    agrees(&Installed::in_one_file_on_10(SOURCE), &[]);
}

#[test]
fn dotnet_that_is_switched_off_costs_nothing() {
    let program = Installed::on_9(SOURCE);
    DOTNET.costs_nothing_when_off(program.command());
}

/// Half of the methods that are compiled ahead keep no frame pointer, and neither do the collector's barriers.
#[test]
fn methods_that_were_compiled_ahead_are_named_and_their_callers_found() {
    let program = Installed::on_9("framework.cs");
    // They are never compiled again.
    let mut command = program.command();
    command.env("DOTNET_TieredCompilation", "0");
    let stacks = FRAMEWORK.whole_stacks("compiled ahead", &Running::start(command));
    let sort = ["IntroSort", "IntrospectiveSort", "Sort"]
        .map(|name| format!("System.Collections.Generic.ArraySortHelper`1.{name}"));
    let sort = [&sort[..], &["Framework.Program.Main".to_owned()]].concat();
    assert!(stacks.iter().any(|stack| names(stack).ends_with(&sort)), "no sort is in order");
    let is_named = |wanted: &str| stacks.iter().flat_map(|stack| &stack.functions).any(|one| one.name == wanted);
    assert!(is_named("System.Collections.Generic.Dictionary`2.TryInsert"));
    assert!(is_named("System.String.SplitInternal"));
}

fn agrees(program: &Installed, settings: &[(&str, &str)]) {
    let mut command = program.command();
    command.envs(settings.iter().copied());
    let sampled = DOTNET.agrees(command);
    callers_are_in_order(&sampled);
    let own = |name: &str| name.starts_with("Truth.");
    let wrong = sampled.functions().find(|(function, _)| own(&function.name) && function.file != "azmcp.dll");
    assert!(wrong.is_none(), "{wrong:?}");
}

/// What runs below what: nearly always, for compilers may leave a frame before they call.
fn callers_are_in_order(sampled: &Sampled) {
    let alpha =
        [&["Truth.Work.Once", "Truth.Twice.Next", "Truth.Work.Alpha"][..], &["Truth.Program.Descend"; DESCENTS]];
    let alpha = [&alpha.concat()[..], &["Truth.Program.Run"]].concat();
    let once = sampled.of("alpha").filter(|stack| stack.functions[0].name == "Truth.Work.Once");
    in_order(once, |names| names.iter().zip(&alpha).all(|(name, expected)| name == expected));
    // An iterator is a type that the compiler makes.
    let asks = "Truth.Work+Asks`1+<Numbers>c__Iterator0.MoveNext";
    in_order(sampled.of("beta"), |names| below(names, &["Truth.Work.Beta", asks, "Truth.Program.Run"]));
    // Most of the sort is inlined.
    let sort = "System.Collections.Generic.ArraySortHelper`1.IntroSort";
    let sort = ["Truth.Work.Gamma", "Truth.Work.Compare", sort, "Truth.Program.Run", BEGIN];
    in_order(sampled.of("gamma"), |names| below(names, &sort));
}

fn in_order<'s>(stacks: impl Iterator<Item = &'s Stack>, is_in_order: impl Fn(&[String]) -> bool) {
    let (mut right, mut all, mut wrong) = (0, 0, None);
    for stack in stacks.filter(|stack| stack.is_whole) {
        let is_right = is_in_order(&names(stack));
        all += stack.count;
        right += if is_right { stack.count } else { 0 };
        wrong = wrong.or((!is_right).then_some(stack));
    }
    assert!(all > 0 && right * 100 >= all * 97, "{right} of {all} are in order: {wrong:#?}");
}

/// Whether these are among the names, in this order.
fn below(names: &[String], callers: &[&str]) -> bool {
    let mut names = names.iter();
    callers.iter().all(|caller| names.any(|name| name == caller))
}

fn names(stack: &Stack) -> Vec<String> {
    stack.functions.iter().map(|function| function.name.clone()).collect()
}
