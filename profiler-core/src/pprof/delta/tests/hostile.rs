//! What a target may send.

use super::*;
use crate::pprof::{Function, Line, Location, Sample};

fn refused(message: &[u8]) -> DeltaError {
    let memory = memory();
    let mut series = memory.series(ALLOCATIONS);
    series.delta(&bytes(&allocated(&[("main", [1, 1, 1, 1])])), 0).unwrap();
    let error = series.delta(&Bytes::copy_from_slice(message), 0).unwrap_err();
    assert_eq!(memory.usage(), DeltaUsage { resets: 1, ..DeltaUsage::default() }, "{error}");
    let good = bytes(&allocated(&[("main", [2, 2, 2, 2])]));
    assert_eq!(series.delta(&good, 0).unwrap(), Delta::Begins(Cause::Unreadable));
    assert!(matches!(series.delta(&bytes(&allocated(&[("main", [3, 2, 2, 2])])), 0).unwrap(), Delta::Profile(_)));
    error
}

#[test]
fn what_is_cut_short_is_refused_or_ends_between_fields() {
    let whole = bytes(&allocated(&[("main;run", [5, 2, 3, 4]), ("other", [1, 1, 1, 1])]));
    let mut refusals = 0;
    for cut in 1..whole.len() {
        let mut series = memory().series(ALLOCATIONS);
        series.delta(&bytes(&allocated(&[])), 0).unwrap();
        refusals += usize::from(series.delta(&whole.slice(..cut), 0).is_err());
    }
    assert!(refusals > whole.len() / 2, "{refusals} of {}", whole.len());
    let zipped = gzip(&whole).unwrap();
    for cut in 2..zipped.len() {
        assert!(matches!(refused(&zipped[..cut]), DeltaError::Pprof(PprofError::Gzip(_))), "cut at {cut}");
    }
}

#[test]
fn what_leads_nowhere_is_refused() {
    let mut lost = allocated(&[("main", [1, 1, 1, 1])]);
    lost.sample[0].location_id = vec![999];
    assert_eq!(
        refused(&bytes(&lost)).to_string(),
        "sample 0 of the profile names the location 999, which is not there"
    );
    let mut lost = allocated(&[("main", [1, 1, 1, 1])]);
    lost.sample[0].label = vec![Label { key: 1, str: -1, ..Label::default() }];
    assert!(matches!(refused(&bytes(&lost)), DeltaError::Text { sample: 0, index: u64::MAX }));
}

#[test]
fn values_are_as_many_as_types() {
    for values in [vec![], vec![1; 3], vec![1; 5], vec![1; 100_000]] {
        let mut odd = allocated(&[("main", [1, 1, 1, 1])]);
        odd.sample[0].value = values;
        assert!(matches!(refused(&bytes(&odd)), DeltaError::Values { sample: 0, types: 4, .. }));
    }
    assert!(matches!(refused(b""), DeltaError::Types(0)));
    assert!(matches!(refused(&[0x0a, 0].repeat(65)), DeltaError::Types(65)));
}

#[test]
fn crowds_are_refused_before_they_are_read() {
    // Two bytes of a message, many more in a table.
    for crowd in [[0x12, 0], [0x1a, 0], [0x22, 0], [0x2a, 0], [0x32, 0]] {
        assert!(matches!(refused(&crowd.repeat(500_000)), DeltaError::TooManyEntries(_)), "{crowd:?}");
    }
    let bomb = gzip(&vec![0; 1 << 24]).unwrap();
    assert!(matches!(refused(&bomb), DeltaError::Pprof(PprofError::TooLarge(_))));
}

#[test]
fn ids_that_stand_twice_refer_to_themselves_or_are_none_do_no_harm() {
    let mut strange = allocated(&[("main;main;run", [1, 1, 1, 1])]);
    let id = strange.location[0].id;
    strange.location.push(Location {
        id,
        line: vec![Line { function_id: id, ..Line::default() }],
        ..Location::default()
    });
    strange.location.push(Location::default());
    strange.function.push(Function { id, name: i64::MIN, system_name: i64::MAX, filename: -1, start_line: -1 });
    strange.sample.push(Sample { location_id: vec![0, 0, id, id], value: vec![i64::MAX; 4], label: vec![] });
    strange.sample.push(strange.sample[1].clone());
    strange.mapping.clear();
    let mut series = memory().series(ALLOCATIONS);
    series.delta(&bytes(&strange), 0).unwrap();
    strange.sample[0].value = vec![2, 1, 0, 0];
    let delta = opened(series.delta(&bytes(&strange), 0));
    // Sums end at the largest number.
    let values: Vec<_> = delta.sample.iter().map(|sample| sample.value.clone()).collect();
    assert_eq!(values, [vec![1, 0, 0, 0], vec![0, 0, i64::MAX, i64::MAX]]);
}
