//! The address by which a host is found, by the names of its network interfaces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Stands for all interfaces.
const ALL: &str = "all";

/// Why no address is known.
#[derive(Debug, thiserror::Error)]
pub enum AdvertiseError {
    /// The flag is no address.
    #[error("{0:?} is no address: write IP or IP:PORT, an IPv6 address with a port as [ADDRESS]:PORT, or a name")]
    Address(String),
    /// It leads nowhere.
    #[error("{address:?} cannot be looked up: {error}")]
    Lookup {
        /// What was written.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// The kernel does not say.
    #[error("the addresses of this host are not known: {0}")]
    Interfaces(nix::Error),
}

/// The address that others are told: what was `written`, with this port where it has none, or else the first of the
/// interfaces of these names. Where they have none it is that of the loopback interface, as in the reference. Blocks.
///
/// # Errors
/// A text that is no address, or that leads nowhere.
pub fn advertised(written: &str, interfaces: &[String], port: u16) -> Result<SocketAddr, AdvertiseError> {
    if !written.is_empty() {
        return given(written, port);
    }
    if let Some(ip) = best(&addresses().map_err(AdvertiseError::Interfaces)?, interfaces) {
        return Ok(SocketAddr::new(ip, port));
    }
    tracing::warn!(
        interfaces = interfaces.join(","),
        "no interface of these names has an address: others are told 127.0.0.1; --cluster.advertise-address says which"
    );
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn given(written: &str, port: u16) -> Result<SocketAddr, AdvertiseError> {
    use std::net::ToSocketAddrs;
    let bare = written.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(written);
    let usable = |address: SocketAddr| {
        let usable = address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast();
        usable.then_some(address).ok_or_else(|| AdvertiseError::Address(written.to_owned()))
    };
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return usable(SocketAddr::new(ip, port));
    }
    if let Ok(address) = written.parse() {
        return usable(address);
    }
    let lookup = |error| AdvertiseError::Lookup { address: written.to_owned(), error };
    let found = match written.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_err() => return Err(AdvertiseError::Address(written.to_owned())),
        Some(_) => written.to_socket_addrs(),
        None => (written, port).to_socket_addrs(),
    };
    let first = found.map_err(lookup)?.next();
    usable(first.ok_or_else(|| lookup(std::io::ErrorKind::NotFound.into()))?)
}

/// The name of an interface that is up, and an address of it.
type Address = (String, IpAddr);

fn addresses() -> nix::Result<Vec<Address>> {
    let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let up = getifaddrs()?.filter(|found| found.flags.contains(usable));
    let up = up.filter(|found| !found.flags.contains(InterfaceFlags::IFF_LOOPBACK));
    let address = |found: nix::ifaddrs::InterfaceAddress| {
        let address = found.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        Some((found.interface_name, v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))?))
    };
    Ok(up.filter_map(address).collect())
}

/// The first of the first interface that has one: of version 4 before 6, and none that holds on one link alone.
fn best(addresses: &[Address], interfaces: &[String]) -> Option<IpAddr> {
    let of_any = |wanted: &dyn Fn(&str) -> bool| {
        let of_interface = addresses.iter().filter(|(name, _)| wanted(name)).map(|(_, address)| *address);
        of_interface.filter(reaches_beyond_its_link).min_by_key(IpAddr::is_ipv6)
    };
    if matches!(interfaces, [all] if all == ALL) {
        return of_any(&|_| true);
    }
    interfaces.iter().find_map(|interface| of_any(&|name| name == interface))
}

fn reaches_beyond_its_link(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interface_with_an_address_is_taken() {
        let addresses: Vec<Address> = [
            ("docker0", "172.17.0.1"),
            ("eth0", "fe80::1"),
            ("eth0", "169.254.1.1"),
            ("eth1", "fd00::1"),
            ("eth1", "10.0.0.1"),
            ("eth1", "10.0.0.2"),
            ("wg0", "fd00::2"),
        ]
        .map(|(name, address)| (name.to_owned(), address.parse().unwrap()))
        .to_vec();
        for (interfaces, expected) in [
            ("eth0,en0", None),
            ("eth0,eth1", Some("10.0.0.1")),
            ("wg0,eth1", Some("fd00::2")),
            ("all", Some("172.17.0.1")),
            ("none", None),
        ] {
            let interfaces: Vec<_> = interfaces.split(',').map(str::to_owned).collect();
            assert_eq!(best(&addresses, &interfaces), expected.map(|text| text.parse().unwrap()), "{interfaces:?}");
        }
    }

    #[test]
    fn what_is_written_is_told_with_a_port() {
        for (written, expected) in [
            ("10.0.0.1", "10.0.0.1:80"),
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("fd00::1", "[fd00::1]:80"),
            ("[fd00::1]", "[fd00::1]:80"),
            ("[fd00::1]:7", "[fd00::1]:7"),
            ("127.0.0.1:80", "127.0.0.1:80"),
        ] {
            assert_eq!(advertised(written, &[], 80).unwrap(), expected.parse().unwrap());
        }
        for wrong in ["0.0.0.0", "10.0.0.1:0", "[::]:1", "224.0.0.1", "a:b", "no-such-name.invalid", "[a"] {
            assert!(advertised(wrong, &[], 80).is_err(), "{wrong}");
        }
    }
}
