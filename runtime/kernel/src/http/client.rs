//! The address of the client, also behind proxies, and only those we trust.

use super::ConfigError;
use axum::http::HeaderMap;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
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
            setting: "trusted proxies",
            reason: format!("`{text}` is not an address or network"),
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| error())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .trim()
                .parse()
                .ok()
                .filter(|prefix| *prefix <= widest)
                .ok_or_else(error)?,
            None => widest,
        };
        Ok(Self { address, prefix })
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

/// The right-most address of `X-Forwarded-For` that is not one of our proxies. What a stranger puts
/// into the header stands to the left of it and is never believed.
pub fn address(peer: Option<Peer>, headers: &HeaderMap, proxies: &[Network]) -> Option<IpAddr> {
    let mut address = peer?.0.ip().to_canonical();
    if proxies.is_empty() {
        return Some(address);
    }
    let trusted = |address| proxies.iter().any(|network| network.contains(address));
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = values
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','));
    for hop in hops {
        if !trusted(address) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(hop) => address = hop.to_canonical(),
            Err(_) => break,
        }
    }
    Some(address)
}

/// By what anything is counted: one customer usually holds a whole /64.
pub fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
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
    fn networks_are_read_strictly() {
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
        // However the listener shows it.
        assert_eq!(
            bucket("::ffff:192.0.2.1".parse().unwrap()),
            bucket("192.0.2.1".parse().unwrap())
        );
    }
}
