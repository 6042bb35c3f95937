//! What Go's machine code says on x86_64.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::{Goroutine, Saved, StackSwitch, agreed};

/// `runtime.systemstack` takes the goroutine from the thread's own memory and its thread from there, and compares it with
/// two of those of the thread: that for signals, and the one that it runs (`asm_amd64.s`).
pub(super) fn stack_switch(at: u64, code: &[u8]) -> Option<StackSwitch> {
    // In which registers they are.
    let (mut offset, mut goroutine, mut machine) = (None, None, None);
    let mut compared = Vec::new();
    for instruction in instructions(at, code) {
        let loads = instruction.mnemonic() == Mnemonic::Mov && instruction.op1_kind() == OpKind::Memory;
        match (goroutine, machine) {
            (None, _) if loads && instruction.memory_segment() == Register::FS => {
                let displacement = displacement(&instruction);
                let place = match (instruction.memory_base(), offset) {
                    (Register::None, _) => Goroutine::At(displacement),
                    (base, Some((register, place))) if base == register && displacement == 0 => place,
                    _ => return None,
                };
                goroutine = Some((instruction.op0_register(), place));
            }
            // How far it is from the thread pointer, in programs that may be loaded anywhere.
            (None, _) if loads && instruction.is_ip_rel_memory_operand() => {
                let slot = Goroutine::Slot(instruction.ip_rel_memory_address());
                offset = Some((instruction.op0_register(), slot));
            }
            (None, _)
                if instruction.mnemonic() == Mnemonic::Mov && instruction.op1_kind() == OpKind::Immediate32to64 =>
            {
                let place = Goroutine::At(i32::try_from(instruction.immediate32to64()).ok()?);
                offset = Some((instruction.op0_register(), place));
            }
            (Some((register, _)), None) if loads && instruction.memory_base() == register => {
                machine = Some((instruction.op0_register(), field(&instruction)?));
            }
            (Some((register, place)), Some((of_machine, in_goroutine)))
                if instruction.mnemonic() == Mnemonic::Cmp
                    && instruction.op0_kind() == OpKind::Register
                    && instruction.op0_register() == register
                    && instruction.op1_kind() == OpKind::Memory
                    && instruction.memory_base() == of_machine =>
            {
                compared.push(field(&instruction)?);
                if let [_for_signals, current] = compared[..] {
                    return Some(StackSwitch { goroutine: place, machine: in_goroutine, current });
                }
            }
            _ => {}
        }
    }
    None
}

/// The field of a goroutine that a function writes a register to.
pub(super) fn stored(at: u64, code: &[u8]) -> Option<u16> {
    let other = [Register::RSP, Register::RBP, Register::RIP, Register::None];
    agreed(instructions(at, code).filter_map(|instruction| {
        let stores = instruction.code() == Code::Mov_rm64_r64
            && instruction.op0_kind() == OpKind::Memory
            && !other.contains(&instruction.memory_base());
        // What is written down for the garbage collector lies at the beginning of where it is written.
        stores.then(|| field(&instruction)).flatten().filter(|field| super::LABELS.contains(field))
    }))
}

/// `runtime.morestack` saves the frame pointer that it was called with, and goes on with the stack pointer that another
/// goroutine has saved.
pub(super) fn saved(code: &[u8]) -> Option<Saved> {
    let loads_stack = |instruction: &Instruction| {
        let is_it = writes_stack_pointer(instruction) && instruction.op1_kind() == OpKind::Memory;
        is_it.then(|| field(instruction)).flatten()
    };
    let stores_frame = |instruction: &Instruction| {
        let is_it = instruction.code() == Code::Mov_rm64_r64
            && instruction.op0_kind() == OpKind::Memory
            && instruction.op1_register() == Register::RBP;
        is_it.then(|| field(instruction)).flatten()
    };
    let stack_pointer = instructions(0, code).find_map(|instruction| loads_stack(&instruction))?;
    let frame_pointer = agreed(instructions(0, code).filter_map(|instruction| stores_frame(&instruction)))?;
    Some(Saved { stack_pointer, frame_pointer })
}

/// Behind how many bytes the stack pointer was set to what it did not follow from.
pub(super) fn leaves_stack(code: &[u8]) -> Option<u32> {
    let leaves = instructions(0, code).find(writes_stack_pointer)?;
    u32::try_from(leaves.next_ip()).ok()
}

/// Any other change of it is by a constant.
fn writes_stack_pointer(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov && instruction.op0_register() == Register::RSP
}

fn instructions(at: u64, code: &[u8]) -> impl Iterator<Item = Instruction> + '_ {
    Decoder::with_ip(64, code, at, DecoderOptions::NONE).into_iter().take_while(|instruction| !instruction.is_invalid())
}

