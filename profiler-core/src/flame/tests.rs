use super::*;
use crate::pprof::{self, Line, Location, Mapping, Profile, Sample, ValueType};

const ALL: Window = Window { focus: None, narrowest: 0.0, most: usize::MAX };

fn tree(stacks: &[(&[&str], u64, Side)]) -> Tree {
    let mut tree = TreeBuilder::default();
    stacks.iter().for_each(|(stack, value, side)| tree.add(stack.iter().copied(), *value, *side));
    tree.finish()
}

/// `main` calls `b` (60, of which `c` 20) and `a` (40).
fn usual() -> Tree {
    tree(&[
        (&["main", "b"], 40, Side::Shown),
        (&["main", "b", "c"], 20, Side::Shown),
        (&["main", "a"], 40, Side::Shown),
    ])
}

fn drawn(layout: &Layout<'_>) -> Vec<String> {
    let frame = |frame: &Frame<'_>| format!("{} {} {:.2}+{:.2}", frame.row, frame.name, frame.start, frame.width);
    layout.frames.iter().map(frame).collect()
}

#[test]
fn callees_stand_below_their_callers_in_the_order_of_names() {
    let tree = usual();
    let layout = tree.layout(ALL, None);
    assert_eq!(drawn(&layout), ["0 main 0.00+1.00", "1 a 0.00+0.40", "1 b 0.40+0.60", "2 c 0.40+0.20"]);
    assert_eq!((layout.rows, layout.above, layout.left_out, layout.whole.shown), (3, 0, 0, 100));
}

#[test]
fn a_focus_fills_the_width_below_its_callers() {
    let tree = usual();
    let path = tree.layout(ALL, None).frames[2].path;
    let layout = tree.layout(Window { focus: Some(path), ..ALL }, None);
    assert_eq!(drawn(&layout), ["0 main 0.00+1.00", "1 b 0.00+1.00", "2 c 0.00+0.33"]);
    assert_eq!((layout.above, layout.whole.shown), (1, 60));
    let unknown = tree.layout(Window { focus: Some(7), ..ALL }, None);
    assert_eq!(unknown.frames.len(), 4);
}

#[test]
fn what_is_too_narrow_is_counted_and_not_drawn() {
    let tree = usual();
    let layout = tree.layout(Window { narrowest: 0.3, ..ALL }, None);
    assert_eq!((drawn(&layout).len(), layout.left_out), (3, 1));
    let layout = tree.layout(Window { most: 2, ..ALL }, None);
    assert_eq!(drawn(&layout), ["0 main 0.00+1.00", "1 b 0.40+0.60"]);
    assert_eq!(layout.left_out, 2);
}

#[test]
fn a_function_that_calls_itself_counts_once() {
    let tree = tree(&[(&["f", "g", "f"], 10, Side::Shown), (&["f"], 5, Side::Shown)]);
    let functions = tree.functions(Order::Own, 9);
    let shown: Vec<_> = functions.iter().map(|f| (f.name, f.own.shown, f.total.shown)).collect();
    assert_eq!(shown, [("f", 15, 15), ("g", 0, 10)]);
    assert_eq!(tree.functions(Order::Total, 1).len(), 1);
}

#[test]
fn a_search_counts_what_is_below_two_hits_once() {
    let tree = usual();
    let search = tree.search("B");
    assert_eq!((search.total.shown, search.functions), (60, 1));
    let layout = tree.layout(ALL, Some(&search));
    assert_eq!(layout.frames.iter().filter(|frame| frame.found).map(|frame| frame.name).collect::<Vec<_>>(), ["b"]);
    let nested = tree.search("");
    assert_eq!((nested.total.shown, nested.functions), (100, 4));
}

#[test]
fn two_sides_are_compared_by_their_shares() {
    let tree = tree(&[(&["a"], 30, Side::Shown), (&["b"], 10, Side::Shown), (&["b"], 400, Side::Compared)]);
    let layout = tree.layout(ALL, None);
    assert_eq!(drawn(&layout), ["0 a 0.00+0.38", "0 b 0.38+0.62"]);
    assert_eq!(layout.frames[1].total.shares(layout.whole), [0.25, 1.0]);
    // Both change by as much: more is spent in the second.
    assert_eq!(tree.functions(Order::Change, 1)[0].name, "b");
}

