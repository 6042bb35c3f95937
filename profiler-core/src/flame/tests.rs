use prost::Message;

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

fn add(builder: &mut TreeBuilder, profile: &Profile, kind: &str) -> bool {
    let message = profile.encode_to_vec();
    builder.add_message(&PprofMessage::read(&message).unwrap(), kind, Side::Shown).unwrap()
}

/// The stacks of a tree in an order of their own.
fn folded(tree: &Tree) -> Vec<String> {
    let mut folded: Vec<String> = tree.folded(Side::Shown).collect();
    folded.sort();
    folded
}

#[test]
fn samples_of_a_profile_become_stacks_of_names() {
    let mut builder = TreeBuilder::default();
    assert!(add(&mut builder, &profile(), "cpu"));
    assert!(!add(&mut builder, &profile(), "wall"));
    let expected = ["main 1", "main;0x10 5", "main;work;leaf 30", "main;work;leaf;libc.so.6+0x10 10"];
    assert_eq!(folded(&builder.finish()), expected);
    let default_of = |profile: Profile| {
        let message = profile.encode_to_vec();
        PprofMessage::read(&message).unwrap().default_type().unwrap().kind.clone()
    };
    assert_eq!(default_of(profile()), "cpu");
    assert_eq!(default_of(Profile { default_sample_type: 7, ..profile() }), "samples");
}

/// A profile of random stacks: some locations have several functions, some functions have several locations, ids are in
/// order or not, some of a sample's are not in the profile.
fn random_profile(seed: u64) -> Profile {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let first = if seed.is_multiple_of(2) { 1 } else { 100 };
    let strings = (0..20).map(|name| if name == 0 { String::new() } else { format!("f{name}") });
    let line = |function_id| Line { function_id, ..Line::default() };
    Profile {
        string_table: strings.chain(["cpu".to_owned()]).collect(),
        sample_type: vec![ValueType { kind: 20, unit: 0 }],
        function: (0..30)
            .map(|id| pprof::Function { id: first + id, name: random(20) as i64, ..Default::default() })
            .collect(),
        location: (0..40)
            .map(|id| {
                let lines = random(4);
                let line = (0..lines).map(|_| line(first + random(31))).collect();
                Location { id: first + id, address: id, line, ..Location::default() }
            })
            .collect(),
        sample: (0..400)
            .map(|_| {
                // Wide at some depths, narrow at others.
                let depth = random(9);
                let location_id = (0..depth).map(|at| first + random(if at % 2 == 0 { 41 } else { 3 })).collect();
                Sample { location_id, value: vec![random(5) as i64 - 1], label: Vec::new() }
            })
            .collect(),
        ..Profile::default()
    }
}

/// The same, one decoded sample after the other.
fn add_each(tree: &mut TreeBuilder, profile: &Profile) {
    for sample in profile.sample.iter().filter(|sample| sample.value[0] > 0) {
        let mut stack = Vec::new();
        for id in sample.location_id.iter().rev() {
            let Some(location) = profile.location.iter().find(|location| location.id == *id) else { continue };
            let functions = location.line.iter().rev();
            let known = functions.filter_map(|line| profile.function.iter().find(|of| of.id == line.function_id));
            let before = stack.len();
            stack.extend(known.map(|function| match profile.string(function.name) {
                "" => "[unknown]".to_owned(),
                name => name.to_owned(),
            }));
            if stack.len() == before {
                stack.push(format!("0x{:x}", location.address));
            }
        }
        tree.add(stack.iter().map(String::as_str), sample.value[0] as u64, Side::Shown);
    }
}

#[test]
fn what_is_read_in_place_is_what_is_decoded() {
    let (mut read, mut decoded) = (TreeBuilder::default(), TreeBuilder::default());
    // Later profiles find what earlier ones have left.
    for seed in 0..20 {
        add(&mut read, &random_profile(seed), "cpu");
        add_each(&mut decoded, &random_profile(seed));
        let [read, decoded] = [&read, &decoded].map(|builder| {
            let nodes = builder.nodes.clone();
            let names = builder.names.clone();
            TreeBuilder { names, nodes, ..TreeBuilder::default() }.finish()
        });
        assert_eq!(folded(&read), folded(&decoded), "seed {seed}");
        assert_eq!((read.len(), read.total()), (decoded.len(), decoded.total()), "seed {seed}");
    }
}