fn displacement(instruction: &Instruction) -> i32 {
    // An address of 32 bits is extended by its sign.
    instruction.memory_displacement64() as i32
}

fn field(instruction: &Instruction) -> Option<u16> {
    u16::try_from(instruction.memory_displacement64()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mov rbx, [rax + 0x30]; cmp rax, [rbx + 0x48]; je; mov rdx, [rbx]; cmp rax, rdx; je; cmp rax, [rbx + 0xb8]; jne
    const ASKS: &[u8] = &[
        0x48, 0x8b, 0x58, 0x30, 0x48, 0x3b, 0x43, 0x48, 0x74, 0x65, 0x48, 0x8b, 0x13, 0x48, 0x39, 0xd0, 0x74, 0x5d,
        0x48, 0x3b, 0x83, 0xb8, 0, 0, 0, 0x75, 0x5d,
    ];

    #[test]
    fn goroutines_are_where_the_runtime_looks_for_them() {
        // mov rdi, [rsp + 0x10]
        let begins: &[u8] = &[0x48, 0x8b, 0x7c, 0x24, 0x10];
        // mov rax, fs:[-8]
        let fixed: &[u8] = &[0x64, 0x48, 0x8b, 0x04, 0x25, 0xf8, 0xff, 0xff, 0xff];
        // mov rcx, -24; mov rax, fs:[rcx]
        let anywhere: &[u8] = &[0x48, 0xc7, 0xc1, 0xe8, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x01];
        // mov rcx, [rip + 0x100]; mov rax, fs:[rcx]
        let of_library: &[u8] = &[0x48, 0x8b, 0x0d, 0, 1, 0, 0, 0x64, 0x48, 0x8b, 0x01];
        for (load, goroutine) in [
            (fixed, Goroutine::At(-8)),
            (anywhere, Goroutine::At(-24)),
            (of_library, Goroutine::Slot(0x1000 + 5 + 7 + 0x100)),
        ] {
            let code = [begins, load, ASKS].concat();
            let expected = StackSwitch { goroutine, machine: 0x30, current: 0xb8 };
            assert_eq!(stack_switch(0x1000, &code), Some(expected));
            for length in 0..code.len() - 2 {
                assert_eq!(stack_switch(0x1000, &code[..length]), None, "{length} bytes");
            }
        }
        // mov rax, fs:[rcx], of which nothing is known.
        assert_eq!(stack_switch(0x1000, &[begins, &anywhere[7..], ASKS].concat()), None);
        assert_eq!(stack_switch(0, &[0xff; 64]), None);
    }

    #[test]
    fn stacks_are_left_where_the_stack_pointer_is_set() {
        // mov [rdi + 0x60], rbp; sub rsp, 16; mov rbx, [rbx]; mov rsp, [rbx + 0x38]; ret
        let code = [0x48, 0x89, 0x6f, 0x60, 0x48, 0x83, 0xec, 0x10, 0x48, 0x8b, 0x1b, 0x48, 0x8b, 0x63, 0x38, 0xc3];
        assert_eq!(saved(&code), Some(Saved { stack_pointer: 0x38, frame_pointer: 0x60 }));
        assert_eq!((saved(&code[..11]), saved(&code[4..])), (None, None));
        assert_eq!((leaves_stack(&code), leaves_stack(&code[..11])), (Some(15), None));
        // mov rsp, rbx, and mov [rsp], rbx, which leaves it alone.
        assert_eq!((leaves_stack(&[0x48, 0x89, 0xdc]), leaves_stack(&[0x48, 0x89, 0x1c, 0x24])), (Some(3), None));
        assert_eq!(saved(&[0xff; 64]), None);
    }

    #[test]
    fn labels_are_where_they_are_set() {
        // mov [rsp], r14; mov [r11], rax; mov [r11 + 8], rcx; mov rcx, [rsp]; mov [rcx + 0x160], rax
        let code = [
            0x4c, 0x89, 0x34, 0x24, 0x49, 0x89, 0x03, 0x49, 0x89, 0x4b, 0x08, 0x48, 0x8b, 0x0c, 0x24, 0x48, 0x89, 0x81,
            0x60, 1, 0, 0,
        ];
        assert_eq!(stored(0, &code), Some(0x160));
        assert_eq!(stored(0, &code[..15]), None);
        // And [rcx + 0x168]: which one?
        assert_eq!(stored(0, &[&code[..], &[0x48, 0x89, 0x81, 0x68, 1, 0, 0]].concat()), None);
    }
}
