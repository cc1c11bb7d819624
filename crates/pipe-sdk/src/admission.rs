//! What one request has taken from limits, for itself and for all that pipes ask of other models on its way.

use crate::{Charge, DemandKind, Exceeded, Ledger, Result};
use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What one request has taken from limits, for itself and for all that pipes ask of other models on its way.
///
/// It lives as long as anybody works for the request, until what that cost has been booked. When it is dropped, what it has reserved
/// is released.
#[derive(Default)]
pub struct Admission {
    is_exempt: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The models that filters have let pass, and for what.
    passed: Vec<(String, DemandKind)>,
    /// How much of each key was taken or reserved.
    taken: HashMap<String, u64>,
    reservation: Option<(String, Arc<dyn Ledger>)>,
}

impl Admission {
    /// For what the host does of its own accord: no filter is asked.
    pub(crate) fn exempt() -> Self {
        Self { is_exempt: true, state: Mutex::default() }
    }

    /// Whether this is what the host does of its own accord.
    pub fn is_exempt(&self) -> bool {
        self.is_exempt
    }

    /// Whether filters have let this model pass already.
    pub fn has_passed(&self, model: &str, kind: DemandKind) -> bool {
        self.is_exempt
            || self.state().passed.iter().any(|(passed, k)| passed == model && *k == kind)
    }

    /// Keeps that filters have let this model pass.
    pub fn set_passed(&self, model: &str, kind: DemandKind) {
        self.state().passed.push((model.into(), kind));
    }

    /// Takes all of this, or nothing: the answer is then the take that has too little left. What the request has taken of a key already is
    /// not taken again, and of what it has reserved only what is missing.
    pub async fn take(
        &self,
        ledger: Arc<dyn Ledger>,
        charges: Vec<Charge>,
    ) -> Result<Option<Exceeded>> {
        let (places, charges) = self.missing(charges);
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

    /// What is still to be taken, and where each of it stands among all.
    fn missing(&self, charges: Vec<Charge>) -> (Vec<usize>, Vec<Charge>) {
        let state = self.state();
        let missing = charges.into_iter().enumerate().filter_map(|(place, take)| {
            let Some(taken) = state.taken.get(&take.key) else { return Some((place, take)) };
            let reserved = take.reserved.saturating_sub(*taken);
            (take.amount == 0 && reserved > 0).then_some((place, Charge { reserved, ..take }))
        });
        missing.unzip()
    }

    /// Who reserves this. It is kept before anything is reserved, so that a client that leaves meanwhile leaves nothing behind.
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
