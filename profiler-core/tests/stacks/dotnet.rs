//! CoreCLR, stopped where its stack is known: the kernel's code finds the methods that are on it, and whatever their memory
//! becomes, it ends, and so does who reads their names.

use profiler_core::kernel::FrameKind;

use super::replay::ORIGINS;
use super::stopped::Stopped;
use programs::Installed;

#[path = "../dotnet/programs.rs"]
mod programs;

/// Code of all kinds, and what was compiled well, some of which has no frame pointer.
const SETTINGS: [&[(&str, &str)]; 3] =
    [&[], &[("DOTNET_TieredCompilation", "0")], &[("DOTNET_TieredCompilation", "0"), ("DOTNET_ReadyToRun", "0")]];

#[test]
fn frames_of_dotnet_lie_where_they_belong() {
    for settings in SETTINGS {
        in_order(&Installed::on_9("stopped.cs"), settings);
    }
    in_order(&Installed::in_one_file_on_10("stopped.cs"), &[]);
}

fn in_order(program: &Installed, settings: &[(&str, &str)]) {
    let stopped = stopped_in(program, settings);
    let (replay, instance) = stopped.replay();
    for origin in ORIGINS {
        let walked = replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
        assert_eq!(walked.stop, 0, "{settings:?}: {:?}", stopped.memory.places(&walked.frames));
        let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
        let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        // The sort has some more, and how the system is called.
        let own: Vec<&str> = names.iter().filter(|name| !name.starts_with("System.Col")).copied().collect();
        let own: Vec<&str> = own.into_iter().skip_while(|name| !name.starts_with("Trade.")).collect();
        let inner = ["Trade.Shop.StopHere", "Trade.Shop.Small", "Trade.Shop.Compare"];
        assert_eq!(own.get(..3), Some(&inner[..]), "{settings:?}: {names:?}");
        let outer = own.iter().position(|name| name.starts_with("Trade.Shop+")).unwrap_or_default();
        assert!(own[3..outer].iter().all(|name| *name == "System.Array.Sort"), "{settings:?}: {names:?}");
        let sorted = "Trade.Shop+Line`1+<Sorted>c__Iterator0.MoveNext";
        let outermost =
            [&[sorted, "Trade.Shop.Consume"], &["Trade.Shop.Descend"; 6][..], &["Trade.Shop.Main"]].concat();
        assert_eq!(own[outer..], outermost, "{settings:?}: {names:?}");
    }
}

#[test]
fn no_memory_of_dotnet_breaks_who_reads_it() {
    stopped_in(&Installed::on_9("stopped.cs"), &[]).withstands_changes();
}

fn stopped_in(program: &Installed, settings: &[(&str, &str)]) -> Stopped {
    let mut command = program.command();
    command.envs(settings.iter().copied());
    Stopped::of(command, FrameKind::DotNet)
}
