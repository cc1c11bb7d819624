//! The shape of an answer, which the name of the model says.

use std::time::Duration;

/// The number of tokens in an answer, and the times at which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerShape {
    /// The number of tokens.
    pub tokens: u32,
    /// The time between two tokens. At zero, the whole answer is one write.
    pub gap: Duration,
    /// The time before the first token.
    pub first_wait: Duration,
    /// `true` if each token after the first one waits for a request to `/step`. A bench that asks
    /// for a step when it has received a token sees each token alone, however slow the server is.
    pub waits_for_steps: bool,
}

impl AnswerShape {
    /// Reads the shape out of a model's name: `mock-n200-g20-t50` has 200 tokens, 20 ms apart, the
    /// first after 50 ms; `mock-n200-s1` sends each one on request.
    pub fn from_model_name(name: &str) -> Self {
        let mut shape = Self {
            tokens: 200,
            gap: Duration::ZERO,
            first_wait: Duration::ZERO,
            waits_for_steps: false,
        };
        for part in name.split(['-', '.', ':']) {
            let mut letters = part.chars();
            let Some(letter) = letters.next() else { continue };
            let Ok(number) = letters.as_str().parse::<u32>() else { continue };
            match letter {
                'n' => shape.tokens = number,
                'g' => shape.gap = Duration::from_millis(number.into()),
                't' => shape.first_wait = Duration::from_millis(number.into()),
                's' => shape.waits_for_steps = number > 0,
                _ => {}
            }
        }
        shape
    }

    /// Returns whether the whole answer is sent at once.
    pub fn is_burst(&self) -> bool {
        self.gap.is_zero() && !self.waits_for_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_shape() {
        let shape = AnswerShape::from_model_name("gpt-mock-n20-g5-t100");
        assert_eq!((shape.tokens, shape.gap.as_millis()), (20, 5));
        assert_eq!((shape.first_wait.as_millis(), shape.is_burst()), (100, false));
        assert!(AnswerShape::from_model_name("mock-n1").is_burst());
        assert!(AnswerShape::from_model_name("mock-n200-s1").waits_for_steps);
    }
}
