//! Counts equal answers.

use super::{extract::extract_answer, value::AnswerValue};
use std::collections::HashSet;

/// Votes for final answers. Texts without one that can be compared have no vote.
#[derive(Clone, Debug, Default)]
pub(crate) struct VoteTally {
    groups: Vec<VoteGroup>,
}

/// The texts whose final answers are the same.
#[derive(Clone, Debug)]
struct VoteGroup {
    value: AnswerValue,
    /// The numbers of the texts.
    members: Vec<usize>,
    weight: f64,
}

impl VoteTally {
    /// Returns the votes of these texts.
    pub fn from_texts<S: AsRef<str>>(texts: &[S]) -> Self {
        let mut tally = Self::default();
        for (number, text) in texts.iter().enumerate() {
            tally.add_vote(number, text.as_ref(), 1.0);
        }
        tally
    }

    /// Counts the vote of a text and returns whether it has one.
    pub fn add_vote(&mut self, number: usize, text: &str, weight: f64) -> bool {
        let Some(value) = extract_answer(text) else { return false };
        let group = self.groups.iter_mut().find(|group| group.value.is_same(&value));
        match group {
            Some(group) => {
                group.members.push(number);
                group.weight += weight;
            }
            None => self.groups.push(VoteGroup { value, members: vec![number], weight }),
        }
        true
    }

    /// Returns the texts with the most frequent answer, the first one if several are equally
    /// frequent.
    pub fn winners(&self) -> &[usize] {
        let best = self.groups.iter().map(|group| group.weight).fold(0.0, f64::max);
        let first = self.groups.iter().find(|group| group.weight >= best);
        first.map_or(&[], |group| &group.members)
    }

    /// Returns the size of the largest group of texts that agree.
    pub fn winner_count(&self) -> usize {
        self.winners().len()
    }

    /// Returns the number of texts that agree with this one, itself included.
    pub fn support(&self, number: usize) -> usize {
        let group = self.groups.iter().find(|group| group.members.contains(&number));
        group.map_or(0, |group| group.members.len())
    }

    /// Returns `true` if the leading answer stays in the lead, however the remaining votes go.
    pub fn is_decided(&self, remaining: usize) -> bool {
        let mut counts: Vec<_> = self.groups.iter().map(|group| group.members.len()).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let second = counts.get(1).copied().unwrap_or_default();
        counts.first().is_some_and(|first| first - second > remaining)
    }
}

/// Returns the text that is most similar to the others by its words, for texts that cannot vote.
pub(crate) fn find_most_central<S: AsRef<str>>(texts: &[S]) -> Option<usize> {
    let words = |text: &S| -> HashSet<String> {
        let text = text.as_ref().to_lowercase();
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .take(5000)
            .map(str::to_owned)
            .collect()
    };
    let words: Vec<_> = texts.iter().map(words).collect();
    let likeness = |one: &HashSet<String>, other: &HashSet<String>| {
        let both = one.intersection(other).count() as f64;
        both / (one.len() + other.len()).max(1) as f64
    };
    let sums = words.iter().map(|one| words.iter().map(|other| likeness(one, other)).sum::<f64>());
    // The first of equals.
    let best =
        sums.enumerate().fold(None, |best: Option<(usize, f64)>, (number, sum)| match best {
            Some((_, most)) if most >= sum => best,
            _ => Some((number, sum)),
        });
    best.map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_of_five_win_although_all_texts_look_alike() {
        let texts = [
            "The answer is 41.",
            "The answer is 42.",
            "The answer is 42.",
            "The answer is 42.",
            "The answer is 42.",
        ];
        assert_eq!(VoteTally::from_texts(&texts).winners(), [1, 2, 3, 4]);
    }

    #[test]
    fn derivations_win_although_no_two_look_alike() {
        let texts = [
            "By guessing one gets 17.\nThe answer is 17",
            "Six sevens are forty-two.\n\\boxed{42}",
            "## Step 1\nMultiply.\n## Step 2\n6 x 7 = 42",
            "Let x be the product. Then x is seven times six.\n**Answer: 42.0**",
            "84/2 is what is asked for.\nSo it comes to 42 in the end.",
        ];
        assert_eq!(VoteTally::from_texts(&texts).winners(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_half_is_a_half_and_a_one() {
        let texts = ["Answer: 7/7", "Answer: 0.5", "Answer: 1/2", "Answer: 0.50"];
        assert_eq!(VoteTally::from_texts(&texts).winners(), [1, 2, 3]);
    }

    #[test]
    fn a_lead_is_decided_when_nobody_can_catch_up() {
        let tally = VoteTally::from_texts(&["Answer: 1", "Answer: 1", "Answer: 1", "Answer: 2"]);
        assert!(tally.is_decided(1));
        assert!(!tally.is_decided(2));
        assert!(!VoteTally::default().is_decided(0));
    }

    #[test]
    fn prose_is_chosen_by_what_most_of_it_says() {
        let texts =
            ["bananas are blue and square", "the sky is blue by day", "the sky is blue in the day"];
        assert_ne!(find_most_central(&texts), Some(0));
    }
}
