//! Bits of a frame by which it is told that another function stands by now where its own was.

/// Of what both sides see of a function; 0 is what the kernel's side has where it could not read all of it. `check_of` of
/// `bpf/walk.h`.
pub(super) fn check_of(bits: u64) -> u16 {
    let bits = bits ^ bits >> 32;
    ((bits ^ bits >> 16) as u16).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_never_zero() {
        assert_eq!([check_of(0), check_of(0x1_0001), check_of(0x1234)], [1, 1, 0x1234]);
    }
}
