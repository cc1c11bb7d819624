//! Finds the final answer in a text, a mark in a judge's reply, and code in an answer.

use super::value::AnswerValue;
use crate::ask::strip_reasoning;

/// The markers before a final answer.
const MARKERS: [&str; 8] = [
    "final answer is",
    "final answer",
    "answer is",
    "answer:",
    "answer**:",
    "result is",
    "solution is",
    "####",
];

/// The longest line that is taken for an answer as a whole, in characters.
const MAX_LINE_CHARS: usize = 80;

/// Returns the final answer of a text, if it has one that can be compared.
pub(crate) fn extract_answer(text: &str) -> Option<AnswerValue> {
    let text = strip_reasoning(text);
    let text = text.trim();
    if let Some(inner) = find_boxed(text) {
        return AnswerValue::parse(&inner);
    }
    if let Some(value) = parse_json_answer(text) {
        return Some(value);
    }
    if let Some(answer) = find_marked(text)
        && let Some(value) = AnswerValue::parse(&answer)
    {
        return Some(value);
    }
    if text.ends_with("```")
        && let Some(code) = code_block(text)
    {
        return Some(AnswerValue::Code(normalize_code(code)));
    }
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    parse_line(last)
}

/// Returns the content of the last `\boxed{…}`.
fn find_boxed(text: &str) -> Option<String> {
    let (_, rest) = text.rsplit_once("\\boxed{")?;
    let mut depth = 1;
    let mut inner = String::new();
    for c in rest.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(inner);
        }
        inner.push(c);
    }
    None
}

fn parse_json_answer(text: &str) -> Option<AnswerValue> {
    let fenced = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    let text = fenced.and_then(|text| text.strip_suffix("```")).unwrap_or(text).trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok().map(|json| AnswerValue::from_json(&json))
}

/// Returns the text behind the last marker: the rest of its line or sentence, or the next line.
fn find_marked(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let places = MARKERS.iter().filter_map(|marker| Some(lower.rfind(marker)? + marker.len()));
    let rest = text.get(places.max()?..)?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || ":*_=>".contains(c));
    let line = rest.lines().next().unwrap_or_default().trim();
    let line = line.strip_prefix("is ").unwrap_or(line);
    Some(first_sentence(line).to_owned())
}

/// Returns the first sentence of a line. A point within a number or a name ends none.
fn first_sentence(line: &str) -> &str {
    let end = line.find(". ").filter(|end| {
        // `B. Paris` is one answer.
        *end > 1
    });
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

fn parse_line(line: &str) -> Option<AnswerValue> {
    let line = line.trim_start_matches(['#', '>', '-', ' ']).trim();
    let whole =
        (line.chars().count() <= MAX_LINE_CHARS).then(|| AnswerValue::parse(line)).flatten();
    if let Some(value @ (AnswerValue::Number(_) | AnswerValue::Choice(_))) = whole {
        return Some(value);
    }
    if let Some((_, right)) = line.rsplit_once('=')
        && let Some(value @ AnswerValue::Number(_)) = AnswerValue::parse(right)
    {
        return Some(value);
    }
    // A sentence with one number in it says that number.
    let is_part = |c: char| c.is_ascii_digit() || ".,/".contains(c);
    let numbers: Vec<_> = line
        .split(|c: char| !is_part(c) && c != '-' && c != '−')
        .map(|word| word.trim_matches(['.', ',', '/']))
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()))
        .collect();
    if let [only] = numbers.as_slice()
        && let Some(value @ AnswerValue::Number(_)) = AnswerValue::parse(only)
    {
        return Some(value);
    }
    whole.filter(|_| line.split_whitespace().count() <= 6)
}

/// Returns the content of the last fenced block of code.
pub(crate) fn code_block(text: &str) -> Option<&str> {
    let mut blocks = text.split("```");
    // Every second piece is within fences.
    blocks.next();
    let mut last = None;
    while let Some(block) = blocks.next() {
        last = Some(block);
        blocks.next();
    }
    let block = last?;
    // The first line names the language.
    let (first, rest) = block.split_once('\n').unwrap_or(("", block));
    let is_name = !first.trim().contains(' ');
    Some(if is_name { rest } else { block }.trim_end())
}

/// Returns code without comments of whole lines and with single spaces.
fn normalize_code(code: &str) -> String {
    let lines = code.lines().map(str::trim);
    let said =
        lines.filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("# "));
    let said: Vec<_> = said.collect();
    said.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns `true` if two answers hold the same code, but for spaces and comments.
pub(crate) fn is_same_code(one: &str, other: &str) -> bool {
    let code = |text: &str| normalize_code(code_block(text).unwrap_or(text));
    code(one) == code(other)
}

