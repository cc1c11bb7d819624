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
const SETS: usize = 1024;
const PLACES: usize = 4;

/// The number of bad keys in a window, from all addresses, above which single ones are not logged.
const LOGGED: u32 = 300;

/// The bad keys of the last minute, by address.
pub struct BadKeys {
    most: u32,
    hasher: RandomState,
    counts: Mutex<Counts>,
}

struct Counts {
    by_address: Box<[[Count; PLACES]]>,
    all: Count,
}

/// The bad keys of one address since a time.
#[derive(Clone, Copy, Default)]
struct Count {
    of: Option<IpAddr>,
    since: Option<Instant>,
    seen: u32,
}

/// The treatment of a request with a bad key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// The time after which the next one is checked, if too many came from the address.
    pub retry_after: Option<Duration>,
    /// `true` if it is the first one too many.
    pub is_first: bool,
    /// `true` if it is logged: of a flood, single requests are not.
    pub is_logged: bool,
}

impl BadKeys {
    /// Allows this number of bad keys from an address in a minute.
    pub fn up_to(most: u32) -> Self {
        let by_address = vec![[Count::default(); PLACES]; SETS].into_boxed_slice();
        let counts = Mutex::new(Counts { by_address, all: Count::default() });
        Self { most, hasher: RandomState::new(), counts }
    }

    /// Records a bad key from this address.
    pub fn count(&self, from: IpAddr, now: Instant) -> Consequence {
        let from = network(from);
        let set = self.hasher.hash_one(from) as usize % SETS;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { by_address, all } = &mut *counts;
        let flood = all.add(now) > LOGGED;
        let Some(places) = by_address.get_mut(set) else {
            return Consequence { retry_after: None, is_first: false, is_logged: !flood };
        };
        let at = places.iter().position(|count| count.of == Some(from));
        // A stranger takes the place of whom there is the least to say of.
        let least = || places.iter().enumerate().min_by_key(|(_, count)| count.seen_at(now));
        let at = at.or_else(|| least().map(|(at, _)| at)).unwrap_or_default();
        let count = &mut places[at];
        if count.of != Some(from) {
            *count = Count { of: Some(from), ..Count::default() };
        }
        let seen = count.add(now);
        let is_too_many = seen > self.most;
        Consequence {
            retry_after: is_too_many.then(|| count.left(now)),
            is_first: is_too_many && seen == self.most + 1 && !flood,
            is_logged: !is_too_many && !flood,
        }
    }
}

impl Count {
    fn seen_at(&self, now: Instant) -> u32 {
        let is_over = self.since.is_none_or(|since| now.duration_since(since) >= WINDOW);
        if is_over { 0 } else { self.seen }
    }

    fn add(&mut self, now: Instant) -> u32 {
        let seen = self.seen_at(now);
        if seen == 0 {
            self.since = Some(now);
        }
        self.seen = seen.saturating_add(1);
        self.seen
    }

    fn left(&self, now: Instant) -> Duration {
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
        let (keys, now) = (BadKeys::up_to(3), Instant::now());
        let count = |from: &str, after: u64| {
            keys.count(from.parse().unwrap(), now + Duration::from_secs(after))
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
        let (keys, now) = (BadKeys::up_to(3), Instant::now());
        let logged = (0..1_000_000)
            .filter(|number| keys.count(Ipv4Addr::from_bits(*number).into(), now).is_logged);
        assert_eq!(logged.count(), LOGGED as usize);
        // One that goes on and on keeps its place among them.
        let stubborn: IpAddr = Ipv4Addr::new(203, 0, 113, 1).into();
        for number in 0..100_000 {
            keys.count(Ipv4Addr::from_bits(number).into(), now);
            if number % 100 == 0 {
                keys.count(stubborn, now);
            }
        }
        assert!(keys.count(stubborn, now).retry_after.is_some());
    }
}
