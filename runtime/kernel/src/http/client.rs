//! The address of the client, also behind proxies that we trust.

use super::ConfigError;
use axum::http::HeaderMap;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Once,
};

/// The other end of the connection; set by the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl FromStr for Network {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let error = || ConfigError {
            setting: "TRUSTED_PROXIES",
            reason: format!("`{text}` is not an address or network"),
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| error())?;
        let widest: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .trim()
                .parse()
                .ok()
                .filter(|prefix| *prefix <= widest)
                .ok_or_else(error)?,
            None => widest,
        };
        // Addresses are compared in their shortest form, so `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
        Ok(match (address.to_canonical(), prefix.checked_sub(96)) {
            (canonical, Some(prefix)) if canonical != address => Self {
                address: canonical,
                prefix,
            },
            _ => Self { address, prefix },
        })
    }
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Whether it was said that there may be a proxy of which we don't know.
static UNTRUSTED: Once = Once::new();

/// The right-most address of `X-Forwarded-For` that is not one of our proxies. Whatever a client puts into the header
/// itself stands to the left of it and is ignored.
pub fn address(peer: Option<Peer>, headers: &HeaderMap, proxies: &[Network]) -> Option<IpAddr> {
    let mut address = peer?.0.ip().to_canonical();
    if proxies.is_empty() {
        if headers.contains_key("x-forwarded-for") {
            // Said once, because anybody can send the header.
            UNTRUSTED.call_once(|| {
                tracing::warn!(
                    peer = %address,
                    "a request has X-Forwarded-For, but TRUSTED_PROXIES is not set: if it comes from a proxy of yours, all \
                     clients behind it share one limit"
                );
            });
        }
        return Some(address);
    }
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    // Handled as bytes: what a client wrote need not be valid text, and must not hide what our proxy added.
    let hops = values
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|hop| !hop.is_empty());
    for hop in hops {
        if !is_trusted(address, proxies) {
            break;
        }
        match parse_hop(hop) {
            Some(hop) => address = hop.to_canonical(),
            None => {
                // All clients behind this proxy share one bucket in this case; its configuration should be corrected.
                tracing::warn!(proxy = %address, "X-Forwarded-For holds something that is not an address");
                break;
            }
        }
    }
    Some(address)
}

/// Whether this is one of our proxies.
pub fn is_trusted(address: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// The key that everything is counted by: a /64 for IPv6, since one customer usually has a whole one.
pub fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// Parses one hop as proxies write it: an address, perhaps with a port, brackets, a zone or in quotes: `203.0.113.1`,
/// `203.0.113.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `"[2001:db8::1]:4711"`, `fe80::1%eth0`.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?;
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        address
    } else {
        match text.split_once(':') {
            // One colon: an IPv4 address and its port. More: an IPv6 address.
            Some((address, port)) if !port.contains(':') => {
                if !is_port(port) {
                    return None;
                }
                address
            }
            _ => text,
        }
    };
    let (address, _zone) = address.split_once('%').unwrap_or((address, ""));
    address.parse().ok()
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        address(
            Some(Peer(format!("{peer}:1").parse().unwrap())),
            &headers,
            &proxies,
        )
        .unwrap()
        .to_string()
    }

    #[test]
    fn only_proxies_are_believed() {
        assert_eq!(seen("198.51.100.7", &["203.0.113.1"]), "198.51.100.7");
        assert_eq!(seen("10.1.2.3", &["203.0.113.1"]), "203.0.113.1");
        assert_eq!(
            seen("10.1.2.3", &["1.1.1.1, 203.0.113.1", "10.9.9.9"]),
            "203.0.113.1"
        );
        assert_eq!(seen("10.1.2.3", &["nonsense"]), "10.1.2.3");
        assert_eq!(seen("[::ffff:10.1.2.3]", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn hops_are_read_as_proxies_write_them() {
        for (hop, address) in [
            ("203.0.113.1:4711", "203.0.113.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("\"203.0.113.1\"", "203.0.113.1"),
            ("::ffff:203.0.113.1", "203.0.113.1"),
            ("[::ffff:203.0.113.1]:80", "203.0.113.1"),
            ("fe80::1%eth0", "fe80::1"),
            ("203.0.113.1, ", "203.0.113.1"),
            ("1.1.1.1,203.0.113.1:1", "203.0.113.1"),
            ("203.0.113.1:1, [fd00::7]:443, 10.9.9.9:80", "203.0.113.1"),
        ] {
            assert_eq!(seen("10.1.2.3", &[hop]), address, "{hop}");
        }
        for hop in [
            "unknown",
            "_hidden",
            "203.0.113.1:",
            "203.0.113.1:x",
            "203.0.113.1:70000",
            "[2001:db8::1",
            "[2001:db8::1]4711",
            "[203.0.113.1",
            "203.0.113.256",
        ] {
            assert_eq!(seen("10.1.2.3", &[hop]), "10.1.2.3", "{hop}");
        }
    }

    #[test]
    fn what_a_stranger_wrote_does_not_hide_what_our_proxy_added() {
        let mut headers = HeaderMap::new();
        let value = axum::http::HeaderValue::from_bytes(b"\xff\xfe, 203.0.113.9").unwrap();
        headers.append("x-forwarded-for", value);
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let peer = Peer("10.1.2.3:1".parse().unwrap());
        let seen = address(Some(peer), &headers, &proxies).unwrap();
        assert_eq!(seen.to_string(), "203.0.113.9");
    }

    #[test]
    fn networks_are_read_strictly() {
        let mapped: Network = "::ffff:10.0.0.0/104".parse().unwrap();
        assert!(mapped.contains("10.200.0.1".parse().unwrap()));
        assert!(!mapped.contains("11.0.0.1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains("8.8.8.8".parse().unwrap())
        );
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert!("proxy.test".parse::<Network>().is_err());
    }

    #[test]
    fn neighbours_in_one_v6_network_share_a_bucket() {
        assert_eq!(
            bucket("2001:db8::1".parse().unwrap()),
            bucket("2001:db8::ffff".parse().unwrap())
        );
        assert_ne!(
            bucket("2001:db8:0:1::1".parse().unwrap()),
            bucket("2001:db8::1".parse().unwrap())
        );
        // In whichever form the listener reports it.
        assert_eq!(
            bucket("::ffff:192.0.2.1".parse().unwrap()),
            bucket("192.0.2.1".parse().unwrap())
        );
    }
}
