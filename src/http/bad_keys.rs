//! Counts bad keys by address, in a table of fixed size.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The length of the window in which bad keys of an address are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// The number of sets of addresses, and the number of addresses in each.
const SET_COUNT: usize = 1024;
/// The number of addresses that share a place in the table.
const SET_SIZE: usize = 4;

/// The number of bad keys in a window, from all addresses, above which single ones are not logged.
const MAX_LOGGED: u32 = 300;

/// The bad keys of the last minute, by address.
pub struct BadKeys {
    limit: u32,
    hasher: RandomState,
    counts: Mutex<KeyCounts>,
}

/// The numbers of bad keys, by address and of all.
struct KeyCounts {
    by_address: Box<[[KeyCount; SET_SIZE]]>,
    /// The bad keys of all addresses.
    total: KeyCount,
}

/// The bad keys of one address, or of all, since a time.
#[derive(Clone, Copy, Default)]
struct KeyCount {
    address: Option<IpAddr>,
    since: Option<Instant>,
    seen: u32,
}

/// The treatment of a request with a bad key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeyVerdict {
    /// The time after which the next one is checked, if too many came from the address.
    pub retry_after: Option<Duration>,
    /// `true` if it is the first one too many.
    pub is_first: bool,
    /// `true` if it is logged: of a flood, single requests are not.
    pub is_logged: bool,
}

impl BadKeys {
    /// Allows this number of bad keys from an address in a minute.
    pub fn with_limit(limit: u32) -> Self {
        let by_address = vec![[KeyCount::default(); SET_SIZE]; SET_COUNT].into_boxed_slice();
        let counts = Mutex::new(KeyCounts { by_address, total: KeyCount::default() });
        Self { limit, hasher: RandomState::new(), counts }
    }

    /// Records a bad key from this address.
    pub fn record(&self, from: IpAddr, now: Instant) -> BadKeyVerdict {
        let from = network(from);
        let set = self.hasher.hash_one(from) as usize % SET_COUNT;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let KeyCounts { by_address, total } = &mut *counts;
        let is_flood = total.add(now) > MAX_LOGGED;
        let Some(places) = by_address.get_mut(set) else {
            return BadKeyVerdict { retry_after: None, is_first: false, is_logged: !is_flood };
        };
        let at = places.iter().position(|count| count.address == Some(from));
        // A stranger takes the place of whom there is the least to say of.
        let least = || places.iter().enumerate().min_by_key(|(_, count)| count.count_at(now));
        let at = at.or_else(|| least().map(|(at, _)| at)).unwrap_or_default();
        let count = &mut places[at];
        if count.address != Some(from) {
            *count = KeyCount { address: Some(from), ..KeyCount::default() };
        }
        let seen = count.add(now);
        let is_too_many = seen > self.limit;
        BadKeyVerdict {
            retry_after: is_too_many.then(|| count.remaining_time(now)),
            is_first: is_too_many && seen == self.limit + 1 && !is_flood,
            is_logged: !is_too_many && !is_flood,
        }
    }
}

impl KeyCount {
    fn count_at(&self, now: Instant) -> u32 {
        let is_over = self.since.is_none_or(|since| now.duration_since(since) >= WINDOW);
        if is_over { 0 } else { self.seen }
    }

    fn add(&mut self, now: Instant) -> u32 {
        let seen = self.count_at(now);
        if seen == 0 {
            self.since = Some(now);
        }
        self.seen = seen.saturating_add(1);
        self.seen
    }

    fn remaining_time(&self, now: Instant) -> Duration {
        self.since.map_or(WINDOW, |since| WINDOW.saturating_sub(now.duration_since(since)))
    }
}

/// Returns the network of an address: an owner of one IPv6 address has the 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_is_refused_after_so_many_until_the_minute_is_over() {
        let (keys, now) = (BadKeys::with_limit(3), Instant::now());
        let count = |from: &str, after: u64| {
            keys.record(from.parse().unwrap(), now + Duration::from_secs(after))
        };
        for after in [0, 10, 20] {
            assert_eq!(count("192.0.2.1", after).retry_after, None);
        }
        let refused = count("::ffff:192.0.2.1", 20);
        assert_eq!((refused.retry_after, refused.is_first), (Some(Duration::from_secs(40)), true));
        let refused = count("192.0.2.1", 59);
        assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
        assert!(!refused.is_first && !refused.is_logged);
        assert_eq!(count("192.0.2.2", 59).retry_after, None, "a neighbour");
        assert_eq!(count("192.0.2.1", 60).retry_after, None, "a new minute");
        for host in 1..=4 {
            let refused = count(&format!("2001:db8::{host}"), 0).retry_after.is_some();
            assert_eq!(refused, host == 4, "addresses of one network are one");
        }
    }

    #[test]
    fn a_flood_from_everywhere_takes_no_more_memory_and_is_not_logged() {
        let (keys, now) = (BadKeys::with_limit(3), Instant::now());
        let logged = (0..1_000_000)
            .filter(|number| keys.record(Ipv4Addr::from_bits(*number).into(), now).is_logged);
        assert_eq!(logged.count(), MAX_LOGGED as usize);
        // A caller that keeps trying keeps its place in the list.
        let stubborn: IpAddr = Ipv4Addr::new(203, 0, 113, 1).into();
        for number in 0..100_000 {
            keys.record(Ipv4Addr::from_bits(number).into(), now);
            if number % 100 == 0 {
                keys.record(stubborn, now);
            }
        }
        assert!(keys.record(stubborn, now).retry_after.is_some());
    }
}
