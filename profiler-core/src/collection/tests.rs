use std::sync::Arc;

use super::names::of_name;
use super::*;
use crate::kernel::{FileRef, Origin};
use crate::native::elf::{BuildId, FileId, Segment};
use crate::sampler::{Comm, FileInfo};
use crate::symbolizer::Function;

/// One file with two executable parts, and one that could not be read.
struct Fixed;

impl Names for Fixed {
    fn file(&self, file: FileRef) -> Option<Arc<FileInfo>> {
        let parts = [(0x123, 0x1123, 0x1000), (0x8000, 0x9000, 0x500)];
        let segments = parts.map(|(offset, address, size)| Segment { offset, address, size });
        let build_id = Some(BuildId::Gnu([0xab, 0xcd].into()));
        let known = FileInfo { path: "/bin/x".into(), id: Some(FileId([0; 16])), build_id, segments: segments.into() };
        let unread = FileInfo { path: "/gone".into(), id: None, build_id: None, segments: Box::default() };
        match file.0 {
            1 => Some(Arc::new(known)),
            2 => Some(Arc::new(unread)),
            _ => None,
        }
    }

    fn in_file(&self, _: &FileInfo, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        if address == 0x1200 {
            let inner = Function { line: 7, ..of_name("inner", "a.c") };
            each(inner);
            each(Function { line: 9, ..of_name("outer", "a.c") });
        }
    }

    fn in_kernel(&self, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        if address == 0xffff {
            each(of_name("do_syscall", ""));
        }
    }

