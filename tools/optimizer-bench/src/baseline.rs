//! The baseline of an approach: a vote among as many plain answers as cost the same tokens.

/// A plain answer of the model.
pub struct Sample {
    /// The text.
    pub text: String,
    /// The tokens that were read and written for it.
    pub tokens: u64,
}

/// The plain answers to one task, and the right one.
pub struct SampledTask {
    /// The right answer.
    pub answer: String,
    /// The plain answers.
    pub samples: Vec<Sample>,
}

/// The number of times that samples are drawn, so that the result depends little on chance.
const DRAWS: usize = 200;

/// Returns the number of plain answers that cost so many tokens: one at least, and not more than
/// there are.
pub fn samples_for(tokens: f64, tasks: &[SampledTask]) -> usize {
    let samples = tasks.iter().flat_map(|task| &task.samples);
    let (sum, count) = samples.fold((0, 0u32), |(sum, count), one| (sum + one.tokens, count + 1));
    let mean = sum as f64 / f64::from(count.max(1));
    let most = tasks.iter().map(|task| task.samples.len()).min().unwrap_or_default();
    ((tokens / mean.max(1.0)).round() as usize).clamp(1, most.max(1))
}

/// Returns the share of tasks for which a vote among this number of plain answers is right.
pub fn vote_accuracy(tasks: &[SampledTask], count: usize, seed: u64) -> f64 {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut right = 0;
    for task in tasks {
        let groups = group_answers(task);
        let mut order: Vec<usize> = (0..groups.len()).collect();
        for _ in 0..DRAWS {
            chance.shuffle(&mut order);
            let drawn: Vec<_> = order.iter().take(count).filter_map(|at| groups.get(*at)).collect();
            // The first of equals, as it was drawn first.
            let winner = drawn
                .iter()
                .rev()
                .max_by_key(|(group, _)| drawn.iter().filter(|(other, _)| other == group).count());
            right += usize::from(winner.is_some_and(|(_, is_right)| *is_right));
        }
    }
    right as f64 / (tasks.len() * DRAWS).max(1) as f64
}

/// Returns for each plain answer the number of its group, and whether it is right.
fn group_answers(task: &SampledTask) -> Vec<(usize, bool)> {
    let (mut firsts, mut groups): (Vec<&str>, Vec<_>) = (Vec::new(), Vec::new());
    for Sample { text, .. } in &task.samples {
        let known = firsts.iter().position(|first| optimizer::is_same_answer(first, text));
        if known.is_none() {
            firsts.push(text);
        }
        let is_right = optimizer::is_same_answer(text, &task.answer);
        groups.push((known.unwrap_or(firsts.len() - 1), is_right));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(answers: &[&str]) -> SampledTask {
        let sample = |answer: &&str| Sample { text: format!("Answer: {answer}"), tokens: 50 };
        SampledTask { answer: "42".into(), samples: answers.iter().map(sample).collect() }
    }

    #[test]
    fn a_vote_of_all_takes_the_largest_group() {
        let tasks = [task(&["42", "1", "42.0", "2"]), task(&["7", "7", "42"])];
        assert_eq!(vote_accuracy(&tasks, 16, 1), 0.5);
        let single = vote_accuracy(&tasks, 1, 1);
        assert!((single - (0.5 + 1.0 / 3.0) / 2.0).abs() < 0.1, "{single}");
    }

    #[test]
    fn the_number_of_answers_follows_the_tokens() {
        let tasks = [task(&["1", "2", "3"])];
        assert_eq!(samples_for(10.0, &tasks), 1);
        assert_eq!(samples_for(104.0, &tasks), 2);
        assert_eq!(samples_for(9000.0, &tasks), 3);
    }
}
