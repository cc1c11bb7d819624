//! Ranking metrics and latencies.

use std::collections::HashMap;
use std::time::Duration;

/// The sums over the queries of a collection.
#[derive(Default)]
pub struct MetricSums {
    questions: usize,
    ndcg: f64,
    recall: f64,
    reciprocal: f64,
    latencies: Vec<Duration>,
}

/// The means over the queries of a collection.
#[derive(Clone, Copy)]
pub struct MetricMeans {
    pub ndcg: f64,
    pub recall: f64,
    pub mrr: f64,
    pub p50: f64,
    pub p95: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
impl MetricSums {
    /// Adds one query's ranking of documents.
    pub fn add(&mut self, ranking: &[String], grades: &HashMap<String, f64>, latency: Duration) {
        let gain = |(at, grade): (usize, f64)| grade / (at as f64 + 2.0).log2();
        let grade = |id: &String| grades.get(id).copied().unwrap_or_default();
        let mut ideal: Vec<f64> = grades.values().copied().collect();
        ideal.sort_by(|left, right| right.total_cmp(left));
        let best: f64 = ideal.into_iter().take(10).enumerate().map(gain).sum();
        self.questions += 1;
        self.ndcg += ranking.iter().take(10).map(grade).enumerate().map(gain).sum::<f64>() / best;
        self.recall += ranking.iter().take(10).filter(|id| grades.contains_key(*id)).count() as f64
            / grades.len() as f64;
        self.reciprocal += ranking
            .iter()
            .position(|id| grades.contains_key(id))
            .map_or(0.0, |at| 1.0 / (at as f64 + 1.0));
        self.latencies.push(latency);
    }

    /// Returns the means over all questions.
    pub fn means(mut self) -> MetricMeans {
        let questions = self.questions as f64;
        self.latencies.sort_unstable();
        let (p50, p95) = (percentile(&self.latencies, 50), percentile(&self.latencies, 95));
        MetricMeans {
            ndcg: self.ndcg / questions,
            recall: self.recall / questions,
            mrr: self.reciprocal / questions,
            p50,
            p95,
        }
    }
}

/// Returns a percentile of sorted durations, in milliseconds.
pub fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
}
