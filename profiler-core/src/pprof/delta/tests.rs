//! What becomes of series, on small profiles; `twin` compares many with a naive reckoning.

use prost::Message;

use super::*;
use crate::pprof::{Label, Profile, ValueType, gzip};

mod hostile;
mod twin;

use self::twin::{Stack, profile, said};

const LIMITS: DeltaLimits = DeltaLimits { message: 1 << 20, series: 1 << 20, total: 1 << 20 };
const SECOND: i64 = 1_000_000_000;

fn memory() -> DeltaMemory {
    DeltaMemory::new(LIMITS)
}

/// Of memory: `alloc_objects`, `alloc_space`, `inuse_objects`, `inuse_space` of stacks.
fn allocated(stacks: &[(&str, [i64; 4])]) -> Profile {
    let stacks: Vec<Stack> = stacks.iter().map(|(frames, values)| Stack::of(frames, values)).collect();
    profile(&["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"], &stacks)
}

fn bytes(profile: &Profile) -> Bytes {
    profile.encode_to_vec().into()
}

fn opened(delta: Result<Delta, DeltaError>) -> Profile {
    let Ok(Delta::Profile(bytes)) = delta else { panic!("no delta, but {delta:?}") };
    Profile::from_bytes(&bytes, 1 << 20).unwrap()
}

#[test]
fn gzipped_or_not_it_is_the_same_profile() {
    let (first, second) = (allocated(&[("main", [1, 2, 3, 4])]), allocated(&[("main", [10, 2, 3, 4])]));
    let mut series = memory().series(ALLOCATIONS);
    assert_eq!(series.delta(&bytes(&first), 0).unwrap(), Delta::Begins(Cause::First));
    let delta = opened(series.delta(&gzip(&bytes(&second)).unwrap().into(), 0));
    assert_eq!(said(&delta), said(&allocated(&[("main", [9, 0, 3, 4])])));
}

#[test]
fn time_is_the_profile_s_or_else_that_of_the_scrape() {
    let at = |time_nanos, objects| {
        bytes(&Profile { time_nanos, duration_nanos: 7, ..allocated(&[("main", [objects, 0, 0, 0])]) })
    };
    let mut series = memory().series(ALLOCATIONS);
    series.delta(&at(100 * SECOND, 1), 3).unwrap();
    let spans = [(115 * SECOND, 3, 2), (0, 131 * SECOND, 3), (120 * SECOND, 3, 4)].map(|(time, now, objects)| {
        let delta = opened(series.delta(&at(time, objects), now));
        (delta.time_nanos / SECOND, delta.duration_nanos / SECOND)
    });
    // A clock that was set back gives no negative duration.
    assert_eq!(spans, [(115, 15), (131, 16), (120, 0)]);
}

#[test]
fn what_the_profile_says_of_itself_stays() {
    let text = |profile: &mut Profile, text: &str| {
        profile.string_table.push(text.into());
        profile.string_table.len() as i64 - 1
    };
    let whole = |objects| {
        let mut profile = allocated(&[("main", [objects, 0, 0, 0]), ("idle", [1, 1, 0, 0])]);
        profile.drop_frames = text(&mut profile, "^drop$");
        profile.keep_frames = text(&mut profile, "^keep$");
        profile.comment = vec![text(&mut profile, "a comment"), text(&mut profile, "another")];
        profile.doc_url = text(&mut profile, "https://profiles.example");
        profile.default_sample_type = 1;
        let kind = text(&mut profile, "space");
        profile.period_type = Some(ValueType { kind, unit: 2 });
        profile.period = 512 << 10;
        profile
    };
    let mut series = memory().series(ALLOCATIONS);
    series.delta(&bytes(&whole(1)), 0).unwrap();
    let (delta, whole) = (opened(series.delta(&bytes(&whole(2)), 0)), whole(2));
    let of_itself = |profile: &Profile| {
        let texts = [profile.drop_frames, profile.keep_frames, profile.doc_url, profile.default_sample_type];
        let kinds = profile.sample_type.iter().chain(&profile.period_type);
        let all = texts.into_iter().chain(profile.comment.clone()).chain(kinds.flat_map(|kind| [kind.kind, kind.unit]));
        (all.map(|index| profile.string(index).to_owned()).collect::<Vec<_>>(), profile.period)
    };
    assert_eq!(of_itself(&delta), of_itself(&whole));
    assert!(delta.function_names().eq(["main"]));
    assert_eq!(delta.string_table.len(), whole.string_table.len());
    assert!(delta.string_table.iter().all(|text| text != "idle"));
}

#[test]
fn labels_tell_stacks_apart_in_any_order() {
    let labelled = |objects: i64, turned: bool| {
        let mut profile = allocated(&[("main", [objects, 0, 0, 0]), ("main", [5, 0, 0, 0])]);
        let size = |num| Label { key: 1, num, ..Label::default() };
        profile.sample[0].label = if turned { vec![size(2), size(1)] } else { vec![size(1), size(2)] };
        profile.sample[1].label = vec![size(1)];
        bytes(&profile)
    };
    let mut series = memory().series(ALLOCATIONS);
    series.delta(&labelled(1, false), 0).unwrap();
    let delta = opened(series.delta(&labelled(4, true), 0));
    assert_eq!(delta.sample.len(), 1);
    assert_eq!(delta.sample[0].value, [3, 0, 0, 0]);
    assert_eq!(delta.sample[0].label.len(), 2);
}