    fn in_runtime(&self, pid: u32, frame: &Frame, each: &mut dyn FnMut(Function<'_>)) {
        if frame.address == 0x5000 {
            let name = format!("of {pid}");
            each(Function { line: frame.place, ..of_name(&name, "a.py") });
        }
    }

    fn in_memory(&self, pid: u32, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        if address == 0x11 {
            each(of_name(&format!("written by {pid}"), ""));
        }
    }
}

fn frame(kind: FrameKind, file: u32, address: u64, caller: bool) -> Frame {
    Frame { address, file: FileRef(file), place: 0, check: 0, kind, caller, by_pointer: false }
}

fn trace(tid: u32, comm: &[u8; 5], user: &[Frame], stop: Stop) -> Trace {
    let mut name = [0; 16];
    name[..5].copy_from_slice(comm);
    let (origin, kernel, user) = (Origin::Cpu, Box::default(), user.into());
    Trace { pid: 7, tid, comm: Comm(name), origin, kernel, user, stop, labels: Box::default(), count: 3, value: 3 }
}

/// Each sample's stack by names, innermost first; a place without a function by mapping and address.
fn stacks(profile: &Profile) -> Vec<(Vec<String>, i64)> {
    let location = |id: &u64| {
        let location = &profile.location[*id as usize - 1];
        if location.line.is_empty() {
            let mapping = &profile.mapping[location.mapping_id as usize - 1];
            return vec![format!("{}+{:x}", profile.string(mapping.filename), location.address)];
        }
        let function = |line: &crate::pprof::Line| &profile.function[line.function_id as usize - 1];
        location.line.iter().map(|line| profile.string(function(line).name).to_owned()).collect()
    };
    profile.sample.iter().map(|s| (s.location_id.iter().flat_map(location).collect(), s.value[0])).collect()
}

fn build(style: Style, traces: &[Trace]) -> Profile {
    let mut builder = ProfileBuilder::new(Kind::Cpu { sample_rate: 97 }, style, &Fixed);
    for trace in traces {
        builder.add(trace);
    }
    builder.finish(UNIX_EPOCH + Duration::from_secs(5), Duration::from_secs(2))
}

#[test]
fn stacks_that_look_alike_are_one_sample() {
    let user = [frame(FrameKind::Native, 1, 0x1200, false), frame(FrameKind::Native, 1, 0x9001, true)];
    let traces = [trace(1, b"one\0\0", &user, Stop::Complete), trace(2, b"two\0\0", &user, Stop::Complete)];
    let profile = build(Style::default(), &traces);
    let names = ["inner", "outer", "/bin/x+9000"].map(str::to_owned).to_vec();
    assert_eq!(stacks(&profile), [(names, 6 * 10_309_278)]);
    assert_eq!(
        (profile.time_nanos, profile.duration_nanos, profile.period),
        (5_000_000_000, 2_000_000_000, 10_309_278)
    );
    let [kind, unit] = ["cpu", "nanoseconds"].map(|text| profile.string_table.iter().position(|s| s == text).unwrap());
    let expected = ValueType { kind: kind as i64, unit: unit as i64 };
    assert_eq!((profile.sample_type.as_slice(), profile.period_type), (&[expected][..], Some(expected)));
}

#[test]
fn mappings_are_the_parts_of_files() {
    let user = [
        frame(FrameKind::Native, 1, 0x1200, false),
        frame(FrameKind::Native, 1, 0x1300, false),
        frame(FrameKind::Native, 1, 0x9001, false),
        frame(FrameKind::Native, 2, 0x10, false),
    ];
    let profile = build(Style::default(), &[trace(1, b"one\0\0", &user, Stop::Complete)]);
    let shown: Vec<_> = profile
        .mapping
        .iter()
        .map(|m| {
            (m.memory_start, m.memory_limit, m.file_offset, profile.string(m.filename), profile.string(m.build_id))
        })
        .collect();
    assert_eq!(
        shown,
        [
            (0, 0, 0, "", ""),
            (0x1000, 0x2123, 0, "/bin/x", "abcd"),
            (0x9000, 0x9500, 0x8000, "/bin/x", "abcd"),
            (0, 0, 0, "/gone", ""),
        ]
    );
    let has = |m: &crate::pprof::Mapping| (m.has_functions, m.has_filenames, m.has_line_numbers, m.has_inline_frames);
    assert_eq!(has(&profile.mapping[1]), (true, true, true, true));
    assert_eq!(has(&profile.mapping[2]), (false, false, false, false));
}

#[test]
fn what_is_not_known_is_said() {
    let user = [
        frame(FrameKind::Anonymous, 0, 0x10, false),
        frame(FrameKind::Anonymous, 0, 0x11, false),
        frame(FrameKind::Native, 9, 0x20, false),
        frame(FrameKind::Unmapped, 0, 0x30, false),
    ];
    let lost = build(Style::default(), &[trace(1, b"one\0\0", &user, Stop::NoMapping)]);
    let expected = ["[anonymous]", "written by 7", "[unknown]", "[unknown]", "[unknown]"].map(str::to_owned).to_vec();
    assert_eq!(stacks(&lost)[0].0, expected);
    let stubs = Style { stubs: true, ..Style::default() };
    let user = [frame(FrameKind::Native, 2, 0x10, false)];
    assert_eq!(stacks(&build(stubs, &[trace(1, b"one\0\0", &user, Stop::Complete)]))[0].0, ["$ /gone + 0x10"]);
}

#[test]
fn what_is_shown_can_be_chosen() {
    let user = [frame(FrameKind::Native, 1, 0x1200, false)];
    let mut traces = [trace(1, b"one\0\0", &user, Stop::Complete), trace(2, b"two\0\0", &user, Stop::Complete)];
    traces[0].kernel = [0xffff, 0x1_0000].into();
    let kernel = Style { kernel_frames: true, ..Style::default() };
    let shown = stacks(&build(kernel, &traces));
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(shown[0].0, named(&["do_syscall", "do_syscall", "inner", "outer"]));
    assert_eq!(shown[1].0, named(&["inner", "outer"]));

    let framed = build(Style { comm_frame: true, ..Style::default() }, &traces);
    assert_eq!(stacks(&framed)[0].0, named(&["inner", "outer", "one"]));

    let labelled = build(Style { comm_label: true, pid_label: true, ..Style::default() }, &traces);
    let labels: Vec<Vec<(&str, &str)>> = labelled
        .sample
        .iter()
        .map(|s| s.label.iter().map(|l| (labelled.string(l.key), labelled.string(l.str))).collect())
        .collect();
    assert_eq!(labels, [[("comm", "one"), ("pid", "7")], [("comm", "two"), ("pid", "7")]]);
}

#[test]
fn stacks_with_other_labels_are_other_samples() {
    let user = [frame(FrameKind::Native, 1, 0x1200, false)];
    let labelled = |labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Trace { labels, ..trace(1, b"one\0\0", &user, Stop::Complete) }
    };
    let buy = [("endpoint", "/buy"), ("pid", "a"), ("tenant", "b")];
    let traces = [labelled(&buy), labelled(&[]), labelled(&[("endpoint", "/sell")]), labelled(&buy)];
    let profile = build(Style { pid_label: true, ..Style::default() }, &traces);
    let said = |label: &Label| (profile.string(label.key), profile.string(label.str));
    let samples: Vec<(Vec<_>, i64)> =
        profile.sample.iter().map(|s| (s.label.iter().map(said).collect(), s.value[0] / 10_309_278)).collect();
    let expected = [
        (vec![("pid", "7"), ("endpoint", "/buy"), ("tenant", "b")], 6),
        (vec![("pid", "7")], 3),
        (vec![("pid", "7"), ("endpoint", "/sell")], 3),
    ];
    assert_eq!(samples, expected);
}

#[test]
fn a_stack_of_nothing_is_none() {
    let mut kernel_thread = trace(1, b"kthr\0", &[], Stop::KernelThread);
    kernel_thread.kernel = [0xffff].into();
    assert!(build(Style::default(), std::slice::from_ref(&kernel_thread)).sample.is_empty());
    let kernel = Style { kernel_frames: true, ..Style::default() };
    assert_eq!(build(kernel, &[kernel_thread]).sample.len(), 1);
}
