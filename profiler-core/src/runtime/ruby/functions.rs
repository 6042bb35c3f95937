//! Functions of Ruby: what a frame says of one, what it is called, and where it is.

use super::Instance;
use super::lines::LineTable;
use super::objects::{CODE, METHOD_ENTRY, Objects};
use crate::runtime::memory::ReadMemory;

/// A function, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RubyFunction {
    /// `Class#method`, `Class.method`, `block in Class#method`; as Ruby itself says where there is no class.
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) first_line: u32,
    lines: LineTable,
}

/// `RUBY_PLACE_BITS`, and `RUBY_NO_PLACE`: all of them set.
const PLACE: u32 = (1 << 20) - 1;
/// As Ruby's own profiling interface calls it.
const NO_FILE: &str = "<cfunc>";

impl RubyFunction {
    /// The line of a place as frames say it.
    pub(crate) fn line(&self, place: u32) -> u32 {
        match place & PLACE {
            // It has not begun: frames get their place when all else is there, those of YJIT when they first call.
            0 | PLACE => self.first_line,
            // A frame says where it goes on.
            next => self.lines.line(next - 1).unwrap_or(self.first_line),
        }
    }

    /// In bytes.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.file.len() + self.lines.footprint()
    }
}

/// What stands above a place: bits of the check that a frame's function has, beside those that it has anyway.
pub(crate) fn check_in_place(place: u32) -> u32 {
    place >> 20 << 16
}

/// `rb_method_entry_t`: `def`, `owner`; `rb_method_definition_t`: its kind, `body.iseq.iseqptr`, `original_id`.
const DEFINITION: u16 = 16;
const OWNER: u16 = 32;
const DEFINITION_CODE: u16 = 8;
const DEFINITION_NAME: u16 = 32;
const KIND: u64 = 0xf;
const KIND_CODE: u64 = 0;
/// `rb_iseq_t.body`; `rb_iseq_constant_body.location`: path, base label, label, first line.
const BODY: u16 = 16;
const LOCATION: u64 = 64;

/// Reads a function. `address` and `check` are what `ruby_push` of the kernel's side makes of it.
pub(super) fn read(instance: &Instance, memory: &dyn ReadMemory, address: u64, check: u32) -> Option<RubyFunction> {
    let objects = Objects { memory, layout: &instance.layout };
    let (object, method, check) = unpacked(address, check);
    match objects.internal_kind(object)? {
        METHOD_ENTRY => {
            let definition = objects.field(object, DEFINITION)?;
            let method = instance.names.method(objects, objects.field(definition, DEFINITION_NAME)?)?;
            let name = instance.names.qualified(objects, objects.field(object, OWNER)?, &method);
            let lines = LineTable::default();
            (check == checked(definition)).then_some(RubyFunction { name, file: NO_FILE.into(), first_line: 0, lines })
        }
        CODE => {
            let body = objects.field(object, BODY)?;
            let [path, base, label, _] = location(objects, body)?;
            if check != checked(body ^ path ^ base ^ label) {
                return None;
            }
            let (base, label) = (objects.text(base)?, objects.text(label)?);
            let owner = method.and_then(|method| owner_of(objects, object, method, &base));
            let qualified = owner.map(|owner| instance.names.qualified(objects, owner, &base));
            let name = match (qualified, label.strip_suffix(&base)) {
                (Some(qualified), Some(before)) => format!("{before}{qualified}"),
                _ => label,
            };
            let (file, first_line) = (file(objects, path)?, first_line(objects, body)?);
            let lines = LineTable::read(objects, body);
            // It may have been replaced meanwhile.
            let again = location(objects, objects.field(object, BODY)?)?;
            (again.get(..1) == Some(&[path])).then_some(RubyFunction { name, file, first_line, lines })
        }
        _ => None,
    }
}

/// Whether code has a name and a file.
pub(super) fn is_readable(instance: &Instance, memory: &dyn ReadMemory, code: u64) -> bool {
    let objects = Objects { memory, layout: &instance.layout };
    let names = |code: u64| {
        objects.internal_kind(code).filter(|kind| *kind == CODE)?;
        let [path, base, label, _] = location(objects, objects.field(code, BODY)?)?;
        Some((file(objects, path)?, objects.text(base)?, objects.text(label)?))
    };
    names(code).is_some()
}

