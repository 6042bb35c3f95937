//! Recordings written for the purpose, and two of real JVMs.

mod writer;

use std::collections::BTreeMap;
use std::io::Read;

use writer::{HEADER, Text, Writer};

use super::*;
use crate::pprof::Profile;

const ASYNC_PROFILER: &[u8] = include_bytes!("../../tests/recordings/async-profiler-4.6.jfr.gz");
const JDK: &[u8] = include_bytes!("../../tests/recordings/jdk-17.jfr.gz");
const NAMES: [Text<'static>; 3] = [Text::Utf8("a/B"), Text::Utf8("run"), Text::Utf8("<init>")];

/// One chunk of everything.
fn chunk(compressed: bool) -> Writer {
    let mut writer = Writer::new(compressed);
    writer.setting(0, Text::Utf8("interval"), Text::Utf8("10"));
    writer.setting(0, Text::Utf8("event"), Text::Pooled(9));
    writer.execution(1, 1, 1, [0; 3]);
    writer.execution(2, 1, 3, [0; 3]);
    writer.execution(1, 2, 2, [0; 3]);
    writer.execution(1, 2, 1, [0; 3]);
    writer.monitor(2_000, 2);
    writer.monitor(4_000, 77);
    writer.usual_constants(NAMES);
    writer
}

fn read(recording: &[u8], options: &Options) -> Converted {
    convert(&recording, options).unwrap()
}

fn unpack(recording: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(recording).read_to_end(&mut bytes).unwrap();
    bytes
}

fn decode(gzipped: Vec<u8>) -> Profile {
    Profile::from_bytes(&gzipped.into(), 1 << 24).unwrap()
}

/// The samples of one kind as text: the stack, the innermost frame first, then labels.
fn samples(converted: &Converted, kinds: &[Kind]) -> BTreeMap<String, Vec<i64>> {
    let profile = decode(converted.pprof(kinds, Packing::Gzip).unwrap());
    let at = |id: u64| usize::try_from(id - 1).unwrap();
    let text = |sample: &crate::pprof::Sample| {
        let frames = sample.location_id.iter().map(|id| {
            let line = profile.location[at(*id)].line[0];
            format!("{}:{}", profile.string(profile.function[at(line.function_id)].name), line.line)
        });
        let labels =
            sample.label.iter().map(|label| format!("{}={}", profile.string(label.key), profile.string(label.str)));
        frames.chain(labels).collect::<Vec<_>>().join(" ")
    };
    profile.sample.iter().map(|sample| (text(sample), sample.value.clone())).collect()
}

fn expect(converted: &Converted, kinds: &[Kind], expected: &[(&str, &[i64])]) {
    let expected = expected.iter().map(|(stack, values)| ((*stack).to_owned(), values.to_vec())).collect();
    assert_eq!(samples(converted, kinds), expected);
}

#[test]
fn numbers_are_read_in_both_ways_of_writing_them() {
    for compressed in [true, false] {
        let recording = chunk(compressed).finish();
        let converted = read(&recording, &Options::default());
        assert!(converted.broken.is_none(), "{:?}", converted.broken);
        assert_eq!(converted.kinds(), [Kind::Cpu, Kind::Mutex]);
        expect(&converted, &[Kind::Cpu], &[("a/B.run:10 a/B.<init>:0", &[20]), ("a/B.run:10 [truncated]:0", &[10])]);
        // Two ticks are a nanosecond; the stack of the other event is not there.
        expect(&converted, &[Kind::Mutex], &[("a/B.run:10 [truncated]:0", &[1, 1_000])]);
        assert_eq!(converted.settings.event.as_deref(), Some("pooled"));
        let counts = converted.counts;
        assert_eq!((counts.chunks, counts.skipped, counts.without_stack), (1, 0, 1));
        assert_eq!(counts.events, BTreeMap::from([(Event::Execution, 4), (Event::MonitorEnter, 2)]));
    }
}

#[test]
fn texts_are_read_in_all_ways_of_writing_them() {
    for compressed in [true, false] {
        let mut writer = Writer::new(compressed);
        writer.execution(1, 1, 1, [0; 3]);
        writer.usual_constants([Text::Chars("ü/𝄞"), Text::Latin(b"\xfcber"), Text::Pooled(9)]);
        let converted = read(&writer.finish(), &Options { dotted_names: true, ..Options::default() });
        expect(&converted, &[Kind::Cpu], &[("ü.𝄞.über:10 ü.𝄞.pooled:0", &[10_000_000])]);

        let mut writer = Writer::new(compressed);
        writer.execution(1, 1, 1, [0; 3]);
        writer.usual_constants([Text::Empty, Text::Utf8("write"), Text::None]);
        let converted = read(&writer.finish(), &Options::default());
        expect(&converted, &[Kind::Cpu], &[("write:10 [unknown]:0", &[10_000_000])]);
    }
}

#[test]
fn a_profile_says_when_and_of_what_it_is() {
    let mut recording = chunk(true).finish();
    recording.extend(chunk(false).finish());
    let converted = read(&recording, &Options::default());
    assert_eq!(converted.counts.chunks, 2);
    let profile = decode(converted.pprof(&converted.kinds(), Packing::Plain).unwrap());
    let types = profile.sample_type.iter().map(|kind| (profile.string(kind.kind), profile.string(kind.unit)));
    assert_eq!(types.collect::<Vec<_>>(), [("cpu", "nanoseconds"), ("contentions", "count"), ("delay", "nanoseconds")]);
    let period = profile.period_type.unwrap();
    assert_eq!((profile.string(period.kind), profile.string(period.unit), profile.period), ("cpu", "nanoseconds", 10));
    assert_eq!((profile.time_nanos, profile.duration_nanos), (1_577_836_800_000_000_000, 1_000_000_000));
    expect(
        &converted,
        &converted.kinds(),
        &[("a/B.run:10 a/B.<init>:0", &[40, 0, 0]), ("a/B.run:10 [truncated]:0", &[20, 2, 2_000])],
    );
}

#[test]
fn threads_contexts_and_spans_are_labels_where_they_are_asked_for() {
    let mut writer = Writer::new(true);
    writer.execution(1, 2, 1, [5, 0, 0]);
    writer.execution(2, 2, 1, [u64::MAX, 0xabc, 6]);
    writer.execution(3, 2, 1, [0; 3]);
    writer.usual_constants(NAMES);
    let recording = writer.finish();
    let threads = read(&recording, &Options { threads: true, ..Options::default() });
    let stack = "a/B.run:10 [truncated]:0";
    let sample = |labels: &str| format!("{stack}{labels}");
    let period = 10_000_000;
    let labels = [sample(" thread=main"), sample(" thread=[kernel]"), sample("")].map(|sample| (sample, vec![period]));
    assert_eq!(samples(&threads, &[Kind::Cpu]), labels.into());

    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let contexts = Contexts {
        labels: BTreeMap::from([(5, vec![label("user", "alice")]), (-1, vec![label("user", "bob")])]),
        texts: BTreeMap::from([(6, "pay".to_owned())]),
    };
    let told = read(&recording, &Options { contexts: Some(contexts), ..Options::default() });
    let bob = sample(" user=bob profile_id=0000000000000abc span_name=pay");
    let labels = [sample(" user=alice"), bob, sample("")].map(|sample| (sample, vec![period]));
    assert_eq!(samples(&told, &[Kind::Cpu]), labels.into());

    expect(&read(&recording, &Options::default()), &[Kind::Cpu], &[(stack, &[3 * period])]);
}

/// Tests of other packages read it.
#[test]
fn a_recording_with_contexts_is_kept_as_it_is_written_here() {
    let mut writer = Writer::new(true);
    writer.setting(0, Text::Utf8("event"), Text::Utf8("itimer"));
    writer.execution(1, 1, 1, [5, 0, 0]);
    writer.execution(2, 2, 1, [6, 0xabc, 3]);
    writer.execution(3, 2, 1, [0; 3]);
    writer.monitor(2_000, 2);
    writer.usual_constants(NAMES);
    assert_eq!(writer.finish(), include_bytes!("../../tests/recordings/contexts.jfr"));
}

#[test]
fn samples_count_for_the_cpu_or_for_wall_clock_time() {
    let recording = |settings: &[(&str, &str)]| {
        let mut writer = Writer::new(true);
        for (name, value) in settings {
            writer.setting(0, Text::Utf8(name), Text::Latin(value.as_bytes()));
        }
        // Two that ran, three that slept, five of which nothing is known; then seven moments running, eleven asleep.
        for (state, count) in [(1, 2), (2, 3), (3, 5)] {
            (0..count).for_each(|_| writer.execution(0, 1, state, [0; 3]));
        }
        writer.wall(1, 1, 7);
        writer.wall(1, 2, 11);
        writer.usual_constants(NAMES);
        let converted = read(&writer.finish(), &Options::default());
        let sum = |kind| samples(&converted, &[kind]).into_values().map(|values| values[0]).sum::<i64>();
        (sum(Kind::Cpu), sum(Kind::Wall))
    };
    assert_eq!(recording(&[("event", "itimer"), ("interval", "10")]), (7 * 10, 18 * 10));
    assert_eq!(recording(&[("event", "cpu"), ("interval", "10"), ("wall", "100")]), (5 * 10, (5 + 18) * 100));
    assert_eq!(recording(&[("event", "wall"), ("interval", "10")]), ((7 + 7) * 10, (10 + 18) * 10));
    assert_eq!(recording(&[]), (7 * 10_000_000, 18 * 50_000_000));
}

#[test]
fn a_period_of_the_jdk_is_that_of_its_event() {
    let mut writer = Writer::new(true);
    writer.setting(101, Text::Utf8("period"), Text::Utf8("20 ms"));
    writer.setting(103, Text::Utf8("period"), Text::Utf8("1 s"));
    writer.execution(0, 2, 1, [0; 3]);
    writer.usual_constants(NAMES);
    let converted = read(&writer.finish(), &Options::default());
    expect(&converted, &[Kind::Cpu], &[("a/B.run:10 [truncated]:0", &[20_000_000])]);
}

#[test]
fn what_is_behind_a_whole_chunk_is_lost_alone() {
    let whole = chunk(true).finish();
    let one = read(&whole, &Options::default());
    let one = samples(&one, &[Kind::Cpu]);
    for rest in [&b"FLR\0"[..], b"nothing of the kind", &whole[..whole.len() / 2], &[0; 100]] {
        let converted = read(&[&whole, rest].concat(), &Options::default());
        assert!(converted.broken.is_some(), "{rest:?}");
        assert_eq!(samples(&converted, &[Kind::Cpu]), one);
    }
}

#[test]
fn a_chunk_that_was_not_finished_is_read_as_far_as_it_was_written() {
    // The size that async-profiler announces until it has finished.
    let running = chunk(true).finish_as(1 << 30, 0, 0);
    let converted = read(&running, &Options::default());
    assert_eq!(
        samples(&converted, &[Kind::Cpu]),
        samples(&read(&chunk(true).finish(), &Options::default()), &[Kind::Cpu])
    );

    let mut writer = Writer::new(true);
    writer.execution(1, 1, 1, [0; 3]);
    let error = convert(&&*writer.finish_as(1 << 30, 0, 0), &Options::default()).err().unwrap();
    assert!(matches!(error, JfrError::Unfinished(0)), "{error}");
}

#[test]
fn what_is_no_recording_is_told_so() {
    let error = |bytes: &[u8]| convert(&bytes, &Options::default()).err().unwrap().to_string();
    assert_eq!(error(b""), "the recording is empty");
    assert!(error(b"\x1f\x8b\x08").starts_with("no chunk of a JFR recording begins at byte 0"));
    let mut old = chunk(true).finish();
    old[5] = 1;
    assert_eq!(error(&old), "the chunk at byte 0 is of JFR version 1.1; 2.x can be read (JDK 9 and later)");
    assert_eq!(error(&chunk(true).finish()[..HEADER + 2]), "the recording is cut short: at byte 70 more should follow");
}

#[test]
fn memory_is_bounded() {
    let recording = unpack(ASYNC_PROFILER);
    let little = Options { memory: 10_000, ..Options::default() };
    let error = match convert(&&*recording, &little) {
        Err(error) => error,
        Ok(converted) => converted.broken.unwrap(),
    };
    assert!(matches!(error, JfrError::TooMuch { limit: 10_000, .. }), "{error}");
}

#[test]
fn real_recordings_are_read() {
    let converted = read(&unpack(ASYNC_PROFILER), &Options::default());
    assert!(converted.broken.is_none(), "{:?}", converted.broken);
    let kinds = [Kind::Cpu, Kind::Wall, Kind::AllocInNewTlab, Kind::Live, Kind::Malloc, Kind::Mutex, Kind::Block];
    assert_eq!(converted.kinds(), kinds);
    assert_eq!(converted.settings.event.as_deref(), Some("cpu"));
    assert_eq!((converted.settings.cpu_period(), converted.settings.wall_period()), (20_000_000, 50_000_000));

    let converted = read(&unpack(JDK), &Options::default());
    assert!(converted.broken.is_none(), "{:?}", converted.broken);
    assert_eq!(converted.kinds(), [Kind::Cpu, Kind::AllocSample, Kind::Mutex, Kind::Block]);
    assert_eq!(converted.settings.cpu_period(), 20_000_000);
}

/// Neither what is cut nor what is changed may make it panic, run for long or be out of memory.
#[test]
fn any_damage_is_survived() {
    let options = Options { threads: true, memory: 1 << 20, ..Options::default() };
    for compressed in [true, false] {
        let whole = chunk(compressed).finish();
        for end in 0..whole.len() {
            let cut = convert(&&whole[..end], &options);
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.broken.is_some()), "{end}");
        }
        let mut damaged = whole.clone();
        for place in 0..whole.len() {
            for change in [0x01, 0x10, 0x80, 0xff] {
                damaged[place] = whole[place] ^ change;
                let _result = convert(&&*damaged, &options);
            }
            damaged[place] = whole[place];
        }
    }
}

/// Real recordings are too large for every place of theirs.
#[test]
fn damage_of_real_recordings_is_survived() {
    for recording in [unpack(ASYNC_PROFILER), unpack(JDK)] {
        for end in (0..recording.len()).step_by(4_999) {
            let _result = convert(&&recording[..end], &Options::default());
        }
        let mut damaged = recording.clone();
        for place in (0..recording.len()).step_by(4_999) {
            damaged[place] ^= 0xff;
            let _result = convert(&&*damaged, &Options::default());
            damaged[place] ^= 0xff;
        }
    }
}
