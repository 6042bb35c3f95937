//! CoreCLR's, as `bpf/dotnet.h` reads them.

use super::packed;

/// `struct dotnet_process`. `sections` is an address in the process, all else are offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotNetProcess {
    /// The tree of sections of code.
    pub sections: u64,
    /// In a section: what it is of.
    pub section_flags: u16,
    /// In a section: the module whose image it is.
    pub section_module: u16,
    /// In a section: the heap.
    pub section_heap: u16,
    /// In a heap: the address of which the first nibble of its map is.
    pub heap_base: u16,
    /// In a heap: the map.
    pub heap_nibbles: u16,
    /// In what a method's code has before it: the method.
    pub header_method: u16,
    /// In a module: what is known of its compiled image.
    pub module_image: u16,
    /// In that: of an image with several modules in it, the one that lists functions.
    pub image_whole: u16,
    /// In that: its functions.
    pub image_functions: u16,
    /// In that: how many they are.
    pub image_count: u16,
}

/// Words of `struct dotnet_process`.
pub(super) const WORDS: usize = 4;

/// The map of them, by pid.
pub(super) const PROCESSES: &str = "dotnet_processes";

impl DotNetProcess {
    pub(super) fn words(&self) -> [u64; WORDS] {
        packed(&[
            &self.sections.to_le_bytes(),
            &self.section_flags.to_le_bytes(),
            &self.section_module.to_le_bytes(),
            &self.section_heap.to_le_bytes(),
            &self.heap_base.to_le_bytes(),
            &self.heap_nibbles.to_le_bytes(),
            &self.header_method.to_le_bytes(),
            &self.module_image.to_le_bytes(),
            &self.image_whole.to_le_bytes(),
            &self.image_functions.to_le_bytes(),
            &self.image_count.to_le_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::runtimes::tests::fields;

    #[test]
    fn a_process_of_dotnet_is_laid_out_as_the_kernel_reads_it() {
        let process = DotNetProcess {
            sections: 1,
            section_flags: 2,
            section_module: 3,
            section_heap: 4,
            heap_base: 5,
            heap_nibbles: 6,
            header_method: 7,
            module_image: 8,
            image_whole: 9,
            image_functions: 10,
            image_count: 11,
        };
        let read = fields(include_str!("../../../../bpf/dotnet.h"), "dotnet_process", &process.words());
        let expected = [
            ("sections", 1),
            ("section_flags", 2),
            ("section_module", 3),
            ("section_heap", 4),
            ("heap_base", 5),
            ("heap_nibbles", 6),
            ("header_method", 7),
            ("module_image", 8),
            ("image_whole", 9),
            ("image_functions", 10),
            ("image_count", 11),
            ("pad", 0),
            ("pad2", 0),
        ];
        assert_eq!(read, expected);
    }
}
