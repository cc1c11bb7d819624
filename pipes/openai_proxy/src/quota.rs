//! How many questions a minute each person may ask.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// What each person has asked in the last minute.
#[derive(Debug)]
pub(crate) struct Quota {
    most: usize,
    asked: Mutex<HashMap<String, VecDeque<Instant>>>,
}

const MINUTE: Duration = Duration::from_secs(60);

/// When more people than these are remembered, those are forgotten who have asked nothing lately.
const MANY: usize = 1000;

impl Quota {
    /// So many questions a minute; 0: any number.
    pub fn new(most: u32) -> Self {
        Self { most: most as usize, asked: Mutex::default() }
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Counts a question of this person, or says how long to wait.
    pub fn ask(&self, who: &str) -> Result<(), Duration> {
        if self.most == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() > MANY {
            asked.retain(|_, times| times.back().is_some_and(|last| now - *last < MINUTE));
        }
        let times = asked.entry(who.to_owned()).or_default();
        while times.front().is_some_and(|first| now - *first >= MINUTE) {
            times.pop_front();
        }
        if let Some(first) = times.front().filter(|_| times.len() >= self.most) {
            return Err(*first + MINUTE - now);
        }
        times.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn each_person_has_so_many_in_any_minute() {
        let quota = Quota::new(2);
        quota.ask("a").unwrap();
        advance(Duration::from_secs(20)).await;
        quota.ask("a").unwrap();
        assert_eq!(quota.ask("a"), Err(Duration::from_secs(40)));
        quota.ask("b").unwrap();
        advance(Duration::from_secs(40)).await;
        quota.ask("a").unwrap();
        assert_eq!(quota.ask("a"), Err(Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_number_there_is_no_limit() {
        assert!((0..1000).all(|_| Quota::new(0).ask("a").is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn people_who_have_left_are_forgotten() {
        let quota = Quota::new(1);
        (0..=MANY).for_each(|n| quota.ask(&n.to_string()).unwrap());
        advance(MINUTE).await;
        quota.ask("a").unwrap();
        assert_eq!(quota.asked.lock().unwrap().len(), 1);
    }
}
