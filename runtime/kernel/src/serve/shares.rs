//! How many connections one address may hold, so that it can't take all of them.
//!
//! Behind one of our proxies, the peer is the proxy and holds the connections of everybody, so it is not counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Open connections by address; of IPv6 by /64 (see [`crate::http::client::bucket`]).
pub struct Shares {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection. Given back when dropped.
pub struct Share {
    shares: Arc<Shares>,
    address: IpAddr,
}

impl Shares {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            open: Mutex::default(),
        })
    }

    /// `None`: this address has as many connections as it may have.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Share {
            shares: self.clone(),
            address,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = (self.shares.open.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_and_gives_it_back() {
        let shares = Shares::new(2);
        let (one, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = shares.take(one).expect("the first");
        let _second = shares.take(one).expect("the second");
        assert!(shares.take(one).is_none());
        assert!(shares.take(other).is_some());
        drop(first);
        let _third = shares.take(one).expect("room again");
        assert!(shares.take(one).is_none());
        assert_eq!(shares.open.lock().unwrap().len(), 1, "nobody is remembered");
    }
}
