//! pprof messages of the samples of a recording.

use std::io;

use super::Converted;
use super::kind::Kind;
use super::samples::{Place, Samples};
use crate::pprof::packed;
use crate::pprof::writer::ProfileWriter;
use crate::pprof::{Function, Label, Line, Location, Mapping, Packing, Profile, ValueType};

/// The mapping of all frames: JFR knows of none.
const MAPPING: u64 = 1;

/// Writes the samples of some kinds as one profile; all sample types of the first kind come first, and so on.
pub(super) fn write(converted: &Converted, kinds: &[Kind], packing: Packing) -> io::Result<Vec<u8>> {
    let samples = &converted.samples;
    let mut tables = Tables::new(samples);
    let mut writer = ProfileWriter::new(packing);
    let mut sample = Sample::default();
    for same in samples.sums.chunk_by(|(one, _), (other, _)| (one.stack, one.labels) == (other.stack, other.labels)) {
        if !same.iter().any(|(place, _)| kinds.contains(&place.kind)) {
            continue;
        }
        sample.values.clear();
        for kind in kinds {
            let sum = same.iter().find(|(place, _)| place.kind == *kind).map(|(_, sum)| *sum).unwrap_or_default();
            let values = [sum.count, sum.amount].map(|value| value.min(i64::MAX as u64));
            sample.values.extend(values.iter().take(kind.sample_types().len()));
        }
        if let Some((place, _)) = same.first() {
            tables.refer(place, &mut sample);
            writer.sample(&sample.locations, &sample.values, &sample.labels)?;
        }
    }
    tables.write(&mut writer)?;
    let value_type = |tables: &mut Tables<'_>, (kind, unit): (&str, &str)| ValueType {
        kind: tables.text(kind),
        unit: tables.text(unit),
    };
    let first = kinds.first();
    let mut sample_type = Vec::new();
    for kind in kinds {
        for (name, unit) in kind.sample_types() {
            // By its name people choose what they look at.
            let is_unique = kinds.iter().filter(|kind| kind.sample_types().contains(&(name, unit))).count() == 1;
            let name = if is_unique { (*name).to_owned() } else { format!("{}_{name}", kind.name()) };
            sample_type.push(value_type(&mut tables, (&name, unit)));
        }
    }
    let period_type = first.and_then(|kind| kind.period_type()).map(|measure| value_type(&mut tables, measure));
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    writer.finish(&Profile {
        default_sample_type: sample_type.first().map_or(0, |first| first.kind),
        sample_type,
        period_type,
        period: first.map_or(0, |kind| signed(converted.settings.period(*kind))),
        time_nanos: signed(converted.start_nanos),
        duration_nanos: signed(converted.duration_nanos),
        mapping: vec![Mapping { id: MAPPING, has_functions: true, has_line_numbers: true, ..Mapping::default() }],
        string_table: tables.texts,
        ..Profile::default()
    })
}

/// A sample that is written; its memory serves the next one, too.
#[derive(Default)]
struct Sample {
    /// Ids, packed.
    locations: Vec<u8>,
    values: Vec<u64>,
    labels: Vec<Label>,
}

/// What the samples of one profile refer to: ids are places, counted from 1.
struct Tables<'s> {
    samples: &'s Samples,
    /// For each location of the recording its id in the profile, 0 while it has none.
    location_ids: Vec<u32>,
    locations: Vec<(u32, u32)>,
    text_places: Vec<i64>,
    texts: Vec<String>,
}

impl<'s> Tables<'s> {
    fn new(samples: &'s Samples) -> Self {
        Self {
            samples,
            location_ids: vec![0; samples.locations.len()],
            locations: Vec::new(),
            text_places: vec![0; samples.texts.len()],
            texts: vec![String::new()],
        }
    }

    /// Fills in stack and labels.
    fn refer(&mut self, place: &Place, sample: &mut Sample) {
        sample.locations.clear();
        for location in packed::numbers(self.samples.stacks.at(place.stack)) {
            let place = usize::try_from(location).unwrap_or(usize::MAX);
            let Some(id) = self.location_ids.get_mut(place) else { continue };
            if let (0, Some(location)) = (*id, self.samples.locations.get_index(place)) {
                self.locations.push(*location);
                *id = self.locations.len() as u32;
            }
            packed::push(&mut sample.locations, u64::from(*id));
        }
        sample.labels.clear();
        let labels = self.samples.labels.get_index(place.labels as usize);
        for (key, value) in labels.iter().flat_map(|labels| labels.iter()) {
            let (key, str) = (self.known_text(*key), self.known_text(*value));
            sample.labels.push(Label { key, str, num: 0, num_unit: 0 });
        }
    }

    /// Writes locations and functions.
    fn write(&mut self, writer: &mut ProfileWriter) -> io::Result<()> {
        let mut function_ids = vec![0; self.samples.texts.len()];
        let mut functions = 0;
        for (place, (name, line)) in std::mem::take(&mut self.locations).into_iter().enumerate() {
            let Some(function_id) = function_ids.get_mut(name as usize) else { continue };
            if *function_id == 0 {
                functions += 1;
                *function_id = functions;
                let name = self.known_text(name);
                writer.function(&Function { id: functions, name, system_name: name, ..Function::default() })?;
            }
            let line = vec![Line { function_id: *function_id, line: i64::from(line), column: 0 }];
            writer.location(&Location { id: place as u64 + 1, mapping_id: MAPPING, line, ..Location::default() })?;
        }
        Ok(())
    }

    /// A text of the recording.
    fn known_text(&mut self, place: u32) -> i64 {
        let Some(known) = self.text_places.get_mut(place as usize) else { return 0 };
        // The empty one is there from the beginning.
        if let (0, Some(text)) = (*known, self.samples.texts.get_index(place as usize))
            && !text.is_empty()
        {
            *known = self.texts.len() as i64;
            self.texts.push(text.as_ref().to_owned());
        }
        *known
    }

    /// Any other: there are few.
    fn text(&mut self, text: &str) -> i64 {
        let place = self.texts.iter().position(|known| known == text).unwrap_or_else(|| {
            self.texts.push(text.to_owned());
            self.texts.len() - 1
        });
        place as i64
    }
}
