//! The address of a client: the peer's, or what a trusted proxy says it forwards for. Headers of anybody else are
//! never believed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str,
};

use actix_web::{HttpRequest, http::header::X_FORWARDED_FOR};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Where limits by address count a client: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer
/// of a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

/// A client as limits by address see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Where it counts.
    pub network: Network,
    /// Whether limits by address leave it alone.
    pub exempt: bool,
}

/// How the address by which a client counts was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// No `X-Forwarded-For` came, or one that ends with no address: the peer's address counts.
    None,
    /// `X-Forwarded-For` came from a peer that is no trusted proxy: the peer's address counts.
    Ignored,
    /// `X-Forwarded-For` came from a trusted proxy, and counts.
    Trusted,
    /// As `Trusted`, but its last entry is an address reserved for documentation (RFC 5737, RFC 3849). No client has one, so
    /// the proxy passed on what the client itself wrote, and added nothing.
    Forged,
}

/// The networks of RFC 5737 and RFC 3849.
const DOCUMENTATION: [IpNet; 4] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32)),
];

/// Tells clients' addresses.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    proxies: Vec<IpNet>,
    loopback_exempt: bool,
}

impl Addresses {
    /// With these trusted proxies. `loopback_exempt`: limits by address leave this machine's own clients alone.
    pub fn new(proxies: Vec<IpNet>, loopback_exempt: bool) -> Addresses {
        Addresses { proxies, loopback_exempt }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }

    /// The client behind a request. Requests without a peer's address count together.
    pub fn of(&self, request: &HttpRequest) -> Client {
        let (peer, lines) = addressed(request);
        self.client(peer, &lines)
    }

    /// How the address of the client behind a request was found.
    pub fn forwarding(&self, request: &HttpRequest) -> Forwarding {
        let (peer, lines) = addressed(request);
        self.found(peer, &lines)
    }

    fn found(&self, peer: IpAddr, lines: &[&[u8]]) -> Forwarding {
        let last = lines.last().and_then(|line| parse(line.rsplit(|byte| *byte == b',').next()?));
        match (last, self.trusts(peer.to_canonical())) {
            (None, _) => Forwarding::None,
            (Some(_), false) => Forwarding::Ignored,
            (Some(last), true) if DOCUMENTATION.iter().any(|network| network.contains(&last)) => Forwarding::Forged,
            (Some(_), true) => Forwarding::Trusted,
        }
    }

    /// The same, from the peer's address and the lines of `X-Forwarded-For`.
    pub fn client(&self, peer: IpAddr, forwarded: &[&[u8]]) -> Client {
        let peer = peer.to_canonical();
        let trusted = self.trusts(peer);
        let address = if trusted { self.forwarded(forwarded).unwrap_or(peer) } else { peer };
        Client { network: network(address), exempt: self.loopback_exempt && !trusted && peer.is_loopback() }
    }

    /// The right-most address that is no trusted proxy's: what stands left of it anybody may have written.
    fn forwarded(&self, lines: &[&[u8]]) -> Option<IpAddr> {
        let entries = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for entry in entries {
            let address = parse(entry)?;
            if !self.trusts(address) {
                return Some(address);
            }
        }
        None
    }
}

/// The peer's address and the lines of `X-Forwarded-For`.
fn addressed(request: &HttpRequest) -> (IpAddr, Vec<&[u8]>) {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    (peer, request.headers().get_all(X_FORWARDED_FOR).map(|value| value.as_bytes()).collect())
}

/// An address, or an address and port, as proxies write them.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|both| both.ip()));
    Some(address.ok()?.to_canonical())
}

