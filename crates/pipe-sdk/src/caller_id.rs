//! An opaque id that tells callers apart and reveals nothing about them.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::LazyLock,
};

/// A number that distinguishes callers and reveals nothing else about them. The default is the host
/// itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(u64);

impl CallerId {
    /// Returns the number of the caller with this name. It differs after each start of the host.
    pub fn from_name(name: &impl Hash) -> Self {
        /// The random keys of the hash that numbers callers.
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEYS.hash_one(name))
    }
}
