//! A map of values that callers have while they use them.

use crate::CallerId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// A map with a value for each caller that uses one at the moment.
#[derive(Debug)]
pub struct CallerMap<T>(Mutex<HashMap<CallerId, Weak<T>>>);

impl<T> Default for CallerMap<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> CallerMap<T> {
    /// Returns the value of a caller; a new one if nobody holds it. It stays in the map as long as
    /// somebody holds it.
    pub fn get_or_insert_with(&self, caller: CallerId, new: impl FnOnce() -> T) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = values.get(&caller).and_then(Weak::upgrade) {
            return value;
        }
        values.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(new());
        values.insert(caller, Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_as_long_as_it_is_held() {
        let map = CallerMap::default();
        let [first, second] = ["first", "second"].map(|name| CallerId::from_name(&name));
        let held = map.get_or_insert_with(first, || 1);
        assert_eq!(*map.get_or_insert_with(first, || 2), 1);
        assert_eq!(*map.get_or_insert_with(second, || 3), 3);
        drop(held);
        assert_eq!(*map.get_or_insert_with(first, || 4), 4);
        assert_eq!(map.0.lock().unwrap().len(), 1, "values that nobody holds are removed");
    }
}
