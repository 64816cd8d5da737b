//! How often an address may ask, and how often it may be wrong about its right to ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::gate::peer::Origin;

/// Requests that an address beyond this machine may send at once, and then each second. A dashboard that fills its
/// gaps sends some dozens.
const REQUESTS: Allowance = Allowance { at_once: 500.0, each_second: 100.0 };

/// Wrong tokens that an address may try at once, and then each second.
const MISTAKES: Allowance = Allowance { at_once: 20.0, each_second: 0.2 };

/// Addresses that are counted at a time.
const ADDRESSES_MAX: usize = 4096;

struct Allowance {
    at_once: f64,
    each_second: f64,
}

/// What is left to each address; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Rates {
    requests: Arc<Mutex<HashMap<Origin, Bucket>>>,
    mistakes: Arc<Mutex<HashMap<Origin, Bucket>>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// How long an address should wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted(pub(crate) Duration);

impl Rates {
    /// Counts a request. This machine's own are not counted: its hooks come in thousands.
    pub(crate) fn request(&self, origin: Origin, now: Instant) -> Result<(), Exhausted> {
        if origin == Origin::Loopback { Ok(()) } else { take(&self.requests, &REQUESTS, origin, now) }
    }

    /// Counts a wrong token.
    pub(crate) fn mistake(&self, origin: Origin, now: Instant) -> Result<(), Exhausted> {
        take(&self.mistakes, &MISTAKES, origin, now)
    }
}

fn take(
    buckets: &Mutex<HashMap<Origin, Bucket>>,
    allowance: &Allowance,
    origin: Origin,
    now: Instant,
) -> Result<(), Exhausted> {
    let filled = |bucket: &Bucket| {
        let since = now.duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * allowance.each_second).min(allowance.at_once)
    };
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&origin) {
        // Whoever has all that it may have again need not be remembered. If nobody has, many addresses press at
        // once: they begin anew together.
        buckets.retain(|_, bucket| filled(bucket) < allowance.at_once);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.clear();
        }
    }
    let bucket = buckets.entry(origin).or_insert(Bucket { left: allowance.at_once, at: now });
    *bucket = Bucket { left: filled(bucket), at: now };
    if bucket.left < 1.0 {
        return Err(Exhausted(Duration::from_secs_f64((1.0 - bucket.left) / allowance.each_second)));
    }
    bucket.left -= 1.0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::peer::{Peer, User};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    const STRANGER: Origin = Origin::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn origin(address: impl Into<IpAddr>, user: User) -> Origin {
        Peer { address: (address.into(), 4000).into(), is_https: false, user, owner: user }.origin()
    }

    fn granted(rates: &Rates, origin: Origin, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| rates.request(origin, now).is_ok()).count()
    }

    #[test]
    fn an_address_gets_its_share_and_a_little_more_each_second() {
        let (rates, now) = (Rates::default(), Instant::now());
        assert_eq!(granted(&rates, STRANGER, now, 2000), 500);
        assert_eq!(granted(&rates, STRANGER, now + Duration::from_secs(2), 2000), 200);
        assert_eq!(
            rates.request(STRANGER, now + Duration::from_secs(2)),
            Err(Exhausted(Duration::from_millis(10)))
        );
        assert_eq!(
            granted(&rates, STRANGER, now + Duration::from_secs(3600), 2000),
            500,
            "it does not add up"
        );
    }

    #[test]
    fn one_sender_does_not_use_up_another_s_share_and_this_user_has_no_limit() {
        let (rates, now) = (Rates::default(), Instant::now());
        assert_eq!(granted(&rates, STRANGER, now, 2000), 500);
        assert_eq!(granted(&rates, origin(Ipv4Addr::new(192, 0, 2, 8), User::Untold), now, 2000), 500);
        for user in [User::Own, User::Untold] {
            assert_eq!(granted(&rates, origin(Ipv4Addr::LOCALHOST, user), now, 20_000), 20_000);
            assert_eq!(granted(&rates, origin(Ipv6Addr::LOCALHOST, user), now, 20_000), 20_000);
        }
        assert_eq!(granted(&rates, origin(Ipv4Addr::LOCALHOST, User::Other), now, 2000), 500);
        assert_eq!(
            granted(&rates, origin(Ipv6Addr::LOCALHOST, User::Other), now, 2000),
            0,
            "all of them together"
        );
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one_and_the_memory_is_bounded() {
        let (rates, now) = (Rates::default(), Instant::now());
        let network = |last: u16| origin(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last), User::Untold);
        assert_eq!((0..2000).filter(|&last| rates.request(network(last), now).is_ok()).count(), 500);
        for last in 0..3 * ADDRESSES_MAX as u32 {
            let _ = rates.mistake(Origin::V4(Ipv4Addr::from(last)), now);
        }
        assert!(rates.mistakes.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
