//! What nodes send each other: a head that says which cluster and who speaks, then gossip or a farewell.
//!
//! ```text
//! "FGC" 1 · kind · cluster: 2 bytes of length, text · sender: 4 or 6, address, port · what it says
//! ```
//!
//! Numbers are little-endian, texts and addresses as `chitchat` writes them. What comes may come from anyone: it is
//! looked through here, to its last byte, before `chitchat` sees it.

use std::net::SocketAddr;

use chitchat::{ChitchatId, ChitchatMessage, Deserializable, Serializable};

use super::settings::MOST_NAME_BYTES;

/// The longest frame: that of a datagram.
pub(super) const MOST_BYTES: usize = 65_507;
/// Nodes of a cluster, those that died lately among them.
pub(super) const MOST_NODES: usize = 512;
/// Bytes of a digest of them all: with what else is in a frame they fit in one, and `chitchat` reckons with that. It is
/// full with 512 nodes whose names have 72 bytes.
pub(super) const MOST_DIGEST_BYTES: usize = 64_000;

const MAGIC: [u8; 4] = *b"FGC\x01";
const GOSSIP: u8 = 0;
const FAREWELL: u8 = 1;

/// What one node says to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) cluster: String,
    /// Where it is found, by what it says itself.
    pub(super) sender: SocketAddr,
    pub(super) said: Said,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Gossip {
        message: ChitchatMessage,
        /// All that are spoken of.
        about: Vec<ChitchatId>,
    },
    /// This node leaves.
    Farewell(ChitchatId),
}

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("it is no message of this version of Flamegate's clusters")]
    Foreign,
    #[error("it is cut short or broken: {0}")]
    Broken(anyhow::Error),
    #[error("it says what no node says: {0}")]
    Strange(&'static str),
}

/// Bytes of a node in a digest: that many at most for what is no name.
pub(super) fn digest_bytes(id: &ChitchatId) -> usize {
    const LENGTH_GENERATION_ADDRESS_NUMBERS: usize = 2 + 8 + 19 + 24;
    LENGTH_GENERATION_ADDRESS_NUMBERS + id.node_id.len()
}

/// Gossip, as it is sent.
pub(super) fn gossip(cluster: &str, sender: SocketAddr, message: &ChitchatMessage) -> Vec<u8> {
    let mut bytes = head(GOSSIP, cluster, sender);
    message.serialize(&mut bytes);
    bytes
}

/// A farewell, as it is sent.
pub(super) fn farewell(cluster: &str, id: &ChitchatId) -> Vec<u8> {
    let mut bytes = head(FAREWELL, cluster, id.gossip_advertise_addr);
    id.serialize(&mut bytes);
    bytes
}

fn head(kind: u8, cluster: &str, sender: SocketAddr) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(kind);
    cluster.serialize(&mut bytes);
    sender.serialize(&mut bytes);
    bytes
}

impl Frame {
    /// Reads what came from anyone.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut rest = bytes.strip_prefix(&MAGIC).ok_or(FrameError::Foreign)?;
        let [kind] = piece::<[u8; 1]>(&mut rest)?;
        let cluster = piece::<String>(&mut rest)?;
        ensure(cluster.len() <= MOST_NAME_BYTES, "a name of too many bytes")?;
        let sender = address(piece::<SocketAddr>(&mut rest)?)?;
        let said = match kind {
            GOSSIP => {
                let about = spoken_of(rest, &cluster)?;
                Said::Gossip { message: piece::<ChitchatMessage>(&mut rest)?, about }
            }
            FAREWELL => {
                let id = node(&mut rest)?;
                ensure(id.gossip_advertise_addr == sender, "a farewell of another node")?;
                ensure(rest.is_empty(), "more than a farewell")?;
                Said::Farewell(id)
            }
            _ => return Err(FrameError::Foreign),
        };
        Ok(Self { cluster, sender, said })
    }
}

/// All nodes of which a message speaks. Nodes say of each other only that they live: no message has the part in which
/// `chitchat` tells their keys and values, which is compressed, and on parts of which it would panic.
fn spoken_of(mut message: &[u8], cluster: &str) -> Result<Vec<ChitchatId>, FrameError> {
    let [_, _, _, kind] = piece::<[u8; 4]>(&mut message)?;
    // Who asks, who answers, who answers the answer. That someone is of another cluster is seen by the head.
    let about = match kind {
        0 | 1 => digest(&mut message)?,
        2 => Vec::new(),
        _ => return Err(FrameError::Foreign),
    };
    if kind == 0 {
        ensure(piece::<String>(&mut message)? == cluster, "that it is of two clusters")?;
    } else {
        // The end of no keys and values.
        piece::<[u8; 1]>(&mut message)?;
    }
    ensure(message.is_empty(), "keys and values")?;
    Ok(about)
}

fn digest(message: &mut &[u8]) -> Result<Vec<ChitchatId>, FrameError> {
    let nodes = usize::from(piece::<u16>(message)?);
    ensure(nodes <= MOST_NODES, "more nodes than a cluster may have")?;
    let entry = |_| {
        let id = node(message)?;
        let [_heartbeat, collected, version] = [piece::<u64>(message)?, piece::<u64>(message)?, piece::<u64>(message)?];
        ensure(collected == 0 && version == 0, "versions of keys and values")?;
        Ok(id)
    };
    (0..nodes).map(entry).collect()
}

fn node(bytes: &mut &[u8]) -> Result<ChitchatId, FrameError> {
    let id = piece::<ChitchatId>(bytes)?;
    ensure((1..=MOST_NAME_BYTES).contains(&id.node_id.len()), "a name of no or too many bytes")?;
    address(id.gossip_advertise_addr)?;
    Ok(id)
}