#[test]
fn a_damaged_message_is_refused_and_nothing_of_it_counted() {
    let whole = random_profile(1).encode_to_vec();
    for cut in 0..whole.len() {
        let mut builder = TreeBuilder::default();
        let Ok(message) = PprofMessage::read(&whole[..cut]) else { continue };
        // Between two parts it may be whole, and have less.
        if builder.add_message(&message, "cpu", Side::Shown).is_err() {
            assert_eq!(builder.finish().total(), Values::default(), "cut at {cut}");
        }
    }
    let damaged = |sample: &[u8]| {
        let mut message = profile().encode_to_vec();
        message.extend([0x12, sample.len() as u8]);
        message.extend(sample);
        let mut builder = TreeBuilder::default();
        let refused = builder.add_message(&PprofMessage::read(&message).unwrap(), "cpu", Side::Shown);
        (refused.map_err(|error| error.to_string()), builder.finish().total())
    };
    let (refused, total) = damaged(&[0x0a, 0x02, 0x01]);
    assert_eq!(
        (refused.unwrap_err().as_str(), total),
        ("the profile is damaged: a sample cannot be read", Values::default())
    );
    assert!(PprofMessage::read(&[0x32, 0x01, 0xff]).unwrap_err().to_string().contains("UTF-8"));
    assert!(PprofMessage::read(&[0x32, 0x00].repeat(17 << 20)).unwrap_err().to_string().contains("more than"));
}

#[test]
fn of_very_many_callees_each_is_found_again() {
    let names: Vec<String> = (0..FEW * 3).map(|place| format!("f{place}")).collect();
    let mut builder = TreeBuilder::default();
    for name in names.iter().chain(&names).chain(names.iter().rev()) {
        builder.add(["main", name], 1, Side::Shown);
    }
    let tree = builder.finish();
    assert_eq!((tree.len(), tree.total().shown), (1 + names.len(), 9 * u64::from(FEW)));
    assert!(folded(&tree).iter().all(|line| line.ends_with(" 3")));
}

#[test]
fn where_there_is_no_room_for_all_what_is_wide_is_whole() {
    // Hardly two of the narrow ones begin alike.
    let functions = 40_u64;
    let location = |id| Location { id, line: vec![Line { function_id: id, ..Line::default() }], ..Location::default() };
    let stacks = MOST_NODES as u64 / 10;
    let narrow = (0..stacks).map(|stack| {
        let mixed = stack.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let location_id = (0..16).map(|at| 1 + (mixed >> (at * 3)) % (functions - 1)).collect();
        Sample { location_id, value: vec![1], label: Vec::new() }
    });
    let wide = Sample { location_id: (1..=functions).rev().collect(), value: vec![1 << 40], label: Vec::new() };
    let profile = Profile {
        string_table: std::iter::once(String::new())
            .chain((1..=functions).map(|id| format!("f{id}")))
            .chain(["cpu".to_owned()])
            .collect(),
        sample_type: vec![ValueType { kind: functions as i64 + 1, unit: 0 }],
        function: (1..=functions).map(|id| pprof::Function { id, name: id as i64, ..Default::default() }).collect(),
        location: (1..=functions).map(location).collect(),
        sample: narrow.chain([wide]).collect(),
        ..Profile::default()
    };
    let mut builder = TreeBuilder::default();
    add(&mut builder, &profile, "cpu");
    let tree = builder.finish();
    assert!(tree.is_full());
    assert_eq!(tree.total().shown, (1 << 40) + stacks);
    assert_eq!(tree.layout(Window { narrowest: 0.001, ..ALL }, None).frames.len() as u64, functions);
}

#[test]
fn a_stack_may_be_very_deep() {
    let depth = 300_000;
    let mut profile = random_profile(0);
    let location_id = vec![1; depth];
    profile.location[0].line = vec![Line { function_id: 1, ..Line::default() }];
    let shorter = Sample { location_id: vec![1; depth - 1], value: vec![3], label: Vec::new() };
    profile.sample = vec![Sample { location_id, value: vec![7], label: Vec::new() }, shorter];
    let mut builder = TreeBuilder::default();
    add(&mut builder, &profile, "cpu");
    let tree = builder.finish();
    assert_eq!((tree.len(), tree.total().shown), (depth, 10));
}

#[test]
fn a_merged_profile_says_the_same() {
    let mut builder = TreeBuilder::default();
    add(&mut builder, &profile(), "cpu");
    add(&mut builder, &profile(), "cpu");
    let tree = builder.finish();
    let of = SampleType { kind: "cpu".into(), unit: "nanoseconds".into() };
    let merged = tree.to_pprof(&of, Side::Shown);
    let message = merged.encode_to_vec();
    assert_eq!(PprofMessage::read(&message).unwrap().types(), [of]);
    let mut again = TreeBuilder::default();
    add(&mut again, &merged, "cpu");
    assert_eq!(folded(&again.finish()), folded(&tree));
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
