//! Numbers as models write them: `1,234.50`, `-3/4`, `\frac{3}{4}`, `1.5 \times 10^3`, `50 %`, `12
//! apples`.

/// A number, how many decimals it was written with, and what it counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    value: f64,
    /// `None` if it was not written as a decimal, as in `1/3`.
    decimals: Option<u32>,
    unit: Option<String>,
}

impl Number {
    /// Returns `true` if both are the same number: equal, or one the other rounded to two decimals
    /// or
    /// more. A missing unit fits every unit.
    pub fn is_same(&self, other: &Self) -> bool {
        let units_fit = match (&self.unit, &other.unit) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let gap = (self.value - other.value).abs();
        let rounds = |one: &Self| {
            one.decimals.is_some_and(|decimals| {
                decimals >= 2 && gap <= 0.500_001 * 10f64.powi(-(decimals.min(300) as i32))
            })
        };
        let is_close = gap <= 1e-9 * self.value.abs().max(other.value.abs());
        // Both rounded: the one that was written with more decimals is the nearer.
        let is_rounded = match (self.decimals, other.decimals) {
            (Some(one), Some(two)) if one == two => false,
            (Some(one), Some(two)) => rounds(if one < two { self } else { other }),
            _ => rounds(self) || rounds(other),
        };
        units_fit && (is_close || is_rounded)
    }
}

/// Parses a text that is a number and nothing else, but for its currency and unit.
pub(crate) fn parse(text: &str) -> Option<Number> {
    let text = text.trim();
    let text = text.strip_prefix(['$', '€', '£', '≈', '~']).unwrap_or(text).trim();
    let text = text.strip_prefix("\\$").unwrap_or(text).trim();
    let (value, decimals, rest) = parse_leading(text)?;
    let unit = parse_unit(rest)?;
    Some(Number { value, decimals, unit })
}

/// Returns the number at the beginning, its decimals, and the rest.
fn parse_leading(text: &str) -> Option<(f64, Option<u32>, &str)> {
    let (sign, text) = match text.strip_prefix(['-', '−', '–']) {
        Some(rest) => (-1.0, rest.trim_start()),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some((value, rest)) = parse_latex_fraction(text) {
        return Some((sign * value, None, rest));
    }
    let (value, decimals, rest) = parse_decimal(text)?;
    let trimmed = rest.trim_start();
    // A mixed number: `1 1/2`, `1\frac{1}{2}`.
    if decimals == Some(0) {
        if let Some((part, rest)) = parse_latex_fraction(trimmed) {
            return Some((sign * (value + part), None, rest));
        }
        if let Some((above, Some(0), after)) = parse_decimal(trimmed)
            && let Some(after) = after.trim_start().strip_prefix('/')
            && let Some((below, _, rest)) = parse_decimal(after.trim_start())
            && below != 0.0
        {
            return Some((sign * (value + above / below), None, rest));
        }
    }
    if let Some(after) = trimmed.strip_prefix(['/', '÷'])
        && let Some((below, _, rest)) = parse_decimal(after.trim_start())
        && below != 0.0
    {
        return Some((sign * value / below, None, rest));
    }
    for times in ["\\times", "\\cdot", "×", "*", "x"] {
        if let Some(after) = trimmed.strip_prefix(times)
            && let Some(power) = after.trim_start().strip_prefix("10^")
        {
            let power = power.trim_start_matches('{');
            let (negative, power) = match power.strip_prefix(['-', '−']) {
                Some(rest) => (true, rest),
                None => (false, power),
            };
            let digits = power.find(|c: char| !c.is_ascii_digit()).unwrap_or(power.len());
            let (digits, rest) = power.split_at_checked(digits)?;
            let exponent: i32 = digits.parse().ok()?;
            let exponent = if negative { -exponent } else { exponent };
            let rest = rest.strip_prefix('}').unwrap_or(rest);
            return Some((sign * value * 10f64.powi(exponent), None, rest));
        }
    }
    Some((sign * value, decimals, rest))
}

/// Parses a fraction `\frac{3}{4}`; `\dfrac34` is not one.
fn parse_latex_fraction(text: &str) -> Option<(f64, &str)> {
    let names = ["\\frac", "\\dfrac", "\\tfrac"];
    let rest = names.iter().find_map(|name| text.strip_prefix(name))?;
    let (above, rest) = rest.strip_prefix('{')?.split_once('}')?;
    let (below, rest) = rest.strip_prefix('{')?.split_once('}')?;
    let number = |text: &str| {
        let (value, _, rest) = parse_leading(text.trim())?;
        rest.trim().is_empty().then_some(value)
    };
    let below = number(below).filter(|below| *below != 0.0)?;
    Some((number(above)? / below, rest))
}

/// Digits with commas between thousands, a point, an exponent.
fn parse_decimal(text: &str) -> Option<(f64, Option<u32>, &str)> {
    let bytes = text.as_bytes();
    let (mut at, mut digits, mut decimals, mut has_point) = (0, String::new(), 0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                digits.push(char::from(*byte));
                decimals += u32::from(has_point);
            }
            b',' | b'_' if !has_point && is_thousands(bytes, at) => {}
            b'.' if !has_point && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                digits.push('.');
                has_point = true;
            }
            _ => break,
        }
        at += 1;
    }
    if digits.is_empty() || digits.len() > 300 {
        return None;
    }
    // `1.5e3`, but not the `e` of a word.
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
        let first = at + 1 + sign;
        let mut end = first;
        while bytes.get(end).is_some_and(u8::is_ascii_digit) && end - first < 4 {
            end += 1;
        }
        if end > first && !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            let value: f64 = format!("{digits}{}", text.get(at..end)?).parse().ok()?;
            return value.is_finite().then_some((value, None, text.get(end..)?));
        }
    }
    let value: f64 = digits.parse().ok()?;
    Some((value, Some(decimals), text.get(at..)?))
}

