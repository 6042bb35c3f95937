//! The fields of a message, strictly: what is cut short or of another type is damage.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the profile is damaged: {0} cannot be read")]
pub struct Damaged(
    /// The part of it.
    pub(crate) &'static str,
);

/// The fields of one message in their order; after damage there are no more.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    part: &'static str,
}

/// What stands in a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) tag: u32,
    content: Content<'a>,
    part: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of no type that pprof has.
    Other,
}

impl<'a> Fields<'a> {
    /// `part` is what the message is to people.
    pub(crate) fn of(message: &'a [u8], part: &'static str) -> Self {
        Self { rest: message, part }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&mut self) -> Option<Field<'a>> {
        let (tag, wire_type) = decode_key(&mut self.rest).ok()?;
        let content = match wire_type {
            WireType::Varint => Content::Number(number(&mut self.rest)?),
            WireType::LengthDelimited => {
                let length = usize::try_from(number(&mut self.rest)?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Content::Bytes(bytes)
            }
            _ => {
                skip_field(wire_type, tag, &mut self.rest, DecodeContext::default()).ok()?;
                Content::Other
            }
        };
        Some(Field { tag, content, part: self.part })
    }
}

/// The fields of one tag.
pub(crate) fn fields<'a>(
    message: &'a [u8],
    part: &'static str,
    tag: u32,
) -> impl Iterator<Item = Result<Field<'a>, Damaged>> + use<'a> {
    Fields::of(message, part).filter(move |field| field.as_ref().map_or(true, |field| field.tag == tag))
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Damaged(self.part)))
    }
}

impl<'a> Field<'a> {
    pub(crate) fn number(self) -> Result<u64, Damaged> {
        match self.content {
            Content::Number(number) => Ok(number),
            Content::Bytes(_) | Content::Other => Err(Damaged(self.part)),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], Damaged> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes),
            Content::Number(_) | Content::Other => Err(Damaged(self.part)),
        }
    }

    /// The numbers of a repeated field: any number of them packed, or one that stands alone.
    pub(crate) fn numbers(self) -> Result<Numbers<'a>, Damaged> {
        match self.content {
            Content::Number(number) => Ok(Numbers { alone: Some(number), packed: &[], part: self.part }),
            Content::Bytes(packed) => Ok(Numbers { alone: None, packed, part: self.part }),
            Content::Other => Err(Damaged(self.part)),
        }
    }
}

/// See [`Field::numbers`].
pub(crate) struct Numbers<'a> {
    alone: Option<u64>,
    packed: &'a [u8],
    part: &'static str,
}

impl Iterator for Numbers<'_> {
    type Item = Result<u64, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(number) = self.alone.take() {
            return Some(Ok(number));
        }
        if self.packed.is_empty() {
            return None;
        }
        let number = number(&mut self.packed);
        if number.is_none() {
            self.packed = &[];
        }
        Some(number.ok_or(Damaged(self.part)))
    }
}

/// Nearly all numbers have one byte or two; places in large profiles have three.
#[inline]
fn number(rest: &mut &[u8]) -> Option<u64> {
    match **rest {
        [first @ ..0x80, ref behind @ ..] => {
            *rest = behind;
            Some(first.into())
        }
        [first, second @ ..0x80, ref behind @ ..] => {
            *rest = behind;
            Some(u64::from(first & 0x7f) | u64::from(second) << 7)
        }
        [first, second, third @ ..0x80, ref behind @ ..] => {
            *rest = behind;
            Some(u64::from(first & 0x7f) | u64::from(second & 0x7f) << 7 | u64::from(third) << 14)
        }
        _ => long_number(rest),
    }
}

#[inline(never)]
fn long_number(rest: &mut &[u8]) -> Option<u64> {
    decode_varint(rest).ok()
}