/// The code or the method entry in its place, what may be the method that the code belongs to, and the rest of the check.
///
/// The method has 35 bits, in both; both objects are in one heap, so that those above are the first object's, or almost.
fn unpacked(address: u64, check: u32) -> (u64, Option<[u64; 3]>, u32) {
    const BITS: u32 = 38;
    let object = address >> 19 << 3;
    let bits = (address & 0x7ffff | u64::from(check & 0xffff) << 19) << 3;
    let above = object >> BITS;
    let candidates = [above, above.wrapping_add(1), above.wrapping_sub(1)].map(|above| above << BITS | bits);
    (object, (bits != 0).then_some(candidates), check >> 16)
}

/// The class of the method that some code is in, if that is the code of a method or of a block in it.
fn owner_of(objects: Objects<'_>, code: u64, methods: [u64; 3], base: &str) -> Option<u64> {
    let method = methods.into_iter().find(|method| objects.internal_kind(*method) == Some(METHOD_ENTRY))?;
    let definition = objects.field(method, DEFINITION)?;
    if objects.field(definition, 0)? & KIND != KIND_CODE {
        return None;
    }
    let of_method = objects.field(definition, DEFINITION_CODE)?;
    let is_its = of_method == code || {
        let [_, base_of_method, ..] = location(objects, objects.field(of_method, BODY)?)?;
        objects.text(base_of_method)? == base
    };
    if is_its { objects.field(method, OWNER) } else { None }
}

fn location(objects: Objects<'_>, body: u64) -> Option<[u64; 4]> {
    objects.memory.words(body.wrapping_add(LOCATION), 4).first_chunk().copied()
}

/// A path, or an array of one and the real one.
fn file(objects: Objects<'_>, path: u64) -> Option<String> {
    objects.text(path).or_else(|| {
        let real = objects.element(path, 1).and_then(|real| objects.text(real));
        real.or_else(|| objects.text(objects.element(path, 0)?))
    })
}

fn first_line(objects: Objects<'_>, body: u64) -> Option<u32> {
    let [_, _, _, line] = location(objects, body)?;
    // A number that is an object is shifted by its mark.
    Some(if objects.layout.line_is_object { line >> 1 } else { line } as u32)
}

/// `ruby_check` of the kernel's side.
fn checked(bits: u64) -> u32 {
    let mut bits = bits;
    bits ^= bits >> 32;
    bits ^= bits >> 16;
    bits as u32 & 0xfff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ruby_push`, and what of it `FunctionKey` has.
    fn packed(object: u64, method: u64, place: u32, check: u32) -> (u64, u32, u32) {
        let bits = method >> 3;
        let in_place = check << 20 | place;
        (object << 16 | (bits & 0x7ffff), u32::from((bits >> 19) as u16) | check_in_place(in_place), in_place)
    }

    #[test]
    fn two_objects_of_a_heap_are_one_address() {
        let cases = [
            (0x7f12_3456_7888, 0x7f12_3400_0028, 0),
            (0x55aa_0000_0010, 0x55aa_ffff_fff8, 0xfff),
            // Beside a boundary of what both have in common.
            (0x7f7f_ffff_fff8, 0x7f80_0000_0008, 1),
            (0x7f80_0000_0008, 0x7f7f_ffff_fff8, 1),
            (0xffff_1234_5678, 0xffff_1234_0000, 7),
        ];
        for (object, method, check) in cases {
            let (address, bits, place) = packed(object, method, 77, check);
            let (found, methods, found_check) = unpacked(address, bits);
            assert_eq!((found, found_check, place & PLACE), (object, check, 77));
            assert!(methods.is_some_and(|methods| methods.contains(&method)), "{object:x} {method:x}: {methods:x?}");
        }
        assert_eq!(unpacked(packed(0x7f12_3456_7888, 0, 0, 3).0, 3 << 16), (0x7f12_3456_7888, None, 3));
    }
}
