//! Questions with one right answer.

use anyhow::Context;
use serde::Deserialize;
use std::{fs, path::Path};

/// A question, and its answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// The question.
    pub question: String,
    /// The right answer.
    pub answer: String,
}

/// Reads the tasks of a file, one a line.
///
/// # Errors
/// If the file cannot be read, or a line is no task.
pub fn read(file: &Path) -> anyhow::Result<Vec<Task>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty()).zip(1..);
    let task = |(line, number)| {
        serde_json::from_str(line).with_context(|| format!("line {number} is no task"))
    };
    lines.map(task).collect()
}

/// Generates tasks: sums of two steps, and multiple choice.
pub fn generate_tasks(count: usize, seed: u64) -> Vec<Task> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let task = |number: usize| {
        let (one, two, three) = (chance.u32(2..20), chance.u32(2..10), chance.u32(1..30));
        let right = one * two + three;
        if number.is_multiple_of(2) {
            let question = format!(
                "A box holds {one} bags with {two} apples each, and {three} apples lie beside it. How many apples are there? End with a line \
                 of the form \"Answer: <number>\"."
            );
            return Task { question, answer: right.to_string() };
        }
        let place = chance.usize(0..4);
        let others = [right + two, right.saturating_sub(one), one + two + three];
        let mut others = others.iter();
        let options = ["A", "B", "C", "D"].iter().enumerate().map(|(at, letter)| {
            let value = if at == place { right } else { others.next().map_or(0, |other| *other) };
            format!("{letter}) {value}")
        });
        let options = options.collect::<Vec<_>>().join("\n");
        let question = format!(
            "What is {one} * {two} + {three}?\n{options}\nEnd with a line of the form \"Answer: <letter>\"."
        );
        let answer = ["A", "B", "C", "D"].get(place).copied().unwrap_or_default().to_owned();
        Task { question, answer }
    };
    (0..count).map(task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_tasks_are_the_same_for_the_same_seed_and_have_their_answer_among_the_options() {
        let (one, other) = (generate_tasks(20, 7), generate_tasks(20, 7));
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one.question, other.question);
        }
        assert!(
            one.iter()
                .skip(1)
                .step_by(2)
                .all(|task| task.question.contains(&format!("{})", task.answer)))
        );
    }
}
