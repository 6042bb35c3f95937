//! What Go's machine code says on aarch64, where a register holds the goroutine.

use super::{Goroutine, StackSwitch, agreed};

/// x28
const GOROUTINE: u32 = 28;
/// The stack pointer, as a place to load from.
const STACK: u32 = 31;

/// `runtime.systemstack` takes the thread from the goroutine, and from there three goroutines to compare with: that for
/// signals, the runtime's own, and the one that it runs (`asm_arm64.s`).
pub(super) fn stack_switch(code: &[u8]) -> Option<StackSwitch> {
    let mut loads = instructions(code).filter_map(load);
    let (machine, in_goroutine) = loads.find(|load| load.from == GOROUTINE).map(|load| (load.to, load.offset))?;
    let [for_signals, own, current] = [loads.next()?, loads.next()?, loads.next()?];
    let is_of_machine = [for_signals, own, current].iter().all(|load| load.from == machine);
    let switch = StackSwitch { goroutine: Goroutine::Register, machine: in_goroutine, current: current.offset };
    (is_of_machine && own.offset == 0).then_some(switch)
}

/// The field of a goroutine that a function writes a register to.
pub(super) fn stored(code: &[u8]) -> Option<u16> {
    let stores = instructions(code).filter_map(|instruction| access(instruction, 0xf900_0000));
    agreed(stores.filter(|store| store.from != STACK).map(|store| store.offset).filter(|at| super::LABELS.contains(at)))
}

#[derive(Debug, Clone, Copy)]
struct Access {
    /// The register that is loaded or stored.
    to: u32,
    from: u32,
    offset: u16,
}

/// `ldr xT, [xN, #offset]`
fn load(instruction: u32) -> Option<Access> {
    access(instruction, 0xf940_0000).filter(|load| load.from != STACK)
}

fn access(instruction: u32, operation: u32) -> Option<Access> {
    let is_it = instruction & 0xffc0_0000 == operation;
    let offset = (instruction >> 10 & 0xfff) as u16 * 8;
    is_it.then_some(Access { to: instruction & 31, from: instruction >> 5 & 31, offset })
}

fn instructions(code: &[u8]) -> impl Iterator<Item = u32> + '_ {
    code.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(instructions: &[u32]) -> Vec<u8> {
        instructions.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn goroutines_are_where_the_runtime_looks_for_them() {
        // ldr x3, [sp, #24]; mov x26, x3; ldr x4, [x28, #48]; ldr x5, [x4, #72]; cmp; b.eq; ldr x5, [x4]; cmp; b.eq;
        // ldr x6, [x4, #184]; cmp
        let asks = [
            0xf940_0fe3,
            0xaa03_03fa,
            0xf940_1b84,
            0xf940_2485,
            0xeb1c_00bf,
            0x5400_03a0,
            0xf940_0085,
            0xeb1c_00bf,
            0x5400_0340,
            0xf940_5c86,
            0xeb1c_00df,
        ];
        let expected = StackSwitch { goroutine: Goroutine::Register, machine: 48, current: 184 };
        assert_eq!(stack_switch(&code(&asks)), Some(expected));
        assert_eq!(stack_switch(&code(&asks[..9])), None);
        assert_eq!(stack_switch(&code(&asks[3..])), None);
    }

    #[test]
    fn labels_are_where_they_are_set() {
        // str x28, [sp, #16]; ldr x1, [x28, #352]; stp x0, x1, [x25]; ldr x1, [sp, #16]; str x0, [x1, #352]; str x0, [sp, #88]
        let set = [0xf900_0bfc, 0xf940_b381, 0xa900_0720, 0xf940_0be1, 0xf900_b020, 0xf900_2fe0];
        assert_eq!(stored(&code(&set)), Some(352));
        assert_eq!(stored(&code(&set[..4])), None);
    }
}
