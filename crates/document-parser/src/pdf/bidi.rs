//! Right-to-left text: PDFs place its letters from left to right as they are seen, and this module
//! puts them into the order in which they are read.

use std::ops::Range;
use unicode_normalization::UnicodeNormalization as _;

/// The direction in which a character is written.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    LeftToRight,
    RightToLeft,
    Digit,
    /// Spaces and punctuation, which take the direction of the text around them.
    Neutral,
}

/// Returns the text of one glyph for a line in visual order: letters in place of Arabic
/// presentation forms, and those of a ligature from left to right.
pub(super) fn to_visual_glyph(text: String) -> String {
    if !has_right_to_left(&text) {
        return text;
    }
    let letters: Vec<char> = text.nfkc().collect();
    letters.into_iter().rev().collect()
}

/// Puts a line in visual order into the order of reading.
pub(super) fn to_reading_order(visual: &str) -> String {
    if !has_right_to_left(visual) {
        return visual.to_owned();
    }
    let mut chars: Vec<char> = visual.chars().collect();
    if is_right_to_left(visual) {
        chars.reverse();
        for run in find_runs(&chars, |direction| direction != Direction::RightToLeft) {
            reverse(&mut chars, run);
        }
        mirror_brackets(&mut chars);
        move_end_mark(&mut chars);
    } else {
        for run in find_runs(&chars, |direction| direction == Direction::RightToLeft) {
            reverse(&mut chars, run);
        }
    }
    chars.into_iter().collect()
}

/// Returns whether most letters of a text are written from right to left.
pub(super) fn is_right_to_left(text: &str) -> bool {
    let count = |wanted| text.chars().filter(|char| direction(*char) == wanted).count();
    count(Direction::RightToLeft) > count(Direction::LeftToRight)
}

fn has_right_to_left(text: &str) -> bool {
    text.chars().any(|char| direction(char) == Direction::RightToLeft)
}

/// Returns the direction by the blocks of Hebrew, Arabic and the scripts between them.
fn direction(char: char) -> Direction {
    match char {
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => Direction::Digit,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => {
            Direction::RightToLeft
        }
        _ if char.is_ascii_digit() => Direction::Digit,
        _ if char.is_alphanumeric() => Direction::LeftToRight,
        _ => Direction::Neutral,
    }
}

/// Finds the runs of characters of a kind. Neutral characters within a run belong to it, except for
/// spaces between numbers, which are columns of their own.
fn find_runs(chars: &[char], is_of_run: impl Fn(Direction) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    // True while the last run can be continued, and while only digits and spaces were read since.
    let mut is_open = false;
    let mut divides_numbers = false;
    for (at, char) in chars.iter().enumerate() {
        let direction = direction(*char);
        if direction == Direction::Neutral {
            divides_numbers |= char.is_whitespace();
            continue;
        }
        if !is_of_run(direction) {
            is_open = false;
            continue;
        }
        let follows_number = at
            .checked_sub(1)
            .and_then(|before| runs.last().filter(|run| run.end <= before + 1))
            .and_then(|run| chars.get(run.end - 1))
            .is_some_and(|last| self::direction(*last) == Direction::Digit);
        let is_divided = divides_numbers && direction == Direction::Digit && follows_number;
        match runs.last_mut() {
            Some(run) if is_open && !is_divided => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
        (is_open, divides_numbers) = (true, false);
    }
    runs
}

/// Moves the mark that ends a sentence from the beginning of a line to its end. It stands there if
/// the line was set in a paragraph that is written from left to right.
fn move_end_mark(chars: &mut [char]) {
    let is_end_mark = |char: &char| matches!(char, '.' | '!' | '?' | '؟' | '۔');
    let begins_sentence = |char: &char| direction(*char) == Direction::RightToLeft;
    if chars.first().is_some_and(is_end_mark)
        && chars.get(1).is_some_and(begins_sentence)
        && !chars.last().is_some_and(is_end_mark)
    {
        chars.rotate_left(1);
    }
}

/// Reverses a run of characters.
fn reverse(chars: &mut [char], run: Range<usize>) {
    if let Some(run) = chars.get_mut(run) {
        run.reverse();
    }
}

/// Mirrors brackets if all pairs are the wrong way round: some programs store the shape that is
/// drawn, others the character that it stands for.
fn mirror_brackets(chars: &mut [char]) {
    let first = chars.iter().find(|char| matches!(char, '(' | ')' | '[' | ']'));
    if !matches!(first, Some(')' | ']')) {
        return;
    }
    for char in chars {
        *char = match *char {
            '(' => ')',
            ')' => '(',
            '[' => ']',
            ']' => '[',
            other => other,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_from_the_right_except_for_numbers_and_foreign_words() {
        for (visual, read) in [
            ("plain words, 5 of them", "plain words, 5 of them"),
            ("םלוע םולש", "שלום עולם"),
            (".2024 תנשב תכרעמה Open WebUI", "Open WebUI המערכת בשנת 2024."),
            ("3.5 ריחמ", "מחיר 3.5"),
            ("10 5 םירפסמ", "מספרים 5 10"),
            (")ןאכ( םש", "שם (כאן)"),
            ("(ןאכ) םש", "שם (כאן)"),
            ("םלוע םולש.", "שלום עולם."),
            ("The word םולש means peace", "The word שלום means peace"),
        ] {
            assert_eq!(to_reading_order(visual), read, "{visual}");
        }
    }

    #[test]
    fn presentation_forms_are_letters() {
        // A ligature of lam and alef, and an isolated beh.
        let visual: String =
            ["\u{fe8f}", "\u{fefb}"].map(|glyph| to_visual_glyph(glyph.to_owned())).concat();
        assert_eq!(to_reading_order(&visual), "\u{644}\u{627}\u{628}");
    }
}