/// `main` calls `work`, into which `leaf` is inlined, and a place in a library; ids are no places.
fn profile() -> Profile {
    let strings = ["", "main", "work", "leaf", "/usr/lib/libc.so.6", "cpu", "nanoseconds", "samples", "count"];
    let function = |id, name| pprof::Function { id, name, ..pprof::Function::default() };
    let line = |function_id| Line { function_id, ..Line::default() };
    let location = |id, mapping_id, line| Location { id, mapping_id, address: 0x10, line, ..Location::default() };
    let sample = |location_id: &[u64], value: &[i64]| Sample {
        location_id: location_id.to_vec(),
        value: value.to_vec(),
        ..Sample::default()
    };
    Profile {
        string_table: strings.map(String::from).to_vec(),
        sample_type: vec![ValueType { kind: 7, unit: 8 }, ValueType { kind: 5, unit: 6 }],
        function: vec![function(70, 1), function(90, 2), function(80, 3)],
        mapping: vec![Mapping { id: 5, filename: 4, ..Mapping::default() }],
        location: vec![
            location(9, 5, vec![line(70)]),
            location(4, 5, vec![line(80), line(90)]),
            location(6, 5, vec![]),
            location(8, 0, vec![]),
        ],
        sample: vec![
            sample(&[4, 9], &[3, 30]),
            sample(&[6, 4, 9], &[1, 10]),
            sample(&[8, 9], &[1, 5]),
            sample(&[8, 9], &[1, -5]),
            sample(&[77, 9], &[1, 1]),
            sample(&[9], &[1]),
        ],
        ..Profile::default()
    }
}

#[test]
fn samples_of_a_profile_become_stacks_of_names() {
    let mut builder = TreeBuilder::default();
    assert!(builder.add_pprof(&profile(), "cpu", Side::Shown));
    assert!(!builder.add_pprof(&profile(), "wall", Side::Shown));
    let tree = builder.finish();
    let mut folded: Vec<String> = tree.folded(Side::Shown).collect();
    folded.sort();
    assert_eq!(folded, ["main 1", "main;0x10 5", "main;work;leaf 30", "main;work;leaf;libc.so.6+0x10 10"]);
    assert_eq!(SampleType::default_of(&profile()).unwrap().kind, "cpu");
    let first = Profile { default_sample_type: 7, ..profile() };
    assert_eq!(SampleType::default_of(&first).unwrap().kind, "samples");
}

#[test]
fn a_merged_profile_says_the_same() {
    let mut builder = TreeBuilder::default();
    builder.add_pprof(&profile(), "cpu", Side::Shown);
    builder.add_pprof(&profile(), "cpu", Side::Shown);
    let tree = builder.finish();
    let of = SampleType { kind: "cpu".into(), unit: "nanoseconds".into() };
    let merged = tree.to_pprof(&of, Side::Shown);
    assert_eq!(SampleType::all(&merged), [of]);
    let mut again = TreeBuilder::default();
    again.add_pprof(&merged, "cpu", Side::Shown);
    let sorted = |tree: &Tree| {
        let mut folded: Vec<String> = tree.folded(Side::Shown).collect();
        folded.sort();
        folded
    };
    assert_eq!(sorted(&again.finish()), sorted(&tree));
}

#[test]
fn a_full_tree_counts_at_the_last_known_function() {
    let mut builder = TreeBuilder::default();
    let name = "x".repeat(MOST_NAME_BYTES - 4);
    builder.add(["main", &name], 1, Side::Shown);
    builder.add(["main", "other", "main"], 1, Side::Shown);
    let tree = builder.finish();
    assert!(tree.is_full());
    assert_eq!((tree.len(), tree.total().shown, tree.nodes[1].own.shown), (2, 2, 1));
}
