//! Measures how long it takes to ask two limits, on both engines: `cargo bench -p
//! pipewright-store`. The disk's promises are kept.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measure is printed, and may fail by panicking"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::{Charge, Store, StoreSettings, UsageRow, testing::Server};
use tokio::task::JoinSet;

const ROUNDS: usize = 4000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = StoreSettings { folder: folder.path().into(), ..StoreSettings::default() };
    measure("SQLite", &embedded).await;
    let Some(server) = Server::durable() else { return };
    let database_url = Some(server.database().await.unwrap());
    measure("PostgreSQL", &StoreSettings { database_url, ..StoreSettings::default() }).await;
}

async fn measure(engine: &str, settings: &StoreSettings) {
    let store = Arc::new(Store::open(settings).await.unwrap());
    for askers in [1, 32] {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for asker in 0..askers {
            let store = Arc::clone(&store);
            tasks.spawn(async move { ask(&store, asker, ROUNDS / askers).await });
        }
        let mut times = tasks.join_all().await.concat();
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        times.sort();
        let [middle, late] = [50, 99].map(|percent| times[times.len() * percent / 100]);
        println!(
            "{engine:10} {askers:2} at once: p50 {middle:>9.1?}  p99 {late:>9.1?}  {rate:.0}/s"
        );
    }
    assert_eq!(store.limits().unchecked_admissions(), 0);
    let begun = Instant::now();
    for at in 0..20_000 {
        store.usage().record(UsageRow { at, ..UsageRow::default() });
    }
    let recorded = begun.elapsed() / 20_000;
    assert!(store.usage().flush(Duration::from_secs(60)).await);
    let rate = 20_000.0 / begun.elapsed().as_secs_f64();
    println!("{engine:10} usage: {recorded:?} to record, {rate:.0} rows/s written");
}

async fn ask(store: &Store, asker: usize, rounds: usize) -> Vec<Duration> {
    let user = format!("user:{}", asker % 8);
    let take = |key: &str, window| Charge::sliding(key, window, 1 << 40, 1);
    let charges =
        [take(&user, Duration::from_secs(60)), take("everybody", Duration::from_secs(86_400))];
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        store.limits().admit(&charges).await.unwrap();
        times.push(begun.elapsed());
    }
    times
}