/// Returns `true` if three digits and no fourth follow.
fn is_thousands(bytes: &[u8], at: usize) -> bool {
    at > 0
        && (1..=3).all(|next| bytes.get(at + next).is_some_and(u8::is_ascii_digit))
        && !bytes.get(at + 4).is_some_and(u8::is_ascii_digit)
}

/// Returns the unit of a number: nothing, or a few words without digits. `None`: the text is no
/// unit.
fn parse_unit(rest: &str) -> Option<Option<String>> {
    let rest = rest.trim().trim_end_matches(['.', '!']).trim();
    let rest = rest.strip_prefix("\\%").map_or(rest, |_| "%");
    if rest.is_empty() {
        return Some(None);
    }
    let is_unit = |c: char| c.is_alphabetic() || " %°²³$€£\\^{}_/".contains(c);
    let words: Vec<_> = rest.split_whitespace().collect();
    let joins = ["and", "or", "to", "plus", "minus", "times", "by", "with", "of"];
    let fits = rest.chars().all(is_unit) && words.len() <= 3;
    if !fits || words.iter().any(|word| joins.contains(&word.to_lowercase().as_str())) {
        return None;
    }
    let unit = rest.replace("\\text", "").replace(['{', '}', '\\', '^'], "").to_lowercase();
    let unit = unit.replace("circ", "°");
    let unit = unit.trim();
    Some(Some(unit.strip_suffix('s').unwrap_or(unit).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        match (parse(one), parse(other)) {
            (Some(one), Some(other)) => one.is_same(&other) && other.is_same(&one),
            _ => false,
        }
    }

    #[test]
    fn the_same_number_is_written_in_many_ways() {
        let pairs = [
            ("0.5", "1/2"),
            ("0.5", "0.50"),
            ("\\frac{1}{2}", ".5e0"),
            ("\\dfrac{-3}{4}", "-0.75"),
            ("1,234.5", "1234.5"),
            ("1.5 \\times 10^3", "1500"),
            ("1.5e3", "1,500"),
            ("2 \\cdot 10^{-2}", "0.02"),
            ("1 1/2", "1.5"),
            ("1\\frac{1}{2}", "3/2"),
            ("42 apples", "42"),
            ("42 apples", "42 apple"),
            ("$42", "42"),
            ("50%", "50\\%"),
            ("1/3", "0.33"),
            ("0.333", "0.33"),
            ("−7", "-7"),
            ("90^\\circ", "90°"),
        ];
        for (one, other) in pairs {
            // A leading point is no number of ours.
            if one == "\\frac{1}{2}" {
                assert!(same(one, "0.5e0"), "{one} {other}");
                continue;
            }
            assert!(same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn other_numbers_are_others() {
        let pairs = [
            ("41", "42"),
            ("0.5", "0.6"),
            ("0.33", "0.34"),
            ("1/3", "0.34"),
            ("5 cm", "5 m"),
            ("-7", "7"),
            ("1000000", "1000001"),
            ("0.1", "0.12"),
        ];
        for (one, other) in pairs {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "x", "3 and 5", "(1, 2)", "12:30", "1/0", "3.1.4", "2024-05-06", "v2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_without_a_panic(text in "\\PC{0,40}|[0-9.,/e{}\\\\frac ^*x×%-]{0,40}") {
            if let Some(number) = parse(&text) {
                proptest::prop_assert!(number.is_same(&number) || number.value.is_nan());
            }
        }

        #[test]
        fn whole_numbers_are_the_same_with_and_without_commas(number in 0u32..) {
            let digits = number.to_string();
            let mut commas = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    commas.push(',');
                }
                commas.push(digit);
            }
            proptest::prop_assert!(same(&digits, &commas));
        }
    }
}