/// One that a node can have.
fn address(address: SocketAddr) -> Result<SocketAddr, FrameError> {
    let ip = address.ip();
    let broadcast = ip == std::net::Ipv4Addr::BROADCAST;
    ensure(address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast, "an address of no node")?;
    Ok(address)
}

fn piece<T: Deserializable>(bytes: &mut &[u8]) -> Result<T, FrameError> {
    T::deserialize(bytes).map_err(FrameError::Broken)
}

fn ensure(well: bool, otherwise: &'static str) -> Result<(), FrameError> {
    if well { Ok(()) } else { Err(FrameError::Strange(otherwise)) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const SENDER: ([u8; 4], u16) = ([127, 0, 0, 1], 7946);

    /// A digest as `chitchat` writes it: name, generation, address, heartbeat and two versions of each.
    fn digest_of(nodes: impl ExactSizeIterator<Item = (String, SocketAddr, u64)>) -> Vec<u8> {
        let mut bytes = u16::try_from(nodes.len()).unwrap().to_le_bytes().to_vec();
        for (name, address, version) in nodes {
            ChitchatId::new(name, 1, address).serialize(&mut bytes);
            for number in [5, 0, version] {
                bytes.extend(u64::to_le_bytes(number));
            }
        }
        bytes
    }

    fn said(kind: u8, digest: &[u8], rest: &[u8], sender: SocketAddr, cluster: &str) -> Vec<u8> {
        let mut bytes = head(GOSSIP, cluster, sender);
        bytes.extend(45_139_u16.to_le_bytes());
        bytes.extend([0, kind]);
        bytes.extend(digest);
        bytes.extend(rest);
        bytes
    }

    fn one(version: u64) -> Vec<u8> {
        digest_of(std::iter::once(("a".to_owned(), SENDER.into(), version)))
    }

    /// As many as may be, each time others.
    pub(in crate::cluster) fn crowd(cluster: &str, sender: SocketAddr, round: usize) -> Vec<u8> {
        let nodes = (0..MOST_NODES - 10).map(|number| (format!("{round}-{number}"), sender, 0));
        said(1, &digest_of(nodes), &[0], sender, cluster)
    }

    /// What no node says.
    pub(in crate::cluster) fn strange(sender: SocketAddr) -> Vec<Vec<u8>> {
        let named = |name: String, address| digest_of(std::iter::once((name, address, 0)));
        let many = digest_of((0..MOST_NODES + 1).map(|number| (number.to_string(), sender, 0)));
        let gossip = |kind, digest: &[u8], rest: &[u8]| said(kind, digest, rest, sender, "test");
        let mut farewell = farewell("test", &ChitchatId::new("a", 1, sender));
        farewell.push(0);
        vec![
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            MAGIC.to_vec(),
            gossip(9, &one(0), &[]),
            gossip(3, &[], &[]),
            gossip(0, &one(0), b"\x05\0other"),
            said(1, &one(0), &[0], sender, &"x".repeat(254)),
            // Keys and values: a block that is compressed, one that is not, and versions that promise some.
            gossip(1, &one(0), &[1, 4, 0, 40, 181, 47, 253, 0]),
            gossip(2, &[], &[2, 1, 0, 2, 0]),
            gossip(1, &one(7), &[0]),
            gossip(1, &many, &[0]),
            gossip(1, &named(String::new(), sender), &[0]),
            gossip(1, &named("x".repeat(254), sender), &[0]),
            gossip(1, &named("a".to_owned(), ([0, 0, 0, 0], 1).into()), &[0]),
            gossip(1, &named("a".to_owned(), ([224, 0, 0, 1], 1).into()), &[0]),
            gossip(1, &named("a".to_owned(), ([127, 0, 0, 1], 0).into()), &[0]),
            gossip(0, &one(0), &[255, 255]),
            said(1, &one(0), &[0], ([127, 0, 0, 9], 1).into(), "test"),
            said(1, &one(0), &[0], sender, "another"),
            farewell,
        ]
    }

    #[test]
    fn what_nodes_say_is_read() {
        let id = ChitchatId::new("a", 1, SENDER.into());
        let frame = Frame::read(&farewell("test", &id)).unwrap();
        assert_eq!(frame, Frame { cluster: "test".to_owned(), sender: SENDER.into(), said: Said::Farewell(id) });
        for (kind, digest, rest) in [(0, one(0), &b"\x04\0test"[..]), (1, one(0), &[0]), (2, Vec::new(), &[0])] {
            let bytes = said(kind, &digest, rest, SENDER.into(), "test");
            let frame = Frame::read(&bytes).unwrap_or_else(|error| panic!("{kind}: {error}"));
            let Said::Gossip { message, about } = frame.said else { panic!("{kind}") };
            assert_eq!(about.is_empty(), digest.is_empty());
            assert_eq!(gossip("test", SENDER.into(), &message), bytes);
            // Cut short at any place, and changed at any.
            for end in 0..bytes.len() {
                assert!(Frame::read(&bytes[..end]).is_err(), "{kind} to {end}");
                for value in [0, 1, 127, 255] {
                    let mut changed = bytes.clone();
                    changed[end] = value;
                    drop(Frame::read(&changed));
                }
            }
        }
    }

    #[test]
    fn what_no_node_says_is_refused() {
        let sender = SENDER.into();
        for (at, bytes) in strange(sender).into_iter().enumerate() {
            let read = Frame::read(&bytes);
            let passes = read.is_ok_and(|frame| frame.cluster == "test" && frame.sender == sender);
            assert!(!passes, "{at}: {bytes:?}");
        }
    }
}
