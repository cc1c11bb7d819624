//! The limits from which one request has taken, for itself and for all calls that pipes make on its
//! behalf.

use crate::{Charge, DemandKind, Exceeded, Ledger, Result};
use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The limits from which one request has taken, for itself and for all calls that pipes make on its
/// behalf.
///
/// It lives as long as anything works for the request, until its usage is booked. When it is
/// dropped, its reservation is released.
#[derive(Default)]
pub struct Admission {
    is_exempt: bool,
    state: Mutex<State>,
}

/// The admitted models, and the amounts that were taken for them.
#[derive(Default)]
struct State {
    /// The models that filters have admitted, with the kind of request.
    passed: Vec<(String, DemandKind)>,
    /// The amount of each key that was taken or reserved.
    taken: HashMap<String, u64>,
    reservation: Option<(String, Arc<dyn Ledger>)>,
}

impl Admission {
    /// Returns an admission for work of the host's own, which passes no filter.
    pub(crate) fn exempt() -> Self {
        Self { is_exempt: true, state: Mutex::default() }
    }

    /// Returns whether this is work of the host's own.
    pub fn is_exempt(&self) -> bool {
        self.is_exempt
    }

    /// Returns whether filters have admitted this model already.
    pub fn has_passed(&self, model: &str, kind: DemandKind) -> bool {
        self.is_exempt
            || self.state().passed.iter().any(|(passed, k)| passed == model && *k == kind)
    }

    /// Records that filters have admitted this model.
    pub fn set_passed(&self, model: &str, kind: DemandKind) {
        self.state().passed.push((model.into(), kind));
    }

    /// Takes all charges, or none: then it returns the one that exceeds its window. What the
    /// request has taken of a key already is not taken again, and of a reservation only what is
    /// missing.
    pub async fn take(
        &self,
        ledger: Arc<dyn Ledger>,
        charges: Vec<Charge>,
    ) -> Result<Option<Exceeded>> {
        let (places, charges) = self.find_missing(charges);
        if charges.is_empty() {
            return Ok(None);
        }
        let holder = self.holder(&charges, &ledger);
        let exceeded = ledger.take(charges.clone(), holder).await?;
        if let Some(exceeded) = exceeded {
            let index = places.get(exceeded.index).copied().unwrap_or_default();
            return Ok(Some(Exceeded { index, ..exceeded }));
        }
        let mut state = self.state();
        for Charge { key, amount, reserved, .. } in charges {
            *state.taken.entry(key).or_default() += amount + reserved;
        }
        Ok(None)
    }

    /// Returns the charges that are still to be taken, with the place of each among all.
    fn find_missing(&self, charges: Vec<Charge>) -> (Vec<usize>, Vec<Charge>) {
        let state = self.state();
        let missing = charges.into_iter().enumerate().filter_map(|(place, take)| {
            let Some(taken) = state.taken.get(&take.key) else { return Some((place, take)) };
            let reserved = take.reserved.saturating_sub(*taken);
            (take.amount == 0 && reserved > 0).then_some((place, Charge { reserved, ..take }))
        });
        missing.unzip()
    }

    /// Returns the holder of the reservation. It is stored before anything is reserved, so that a
    /// client that disconnects meanwhile leaves nothing reserved.
    fn holder(&self, charges: &[Charge], ledger: &Arc<dyn Ledger>) -> String {
        if charges.iter().all(|take| take.reserved == 0) {
            return String::new();
        }
        let mut state = self.state();
        let (holder, _) = state
            .reservation
            .get_or_insert_with(|| (uuid::Uuid::new_v4().simple().to_string(), Arc::clone(ledger)));
        holder.clone()
    }

    /// Locks the state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((holder, ledger)) = mem::take(&mut state.reservation) {
            ledger.release(holder);
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("is_exempt", &self.is_exempt).finish_non_exhaustive()
    }
}
