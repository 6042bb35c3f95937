//! Samples one process (or all, for pid 0) for some seconds and prints folded stacks:
//! `sample PID [SECONDS [HZ [SECONDS BEFORE [OFF-CPU THRESHOLD [PROBE]]]]]`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is what it prints")]

use std::collections::BTreeMap;
use std::time::Duration;

use profiler_core::kernel::{Frame, FrameKind, Stop};
use profiler_core::sampler::{Origin, Sampler, Scope, Settings, Trace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid: u32 =
        arguments.next().ok_or("sample PID [SECONDS [HZ [SECONDS BEFORE [OFF-CPU THRESHOLD [PROBE]]]]]")?.parse()?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let sample_rate = arguments.next().map_or(Ok(97), |text| text.parse())?;
    let before = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let off_cpu_threshold = arguments.next().map_or(Ok(0.0), |text| text.parse())?;
    let probes = arguments.map(|probe| probe.parse()).collect::<Result<_, _>>()?;
    let scope = if pid == 0 { Scope::All } else { Scope::Pids(vec![pid]) };
    let sampler = Sampler::start(&Settings { sample_rate, off_cpu_threshold, probes, ..Settings::new(scope) })?;
    for shortfall in sampler.shortfalls() {
        eprintln!("{shortfall}");
    }
    eprintln!("verified instructions: {:?}", sampler.verified_instructions());
    // The first stacks of a process come before its tables are made.
    std::thread::sleep(Duration::from_secs(before));
    report("before", &sampler.collect());
    std::thread::sleep(Duration::from_secs(seconds));
    let traces = sampler.collect();
    let mut folded: BTreeMap<String, u64> = BTreeMap::new();
    for trace in &traces {
        *folded.entry(line(&sampler, trace)).or_default() += trace.value;
    }
    for (line, count) in &folded {
        println!("{line} {count}");
    }
    for remark in sampler.remarks() {
        eprintln!("{remark}");
    }
    report("then", &traces);
    eprintln!("{:?}", sampler.statistics());
    Ok(())
}

fn line(sampler: &Sampler, trace: &Trace) -> String {
    let user = trace.user.iter().rev().map(|frame| name(sampler, trace.pid, frame));
    let kernel = trace.kernel.iter().rev().map(|address| format!("kernel+{address:#x}"));
    let mut names = vec![trace.comm.text()];
    if trace.origin != Origin::Cpu {
        names.push(format!("[{}]", trace.origin.text()));
    }
    if trace.stop != Stop::Complete {
        names.push(format!("[{}]", trace.stop.text()));
    }
    names.extend(user.chain(kernel));
    names.join(";")
}

fn name(sampler: &Sampler, pid: u32, frame: &Frame) -> String {
    if frame.kind.is_of_runtime() {
        let mut name = format!("[{}]", frame.kind.text());
        sampler.functions(pid, frame, &mut |function| {
            name = format!("{} {}:{}", function.name, function.file, function.line)
        });
        return name;
    }
    let by = if frame.by_pointer { "~" } else { "" };
    match (frame.kind, sampler.file(frame.file)) {
        (FrameKind::Native, Some(file)) => {
            format!("{by}{}+{:#x}", file.path.rsplit('/').next().unwrap_or_default(), frame.address)
        }
        (kind, _) => format!("{by}[{}]+{:#x}", kind.text(), frame.address),
    }
}

fn report(when: &str, traces: &[Trace]) {
    let total: u64 = traces.iter().map(|trace| trace.count).sum();
    eprintln!("{when}: {total} samples, {} different stacks", traces.len());
    for stop in Stop::ALL {
        let count: u64 = traces.iter().filter(|trace| trace.stop == *stop).map(|trace| trace.count).sum();
        if count > 0 {
            eprintln!("{count:8} {:5.1} %  {}", count as f64 * 100.0 / total as f64, stop.text());
        }
    }
}
