//! A delta as a gzipped message: the samples that are left, and the entries of the tables that they refer to, copied as
//! they are.

use std::io::{self, BufWriter, IntoInnerError, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::DeltaError;
use super::fields::Fields;
use super::samples::Samples;
use super::tables::{Location, Tables, decode, fields};
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
pub(super) fn write(message: &[u8], samples: &Samples, tables: &mut Tables, span: Span) -> Result<Bytes, DeltaError> {
    // As fast as `gzip` does, for the reason that stands there.
    let gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut out = Out { gzip: BufWriter::with_capacity(PIECE, gzip), scratch: Vec::new() };
    write_samples(message, samples, tables, &mut out)?;
    write_tables(message, tables, &mut out)?;
    write_rest(message, tables, &mut out)?;
    out.number(9, span.time.cast_unsigned())?;
    out.number(10, span.duration.cast_unsigned())?;
    for (text, needed) in fields(message, 6).zip(tables.texts.needed()) {
        let text = text?.bytes()?;
        out.bytes(6, if needed { text } else { &[] })?;
    }
    Ok(out.gzip.into_inner().map_err(IntoInnerError::into_error)?.finish()?.into())
}

fn write_samples(message: &[u8], samples: &Samples, tables: &mut Tables, out: &mut Out) -> Result<(), DeltaError> {
    let (mut stack, mut changed) = (Vec::new(), Vec::new());
    for (sample, row) in fields(message, 2).zip(samples.rows()) {
        let Some(row) = row else { continue };
        stack.clear();
        changed.clear();
        for field in Fields::of(sample?.bytes()?, "a sample") {
            let field = field?;
            match field.tag {
                1 => {
                    for id in field.numbers()? {
                        let id = id?;
                        tables.locations.need(id);
                        encode_varint(id, &mut stack);
                    }
                }
                3 => {
                    let label = decode::<Label>(field, "a label")?;
                    tables.texts.need_all([label.key, label.str, label.num_unit]);
                    put_bytes(3, field.bytes()?, &mut changed);
                }
                _ => {}
            }
        }
        put_bytes(1, &stack, &mut changed);
        stack.clear();
        row.iter().for_each(|value| encode_varint(value.cast_unsigned(), &mut stack));
        put_bytes(2, &stack, &mut changed);
        out.bytes(2, &changed)?;
    }
    Ok(())
}

fn write_tables(message: &[u8], tables: &mut Tables, out: &mut Out) -> Result<(), DeltaError> {
    for field in fields(message, 4) {
        let bytes = field?.bytes()?;
        let location = Location::read(bytes)?;
        if tables.locations.is_needed(location.id) {
            tables.mappings.need(location.mapping);
            for line in location.lines() {
                tables.functions.need(line?.function_id);
            }
            out.bytes(4, bytes)?;
        }
    }
    for field in fields(message, 5) {
        let field = field?;
        let function = decode::<Function>(field, "a function")?;
        if tables.functions.is_needed(function.id) {
            tables.texts.need_all([function.name, function.system_name, function.filename]);
            out.bytes(5, field.bytes()?)?;
        }
    }
    for (place, field) in fields(message, 3).enumerate() {
        let field = field?;
        let mapping = decode::<Mapping>(field, "a mapping")?;
        // The first is the program, by pprof's custom.
        if place == 0 || tables.mappings.is_needed(mapping.id) {
            tables.texts.need_all([mapping.filename, mapping.build_id]);
            out.bytes(3, field.bytes()?)?;
        }
    }
    Ok(())
}

/// What the profile says of itself, but for its time.
fn write_rest(message: &[u8], tables: &mut Tables, out: &mut Out) -> Result<(), DeltaError> {
    for field in Fields::of(message, "the message") {
        let field = field?;
        match field.tag {
            1 | 11 => {
                let kind = decode::<ValueType>(field, "a type of values")?;
                tables.texts.need_all([kind.kind, kind.unit]);
                out.bytes(field.tag, field.bytes()?)?;
            }
            7 | 8 | 14 | 15 => {
                let index = field.number()?;
                tables.texts.need(index);
                out.number(field.tag, index)?;
            }
            12 => out.number(12, field.number()?)?,
            13 => {
                for index in field.numbers()? {
                    let index = index?;
                    tables.texts.need(index);
                    out.number(13, index)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

struct Out {
    gzip: BufWriter<GzEncoder<Vec<u8>>>,
    scratch: Vec<u8>,
}

impl Out {
    fn bytes(&mut self, tag: u32, bytes: &[u8]) -> io::Result<()> {
        self.scratch.clear();
        encode_key(tag, WireType::LengthDelimited, &mut self.scratch);
        encode_varint(bytes.len() as u64, &mut self.scratch);
        self.gzip.write_all(&self.scratch)?;
        self.gzip.write_all(bytes)
    }

    fn number(&mut self, tag: u32, number: u64) -> io::Result<()> {
        self.scratch.clear();
        encode_key(tag, WireType::Varint, &mut self.scratch);
        encode_varint(number, &mut self.scratch);
        self.gzip.write_all(&self.scratch)
    }
}

fn put_bytes(tag: u32, bytes: &[u8], message: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, message);
    encode_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}
