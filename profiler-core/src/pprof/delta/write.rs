//! A delta as a gzipped message: the samples that are left, and the entries of the tables that they refer to, copied as
//! they are.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::DeltaError;
use super::samples::Samples;
use super::tables::{Location, Tables, decode};
use crate::pprof::fields::Fields;
use crate::pprof::sections::{DURATION, FUNCTIONS, LOCATIONS, MAPPINGS, SAMPLES, Sections, TEXTS, TIME, TYPES};
use crate::pprof::{Function, Label, Mapping, ValueType};

/// The compressor takes as long for a few bytes as for many.
const PIECE: usize = 32 << 10;

/// When the delta was taken, and for how long, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) time: i64,
    pub(super) duration: i64,
}

/// Texts that nothing refers to become empty, so that indexes stay; entries of the other tables are left out.
pub(super) fn write(
    sections: &Sections<'_>,
    samples: &Samples,
    tables: &mut Tables,
    span: Span,
) -> Result<Bytes, DeltaError> {
    let mut out = Out::new();
    write_samples(sections, samples, tables, &mut out)?;
    write_tables(sections, tables, &mut out)?;
    write_rest(sections, tables, &mut out)?;
    out.number(TIME, span.time.cast_unsigned());
    out.number(DURATION, span.duration.cast_unsigned());
    for (text, needed) in sections.fields(TEXTS).zip(tables.texts.needed()) {
        let text = text?.bytes()?;
        out.bytes(TEXTS, if needed { text } else { &[] })?;
    }
    Ok(out.finish()?)
}

fn write_samples(
    sections: &Sections<'_>,
    samples: &Samples,
    tables: &mut Tables,
    out: &mut Out,
) -> Result<(), DeltaError> {
    let (mut sample, mut values) = (Vec::new(), Vec::new());
    for (field, row) in sections.fields(SAMPLES).zip(samples.rows()) {
        let Some(row) = row else { continue };
        sample.clear();
        let mut fields = Fields::of(field?.bytes()?, "a sample");
        let mut from = fields.rest();
        while let Some(field) = fields.next() {
            let field = field?;
            match field.tag {
                1 => {
                    for id in field.numbers()? {
                        tables.locations.need(id?);
                    }
                }
                3 => {
                    let label = decode::<Label>(field, "a label")?;
                    tables.texts.need_all([label.key, label.str, label.num_unit]);
                }
                _ => {}
            }
            if matches!(field.tag, 1 | 3) {
                sample.extend_from_slice(from.get(..from.len() - fields.rest().len()).unwrap_or_default());
            }
            from = fields.rest();
        }
        values.clear();
        row.iter().for_each(|value| encode_varint(value.cast_unsigned(), &mut values));
        put_bytes(2, &values, &mut sample);
        out.bytes(SAMPLES, &sample)?;
    }
    Ok(())
}

fn write_tables(sections: &Sections<'_>, tables: &mut Tables, out: &mut Out) -> Result<(), DeltaError> {
    for field in sections.fields(LOCATIONS) {
        let bytes = field?.bytes()?;
        let location = Location::read(bytes)?;
        if tables.locations.is_needed(location.id) {
            tables.mappings.need(location.mapping);
            for line in location.lines() {
                tables.functions.need(line?.function_id);
            }
            out.bytes(LOCATIONS, bytes)?;
        }
    }
    for field in sections.fields(FUNCTIONS) {
        let field = field?;
        let function = decode::<Function>(field, "a function")?;
        if tables.functions.is_needed(function.id) {
            tables.texts.need_all([function.name, function.system_name, function.filename]);
            out.bytes(FUNCTIONS, field.bytes()?)?;
        }
    }
    for (place, field) in sections.fields(MAPPINGS).enumerate() {
        let field = field?;
        let mapping = decode::<Mapping>(field, "a mapping")?;
        // The first is the program, by pprof's custom.
        if place == 0 || tables.mappings.is_needed(mapping.id) {
            tables.texts.need_all([mapping.filename, mapping.build_id]);
            out.bytes(MAPPINGS, field.bytes()?)?;
        }
    }
    Ok(())
}

/// What the profile says of itself, but for its time.
fn write_rest(sections: &Sections<'_>, tables: &mut Tables, out: &mut Out) -> Result<(), DeltaError> {
    for field in sections.fields(TYPES).chain(sections.rest()) {
        let field = field?;
        match field.tag {
            TYPES | 11 => {
                let kind = decode::<ValueType>(field, "a type of values")?;
                tables.texts.need_all([kind.kind, kind.unit]);
                out.bytes(field.tag, field.bytes()?)?;
            }
            7 | 8 | 14 | 15 => {
                let index = field.number()?;
                tables.texts.need(index);
                out.number(field.tag, index);
            }
            12 => out.number(12, field.number()?),
            13 => {
                for index in field.numbers()? {
                    let index = index?;
                    tables.texts.need(index);
                    out.number(13, index);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

struct Out {
    gzip: GzEncoder<Vec<u8>>,
    /// What the compressor has not been given yet.
    piece: Vec<u8>,
}

impl Out {
    fn new() -> Self {
        // As fast as `gzip` does, for the reason that stands there.
        Self { gzip: GzEncoder::new(Vec::new(), Compression::fast()), piece: Vec::with_capacity(2 * PIECE) }
    }

    fn bytes(&mut self, tag: u32, bytes: &[u8]) -> io::Result<()> {
        put_bytes(tag, bytes, &mut self.piece);
        if self.piece.len() >= PIECE {
            self.gzip.write_all(&self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }

    fn number(&mut self, tag: u32, number: u64) {
        encode_key(tag, WireType::Varint, &mut self.piece);
        encode_varint(number, &mut self.piece);
    }

    fn finish(mut self) -> io::Result<Bytes> {
        self.gzip.write_all(&self.piece)?;
        Ok(self.gzip.finish()?.into())
    }
}

fn put_bytes(tag: u32, bytes: &[u8], message: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, message);
    encode_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}