#[test]
fn a_kind_without_its_counters_passes() {
    let in_use = |bytes_in_use| bytes(&profile(&["inuse_space/bytes"], &[Stack::of("main", &[bytes_in_use])]));
    let memory = memory();
    let mut series = memory.series(ALLOCATIONS);
    series.delta(&in_use(5), 0).unwrap();
    let delta = opened(series.delta(&in_use(3), 0));
    assert_eq!(delta.sample[0].value, [3]);
    assert_eq!(series.delta(&bytes(&allocated(&[])), 0).unwrap(), Delta::Begins(Cause::OtherCounters));
    assert_eq!(memory.usage().resets, 1);
}

#[test]
fn nothing_new_is_nothing_to_send() {
    let locks = bytes(&profile(&["contentions/count", "delay/nanoseconds"], &[Stack::of("lock", &[1, 10])]));
    let mut series = memory().series(CONTENTIONS);
    series.delta(&locks, 0).unwrap();
    assert_eq!(series.delta(&locks, 0).unwrap(), Delta::Empty);
}

#[test]
fn a_process_that_starts_anew_is_compared_with_itself() {
    let memory = memory();
    let mut series = memory.series(ALLOCATIONS);
    let mut delta = |objects, other| {
        series.delta(&bytes(&allocated(&[("main", [objects, 0, 0, 0]), ("other", [other, 0, 0, 0])])), 0)
    };
    delta(50, 5).unwrap();
    // `other` has grown: of the same process it cannot be.
    assert_eq!(delta(10, 6).unwrap(), Delta::Begins(Cause::Fell));
    let grown = opened(delta(12, 6));
    assert_eq!(said(&grown), said(&allocated(&[("main", [2, 0, 0, 0])])));
    // Wrong from the first on: never negative.
    assert_eq!(delta(-3, 6).unwrap(), Delta::Begins(Cause::Fell));
    assert_eq!(delta(-2, 6).unwrap(), Delta::Begins(Cause::Fell));
    assert_eq!(memory.usage().resets, 3);
}

#[test]
fn what_one_series_has_no_room_for_has_no_deltas() {
    let memory = DeltaMemory::new(DeltaLimits { series: 400, ..LIMITS });
    let mut series = memory.series(ALLOCATIONS);
    let stacks = (0..100).map(|place| Stack::of(&format!("f{place}"), &[1, 1])).collect::<Vec<_>>();
    let large = bytes(&profile(&["alloc_objects/count", "alloc_space/bytes"], &stacks));
    assert_eq!(series.delta(&large, 0).unwrap(), Delta::Begins(Cause::First));
    assert_eq!(series.delta(&large, 0).unwrap(), Delta::Begins(Cause::LetGo));
    assert_eq!(memory.usage(), DeltaUsage { evictions: 2, ..DeltaUsage::default() });
}

#[test]
fn the_largest_is_let_go_first_and_what_a_series_had_is_given_back() {
    let memory = DeltaMemory::new(DeltaLimits { total: 3000, ..LIMITS });
    let stacks = |count: usize| {
        let stacks = (0..count).map(|place| Stack::of(&format!("f{place}"), &[1, 1])).collect::<Vec<_>>();
        bytes(&profile(&["alloc_objects/count", "alloc_space/bytes"], &stacks))
    };
    let mut large = memory.series(ALLOCATIONS);
    large.delta(&stacks(150), 0).unwrap();
    let mut small: Vec<_> = (0..8).map(|_| memory.series(ALLOCATIONS)).collect();
    for series in &mut small {
        assert_eq!(series.delta(&stacks(10), 0).unwrap(), Delta::Begins(Cause::First));
        assert!(memory.usage().bytes <= 3000);
    }
    assert_eq!(memory.usage().series, 8);
    assert_eq!(memory.usage().evictions, 1);
    for _ in 0..3 {
        assert_eq!(large.delta(&stacks(150), 0).unwrap(), Delta::Begins(Cause::LetGo));
        for series in &mut small {
            assert_eq!(series.delta(&stacks(10), 0).unwrap(), Delta::Empty);
        }
    }
    drop(small);
    assert_eq!(large.delta(&stacks(150), 0).unwrap(), Delta::Begins(Cause::LetGo));
    assert_eq!(memory.usage().series, 1);
    drop(large);
    assert_eq!((memory.usage().series, memory.usage().bytes), (0, 0));
}

#[test]
fn less_room_is_made_at_once() {
    let memory = memory();
    let mut series = memory.series(ALLOCATIONS);
    series.delta(&bytes(&allocated(&[("main", [1, 1, 1, 1])])), 0).unwrap();
    memory.limit(DeltaLimits { total: 10, ..LIMITS });
    assert_eq!(memory.usage(), DeltaUsage { evictions: 1, ..DeltaUsage::default() });
}

/// A heap profile of 10,000 stacks is some 2 MB.
#[test]
fn a_stack_takes_some_seventeen_bytes() {
    let mut random = twin::Random::of(1);
    let stacks: Vec<_> = (0..10_000)
        .map(|place| {
            let objects = 1 + random.below(100_000) as i64;
            Stack::of(&format!("main;worker;allocate{place}"), &[objects, objects * 512, 3, 1536])
        })
        .collect();
    let kinds = ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"];
    let memory = memory();
    let mut series = memory.series(ALLOCATIONS);
    series.delta(&bytes(&profile(&kinds, &stacks)), 0).unwrap();
    assert!(memory.usage().bytes < 10_000 * 17, "{:?}", memory.usage());
}
