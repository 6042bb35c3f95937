//! Many entries of an array in one call of bpf(2), which aya has not.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::MapData;

/// `BPF_MAP_UPDATE_BATCH`, from 5.6 on.
const UPDATE_BATCH: libc::c_int = 26;
/// Keys are numbered for each call: so many need 64 KiB.
const CHUNK: usize = 16_384;

/// The part of `union bpf_attr` that batches use.
#[repr(C)]
struct BatchAttributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Writes values of `words` words each into an array, from place `first` on.
pub(super) fn update(array: &MapData, first: u32, values: &[u64], words: usize) -> io::Result<()> {
    let mut next = first;
    for chunk in values.chunks(CHUNK * words) {
        let count = u32::try_from(chunk.len() / words).map_err(|_| io::ErrorKind::InvalidInput)?;
        let end = next.checked_add(count).ok_or(io::ErrorKind::InvalidInput)?;
        let keys: Vec<u32> = (next..end).collect();
        update_places(array, &keys, chunk, words)?;
        next = end;
    }
    Ok(())
}

/// Writes values of `words` words each into an array, one to each of these places.
pub(super) fn update_places(array: &MapData, places: &[u32], values: &[u64], words: usize) -> io::Result<()> {
    let descriptor = array.fd().as_fd().as_raw_fd();
    let map_fd = u32::try_from(descriptor).map_err(|_| io::ErrorKind::InvalidInput)?;
    if values.len() != places.len() * words {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (places, values) in places.chunks(CHUNK).zip(values.chunks(CHUNK * words)) {
        update_chunk(map_fd, places, values)?;
    }
    Ok(())
}

#[allow(unsafe_code, reason = "bpf(2) has no safe wrapper")]
fn update_chunk(map_fd: u32, keys: &[u32], values: &[u64]) -> io::Result<()> {
    let mut attributes = BatchAttributes {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: u32::try_from(keys.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        map_fd,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: the attributes are those of the command, and live through the call. The kernel reads `count` keys of four
    // bytes and `count` values of the map's value size; both slices hold as many and outlive the call. It writes to
    // `attributes.count` alone.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, UPDATE_BATCH, &raw mut attributes, size_of::<BatchAttributes>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
