//! Days in UTC.

use std::{fmt, str::FromStr};
use time::{Date, Duration, OffsetDateTime, UtcOffset, format_description::well_known::Iso8601};

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(Date);

impl Day {
    /// Returns the day of this time, in ms since 1970.
    pub fn from_unix_ms(at: i64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000));
        Self(at.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(UtcOffset::UTC).date())
    }

    /// Returns the day that is this number of days earlier.
    pub fn minus_days(self, days: i64) -> Self {
        Self(self.0.saturating_sub(Duration::days(days)))
    }

    /// Returns its start, in ms since 1970.
    pub fn start(self) -> i64 {
        self.0.midnight().assume_utc().unix_timestamp() * 1000
    }

    /// Returns the start of the next day, in ms since 1970.
    pub fn end(self) -> i64 {
        self.start() + 24 * 3600 * 1000
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A `Date` writes itself as ISO 8601 does.
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Date::parse(text, &Iso8601::DATE).map(Self).map_err(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_it_is_read() {
        for text in ["1970-01-01", "2026-02-28", "2028-02-29"] {
            let day: Day = text.parse().unwrap();
            assert_eq!(day.to_string(), text);
            assert_eq!(
                (Day::from_unix_ms(day.start()), Day::from_unix_ms(day.end() - 1)),
                (day, day)
            );
        }
        for text in ["", "2026-02-30", "yesterday", "2026-1-1"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn earlier_days_cross_months() {
        let day: Day = "2026-03-01".parse().unwrap();
        assert_eq!(day.minus_days(1).to_string(), "2026-02-28");
    }
}