/// Returns the mark between 0 and 10 that a judge gives: `Score: 7`, `8/10`, `**Rating: 7**`,
/// `85/100`, `9`.
pub(crate) fn parse_score(reply: &str) -> Option<f64> {
    let text = strip_reasoning(reply);
    let lower = text.to_ascii_lowercase();
    let places =
        ["score", "rating"].iter().filter_map(|word| Some(lower.rfind(word)? + word.len()));
    if let Some(mark) = places.max().and_then(|place| lower.get(place..)).and_then(parse_mark) {
        return Some(mark);
    }
    let slashed = text.split_whitespace().find(|word| word.contains("/10"));
    slashed
        .and_then(parse_mark)
        .or_else(|| parse_mark(text.lines().rev().find(|line| !line.trim().is_empty())?))
}

/// Returns the first number, as a share of ten.
fn parse_mark(text: &str) -> Option<f64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    if text.get(..start)?.ends_with('-') {
        return None;
    }
    let rest = text.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, rest) = rest.split_at_checked(end)?;
    let number: f64 = number.trim_end_matches('.').parse().ok()?;
    let rest = rest.trim_start();
    let base = rest.strip_prefix('/').or_else(|| rest.strip_prefix("out of")).map(str::trim_start);
    let base = base.and_then(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse::<f64>().ok()
    });
    let mark = match base {
        Some(base) if base > 0.0 => number / base * 10.0,
        _ => number,
    };
    (0.0..=10.0).contains(&mark).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        match (extract_answer(one), extract_answer(other)) {
            (Some(one), Some(other)) => one.is_same(&other),
            _ => false,
        }
    }

    #[test]
    fn the_same_answer_is_found_in_different_texts() {
        let of_42 = [
            "The answer is 42.",
            "42",
            "First 6*7 is asked.\n\n## Step 1\n6 * 7 = 42\n\n**Final answer:** 42",
            "We add up.\nSo we get $\\boxed{42}$.",
            "Answer: 41? No.\nLet me check.\n\nThe final answer is: **42**",
            "Long derivation about 3 apples and 5 pears.\nTherefore the total is 42 apples.",
            "x = 42",
            "20 + 22 = 42",
            "<think>The answer is 7.</think>The answer is 42",
            "{\"answer\": 42, \"why\": \"because\"}",
            "```json\n{\"answer\": \"42\"}\n```",
            "#### 42",
        ];
        for text in of_42 {
            assert!(same(text, "42"), "{text}: {:?}", extract_answer(text));
        }
        for (one, other) in [
            ("The answer is (B).", "**B**"),
            ("Answer: B) Paris", "So the right option is clear.\nB"),
            ("The answer is Paris.", "Final answer: paris"),
            ("The answer is \\(\\dfrac{1}{2}\\).", "0.50"),
            ("{\"a\": 1, \"b\": [2]}", "{\"b\": [2.0], \"a\": 1}"),
            ("Here:\n```python\n# sum\nprint(1)\n```", "Code:\n```\nprint(1)\n```"),
            ("The answer is $\\left(1, 2\\right)$", "the answer is $(1,\\,2)$"),
        ] {
            assert!(
                same(one, other),
                "{one} / {other}: {:?} {:?}",
                extract_answer(one),
                extract_answer(other)
            );
        }
    }

    #[test]
    fn other_answers_are_others() {
        for (one, other) in [
            ("The answer is 41.", "The answer is 42."),
            (
                "A triangle has three sides.\nThe answer is 3",
                "A triangle has four sides.\nThe answer is 4",
            ),
            ("Answer: A", "Answer: B"),
            ("## Step 1\nDo it.\nThe answer is 5", "## Step 1\nDo it.\nThe answer is 6"),
            ("The answer is 3 and 5", "The answer is 3"),
        ] {
            assert!(
                !same(one, other),
                "{one} / {other}: {:?} {:?}",
                extract_answer(one),
                extract_answer(other)
            );
        }
    }

    #[test]
    fn prose_has_no_answer_that_can_be_compared() {
        let prose = "Rust is a language for systems that many people like for its safety and speed, as it has no garbage collector.";
        assert_eq!(extract_answer(prose), None);
        assert_eq!(
            extract_answer(
                "A triangle is a shape with three corners and with three sides, which everybody knows."
            ),
            None
        );
        assert_eq!(extract_answer(""), None);
    }

    #[test]
    fn a_judge_writes_marks_in_many_ways() {
        for (reply, mark) in [
            ("8/10", 8.0),
            ("**Rating: 7**", 7.0),
            ("9", 9.0),
            ("Score: 6.5", 6.5),
            ("It has 3 faults.\nScore: 4 out of 10", 4.0),
            ("Rating: [[1]]", 1.0),
            ("85/100", 8.5),
            ("A good answer with 2 examples, 8/10 from me.", 8.0),
            ("<think>score: 1</think>Score: 10", 10.0),
        ] {
            assert_eq!(parse_score(reply), Some(mark), "{reply}");
        }
        for reply in ["", "good", "Score: -3", "Score: 400"] {
            assert_eq!(parse_score(reply), None, "{reply}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
            if let Some(value) = extract_answer(&text) {
                proptest::prop_assert!(value.is_same(&value));
            }
            _ = parse_score(&text);
            _ = code_block(&text);
        }
    }
}
