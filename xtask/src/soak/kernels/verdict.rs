//! Whether what a guest printed is what ran in it.

use anyhow::{bail, ensure};

/// Of each kind of samples at least as many are wanted: without a processor of its own a guest is slow.
const ENOUGH: u64 = 50;

/// Some lines for people.
pub(super) fn judge(printed: &str) -> anyhow::Result<String> {
    if !printed.contains("the sampler ended with 0") {
        let last: Vec<&str> = printed.lines().rev().take(5).collect();
        bail!("the sampler did not end well: {last:?}");
    }
    let stacks: Vec<Stack<'_>> = printed.lines().filter_map(Stack::parse).collect();
    let mut said = Vec::new();
    for (what, is_meant) in KINDS {
        let lines = || stacks.iter().filter(|stack| is_meant(stack));
        let all: u64 = lines().map(|stack| stack.value).sum();
        let whole: u64 = lines().filter(|stack| stack.is_whole).map(|stack| stack.value).sum();
        ensure!(all >= ENOUGH, "{what}: {all} samples");
        ensure!(whole.saturating_mul(100) >= all.saturating_mul(99), "{what}: of {all} samples only {whole} are whole");
        said.push(format!("{what} {whole} of {all} whole"));
    }
    // Behind what the guest's firmware leaves on the line.
    let verified =
        printed.lines().find_map(|line| line.find("verified instructions").and_then(|from| line.get(from..)));
    said.extend(verified.map(|line| line.trim().to_owned()));
    Ok(said.join(", "))
}

type Kind = (&'static str, fn(&Stack<'_>) -> bool);
const KINDS: [Kind; 4] = [
    ("on CPUs", |stack| stack.comm == "busy" && stack.origin.is_none()),
    ("off CPUs (ns)", |stack| stack.comm == "idle" && stack.origin == Some("[off CPU]")),
    ("at the uprobe", |stack| stack.comm == "idle" && stack.origin == Some("[probe]") && !stack.is_in_kernel),
    ("at the kprobe", |stack| stack.comm == "idle" && stack.origin == Some("[probe]") && stack.is_in_kernel),
];

/// A line of `sample`: the thread's name, what it was sampled for, why its walk ended where it is not whole, frames,
/// and a number.
struct Stack<'p> {
    comm: &'p str,
    origin: Option<&'p str>,
    is_whole: bool,
    is_in_kernel: bool,
    value: u64,
}

impl<'p> Stack<'p> {
    fn parse(line: &'p str) -> Option<Self> {
        let (frames, value) = line.trim().rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let mut frames = frames.split(';');
        let comm = frames.next()?;
        let mut rest = frames.clone();
        let origin = frames.next().filter(|frame| matches!(*frame, "[off CPU]" | "[probe]"));
        if origin.is_some() {
            rest = frames;
        }
        let is_whole = rest.clone().next().is_some_and(|frame| !frame.starts_with('['));
        let is_in_kernel = rest.next_back().is_some_and(|frame| frame.starts_with("kernel+"));
        Some(Self { comm, origin, is_whole, is_in_kernel, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "\
junk
busy;busy+0x1;libc.so.6+0x2 600\r
busy;busy+0x1;libc.so.6+0x2;kernel+0xff 60\r
idle;[off CPU];idle+0x1;libc.so.6+0x2;kernel+0xff 123456789\r
idle;[probe];idle+0x1 100\r
idle;[probe];idle+0x1;libc.so.6+0x2;kernel+0xff 100\r
the sampler ended with 0\r
";

    #[test]
    fn what_is_whole_passes_and_what_is_not_is_named() {
        assert!(judge(WHOLE).unwrap().starts_with("on CPUs 660 of 660 whole, off CPUs (ns) 123456789"));
        let error = |text: &str| judge(text).unwrap_err().to_string();
        let broken = WHOLE.replace("busy;busy+0x1;libc.so.6+0x2 600", "busy;[unreadable stack];busy+0x1 600");
        assert_eq!(error(&broken), "on CPUs: of 660 samples only 60 are whole");
        assert_eq!(error(&WHOLE.replace("[probe];idle+0x1 100", "[probe];idle+0x1 1")), "at the uprobe: 1 samples");
        assert!(error(&WHOLE.replace("ended with 0", "ended with 256")).starts_with("the sampler did not end well"));
    }
}