fn network(address: IpAddr) -> Network {
    Network(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(proxies: &[&str]) -> Addresses {
        Addresses::new(proxies.iter().map(|network| network.parse().expect("a network")).collect(), true)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let behind = addresses(&["10.0.0.0/8", "fd00::/8"]);
        for (peer, lines, client) in [
            ("203.0.113.9", &[][..], "203.0.113.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.1", "10.9.9.9,fd00::1"], "198.51.100.1"),
            ("10.0.0.1", &["10.2.2.2, 10.3.3.3"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["unknown, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, "], "10.0.0.1"),
            ("10.0.0.1", &[" 198.51.100.1:4711 "], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1\u{e9}"], "10.0.0.1"),
        ] {
            let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(behind.client(ip(peer), &bytes).network, Network(ip(client)), "{peer} {lines:?}");
        }
    }

    #[test]
    fn how_an_address_was_found_is_told_and_one_of_no_client_is_forged() {
        let behind = addresses(&["10.0.0.0/8"]);
        for (peer, lines, found) in [
            ("203.0.113.9", &[][..], Forwarding::None),
            ("10.0.0.1", &[], Forwarding::None),
            ("10.0.0.1", &[""], Forwarding::None),
            ("10.0.0.1", &["198.18.0.1, unknown"], Forwarding::None),
            ("198.18.0.1", &["192.0.2.1"], Forwarding::Ignored),
            ("10.0.0.1", &["198.18.0.1"], Forwarding::Trusted),
            ("10.0.0.1", &["10.0.0.2"], Forwarding::Trusted),
            ("10.0.0.1", &["192.0.2.1, 198.18.0.1"], Forwarding::Trusted),
            ("10.0.0.1", &["192.0.2.1", "198.18.0.1, 10.0.0.7"], Forwarding::Trusted),
            ("10.0.0.1", &["192.0.2.1"], Forwarding::Forged),
            ("10.0.0.1", &["198.18.0.1, 2001:db8::1"], Forwarding::Forged),
            // The client, or a proxy before this one, is trusted as well: what it wrote counts, as is configured.
            ("10.0.0.1", &["192.0.2.1, 10.0.0.7"], Forwarding::Trusted),
        ] {
            let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(behind.found(ip(peer), &bytes), found, "{peer} {lines:?}");
        }
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network_of_64_bits() {
        let direct = addresses(&[]);
        let network = |address: &str| direct.client(ip(address), &[]).network;
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn only_a_direct_loopback_peer_is_exempt_and_only_where_it_may_be() {
        for (proxies, peer, exempt) in [
            (&[][..], "127.0.0.1", true),
            (&[], "::1", true),
            (&[], "::ffff:127.0.0.1", true),
            (&[], "192.168.1.1", false),
            (&["127.0.0.0/8"], "127.0.0.1", false),
            (&["10.0.0.0/8"], "10.0.0.1", false),
        ] {
            let forwarded: [&[u8]; 1] = [b"127.0.0.1"];
            for lines in [&[][..], &forwarded] {
                assert_eq!(addresses(proxies).client(ip(peer), lines).exempt, exempt, "{proxies:?} {peer}");
                let strict = Addresses { loopback_exempt: false, ..addresses(proxies) };
                assert!(!strict.client(ip(peer), lines).exempt);
            }
        }
    }

    proptest! {
        #[test]
        fn forged_headers_never_change_the_address_of_a_peer_that_is_not_trusted(
            peer in any::<IpAddr>(), lines in prop::collection::vec(any::<Vec<u8>>(), 0..4), forged in any::<IpAddr>(),
        ) {
            let behind = addresses(&["10.0.0.0/8"]);
            let forged = forged.to_string();
            let mut lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            lines.push(forged.as_bytes());
            prop_assume!(!behind.trusts(peer.to_canonical()));
            prop_assert_eq!(behind.client(peer, &lines), behind.client(peer, &[]));
        }

        /// Whatever stands left of what the trusted proxy wrote.
        #[test]
        fn what_a_client_writes_never_changes_what_a_trusted_proxy_says(
            real in any::<Ipv4Addr>(), forged in prop::collection::vec("[ -~]{0,40}", 0..4),
        ) {
            let behind = addresses(&["10.0.0.0/8"]);
            prop_assume!(!behind.trusts(real.into()));
            let written = format!("{}, {real}", forged.join(","));
            let lines: [&[u8]; 2] = [written.as_bytes(), b"10.1.1.1"];
            prop_assert_eq!(behind.client(ip("10.0.0.1"), &lines).network, Network(real.into()));
        }
    }
}
