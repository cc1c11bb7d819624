//! The memory budget for bodies of requests, and for answers that wait to be sent.
//!
//! A caller may hold twice as much as is left over, and all callers of one API key together four
//! times as much (dynamic thresholds: A. K. Choudhury and E. L. Hahne, "Dynamic queue length
//! thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking 6(2), 1998).
//! So a caller alone gets two thirds of the budget, and there is always room for one more.

use super::{error::HttpError, sender::Sender};
use actix_web::http::StatusCode;
use pipe_sdk::CallerId;
use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The share of a caller, as a multiple of the memory that is left over.
const CALLER_FACTOR: usize = 2;

/// The share of all callers of one key together, as a multiple of the memory that is left over.
const KEY_FACTOR: usize = 4;

/// The memory budget of all requests. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: usize,
    charges: Mutex<Charges>,
}

/// The bytes that are held, in all and by whom.
#[derive(Debug, Default)]
struct Charges {
    total: usize,
    by_key: HashMap<Option<Arc<str>>, usize>,
    by_caller: HashMap<CallerId, usize>,
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    sender: Sender,
    size: usize,
}

impl MemoryBudget {
    /// Returns a budget of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Budget { limit, charges: Mutex::default() }))
    }

    /// Returns the bytes that are charged at this moment.
    pub fn used(&self) -> usize {
        self.0.lock_charges().total
    }

    /// Returns the largest share that there can be, in bytes.
    pub fn largest_share(&self) -> usize {
        self.0.limit / (CALLER_FACTOR + 1) * CALLER_FACTOR
    }

    /// Returns an empty share for this sender.
    pub fn share(&self, sender: Sender) -> Share {
        Share { budget: Arc::clone(&self.0), sender, size: 0 }
    }
}

impl Budget {
    fn lock_charges(&self) -> MutexGuard<'_, Charges> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charges {
    /// Returns whether this sender may hold so many more bytes.
    fn has_room(&self, limit: usize, sender: &Sender, more: usize) -> bool {
        let held_by_key = self.by_key.get(&sender.key).copied().unwrap_or_default();
        let held_by_caller = self.by_caller.get(&sender.caller).copied().unwrap_or_default();
        let left = limit.saturating_sub(self.total.saturating_add(more));
        held_by_caller + more <= left * CALLER_FACTOR && held_by_key + more <= left * KEY_FACTOR
    }

    fn add(&mut self, sender: &Sender, more: usize) {
        self.total += more;
        *self.by_key.entry(sender.key.clone()).or_default() += more;
        *self.by_caller.entry(sender.caller).or_default() += more;
    }

    fn remove(&mut self, sender: &Sender, less: usize) {
        self.total -= less;
        subtract(self.by_key.entry(sender.key.clone()), less);
        subtract(self.by_caller.entry(sender.caller), less);
    }
}

/// Subtracts from an entry, and removes it when nothing is left.
fn subtract<K: Eq + Hash>(entry: Entry<'_, K, usize>, less: usize) {
    if let Entry::Occupied(mut held) = entry {
        *held.get_mut() -= less;
        if *held.get() == 0 {
            held.remove();
        }
    }
}

impl Share {
    /// Returns the caller that it belongs to.
    pub fn caller(&self) -> CallerId {
        self.sender.caller
    }

    /// Checks that there is room for so many more bytes, and takes none of it.
    ///
    /// # Errors
    /// Status 429 if there is not.
    pub fn check_room(&self, more: usize) -> Result<(), HttpError> {
        let has_room = self.budget.lock_charges().has_room(self.budget.limit, &self.sender, more);
        if has_room { Ok(()) } else { Err(exhausted_error()) }
    }

    /// Takes so many more bytes.
    ///
    /// # Errors
    /// Status 429 if there is no room for them.
    pub fn grow(&mut self, more: usize) -> Result<(), HttpError> {
        let mut charges = self.budget.lock_charges();
        if !charges.has_room(self.budget.limit, &self.sender, more) {
            return Err(exhausted_error());
        }
        charges.add(&self.sender, more);
        self.size += more;
        Ok(())
    }

    /// Sets the share to what is held already, whether there is room for it or not: the sender's
    /// next requests have that much less.
    pub fn set(&mut self, size: usize) {
        let mut charges = self.budget.lock_charges();
        charges.remove(&self.sender, self.size);
        if size > 0 {
            charges.add(&self.sender, size);
        }
        self.size = size;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.size > 0 {
            self.budget.lock_charges().remove(&self.sender, self.size);
        }
    }
}

fn exhausted_error() -> HttpError {
    let message = "the bodies of your requests, and answers that you have not read, take as much \
                   memory as they may (--max-bodies-mib): send the request again in a few seconds";
    let error = HttpError::new(StatusCode::TOO_MANY_REQUESTS, message).code("bodies_exhausted");
    error.retry_after(Some(Duration::from_secs(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(key: Option<&str>, caller: &str) -> Sender {
        Sender { key: key.map(Arc::from), caller: CallerId::from_name(&caller) }
    }

    /// Takes all that this sender may have, a byte at a time.
    fn fill(budget: &MemoryBudget, sender: &Sender) -> Share {
        let mut share = budget.share(sender.clone());
        while share.grow(1).is_ok() {}
        share
    }

    #[test]
    fn a_caller_leaves_room_for_others() {
        let budget = MemoryBudget::new(1200);
        let (alice, bob) = (sender(None, "alice"), sender(None, "bob"));
        let held = fill(&budget, &alice);
        assert_eq!(held.size, budget.largest_share());
        // A second share of the same caller gets nothing.
        assert_eq!(fill(&budget, &alice).size, 0);
        assert_eq!(fill(&budget, &bob).size, 160);
        drop(held);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_callers_of_a_key_leave_room_for_other_keys() {
        let budget = MemoryBudget::new(1200);
        let callers: Vec<_> = (0..100).map(|n| sender(Some("ci"), &n.to_string())).collect();
        let held: Vec<_> = callers.iter().map(|caller| fill(&budget, caller)).collect();
        assert_eq!(budget.used(), 960);
        assert_eq!(fill(&budget, &sender(None, "admin")).size, 160);
        drop(held);
        let charges = budget.0.lock_charges();
        assert!(charges.by_key.is_empty() && charges.by_caller.is_empty());
    }

    #[test]
    fn what_is_held_already_counts() {
        let budget = MemoryBudget::new(1200);
        let alice = sender(None, "alice");
        let mut answer = budget.share(alice.clone());
        answer.set(5000);
        assert_eq!((budget.used(), fill(&budget, &alice).size), (5000, 0));
        answer.set(100);
        assert_eq!((budget.used(), fill(&budget, &alice).size), (100, 700));
    }
}
