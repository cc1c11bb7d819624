//! Hours of each day, as in `08:00-18:00, 22-6`.

use std::{
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

/// Hours of each day, in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DailyHours(Vec<Span>);

/// A span from one minute of the day to before another; over midnight if the end is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u64,
    until: u64,
}

const MINUTES_PER_DAY: u64 = 24 * 60;

impl DailyHours {
    /// Returns whether this time is within the hours.
    pub fn contains(&self, now: SystemTime) -> bool {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let minute = since.as_secs() / 60 % MINUTES_PER_DAY;
        self.0.iter().any(|span| span.contains(minute))
    }
}

impl Span {
    /// Returns whether a minute of the day lies in the span, which may go beyond midnight.
    fn contains(self, minute: u64) -> bool {
        let Self { from, until } = self;
        if from < until {
            (from..until).contains(&minute)
        } else {
            minute >= from || minute < until
        }
    }
}

impl FromStr for DailyHours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let spans = text.split(',').map(str::trim).filter(|span| !span.is_empty());
        let spans: Option<Vec<_>> = spans.map(parse_span).collect();
        spans.map(Self).ok_or("must be times of day, as in `08:00-18:00, 22-6`")
    }
}

fn parse_span(text: &str) -> Option<Span> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (parse_minute(from)?, parse_minute(until)?);
    (from != until && from < MINUTES_PER_DAY).then_some(Span { from, until })
}

fn parse_minute(text: &str) -> Option<u64> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
    let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (hour <= 24 && minute < 60 && at <= MINUTES_PER_DAY).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_span_begins_with_its_first_minute_and_ends_before_its_last() {
        let at = |hour: u64, minute: u64| {
            UNIX_EPOCH + Duration::from_secs((20_000 * MINUTES_PER_DAY + hour * 60 + minute) * 60)
        };
        let hours: DailyHours = "08:30-12, 22-6".parse().unwrap();
        for (hour, minute, holds) in [
            (8, 29, false),
            (8, 30, true),
            (11, 59, true),
            (12, 0, false),
            (22, 0, true),
            (0, 0, true),
            (5, 59, true),
            (6, 0, false),
        ] {
            assert_eq!(hours.contains(at(hour, minute)), holds, "{hour}:{minute}");
        }
        let all_day: DailyHours = "0-24".parse().unwrap();
        assert!(all_day.contains(at(23, 59)) && !DailyHours::default().contains(at(12, 0)));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for text in ["8", "8-", "25-26", "8:60-9", "8-8", "24-8", "am-pm", "8-9-10", "8-24:01"] {
            assert!(text.parse::<DailyHours>().is_err(), "{text}");
        }
    }
}
