//! How much of what may be had in which time.

use pipe_sdk::DemandKind;
use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};
use time::{OffsetDateTime, Time, UtcOffset};

/// So much of this in that time, as in `10 requests/minute` or `$5/month`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// How much.
    pub most: f64,
    /// Of what.
    pub unit: Unit,
    /// In which time.
    pub period: Period,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests of every kind.
    Requests,
    /// What only requests of this kind ask for: searches, texts to be embedded, pictures, …
    Only(DemandKind),
    /// Tokens, read and written.
    Tokens,
    /// US dollars, by the host's table of prices.
    Dollars,
}

/// A time. For dollars it begins with the calendar's, for all else it slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// 60 s.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 30 days; for dollars the calendar's month.
    Month,
}

const DAY: u64 = 24 * 3600;

/// The units that only requests of one kind have, each by its names.
const KINDS: [(&str, &str, DemandKind); 6] = [
    ("chat", "chats", DemandKind::Chat),
    ("embedding", "embeddings", DemandKind::Embedding),
    ("rerank", "reranks", DemandKind::Rerank),
    ("image", "images", DemandKind::Image),
    ("search", "searches", DemandKind::Search),
    ("count", "counts", DemandKind::TokenCount),
];

impl Period {
    const ALL: [(&str, Self); 4] = [
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("month", Self::Month),
    ];

    /// How long it is when it slides.
    pub fn window(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => DAY,
            Self::Month => 30 * DAY,
        })
    }

    /// When the calendar's began and when the next one will.
    pub fn around(self, now: SystemTime) -> (SystemTime, SystemTime) {
        let now = OffsetDateTime::from(now).to_offset(UtcOffset::UTC);
        let hour = |hour| now.replace_time(Time::from_hms(hour, 0, 0).unwrap_or(Time::MIDNIGHT));
        let begin = match self {
            Self::Minute => hour(now.hour()) + Duration::from_secs(u64::from(now.minute()) * 60),
            Self::Hour => hour(now.hour()),
            Self::Day => hour(0),
            Self::Month => hour(0) - Duration::from_secs(u64::from(now.day() - 1) * DAY),
        };
        let length = match self {
            Self::Month => Duration::from_secs(u64::from(now.month().length(now.year())) * DAY),
            Self::Minute | Self::Hour | Self::Day => self.window(),
        };
        (begin.into(), (begin + length).into())
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, period)| *period == self).map_or("", |(word, _)| word)
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, period) = (self.most, self.period.word());
        let a = if self.period == Period::Hour { "an" } else { "a" };
        match self.unit {
            Unit::Requests if most == 1.0 => write!(f, "1 request {a} {period}"),
            Unit::Requests => write!(f, "{most} requests {a} {period}"),
            Unit::Only(kind) => {
                let known = KINDS.iter().find(|(.., known)| *known == kind);
                let (one, many) = known.map_or(("", ""), |(one, many, _)| (*one, *many));
                let unit = if most == 1.0 { one } else { many };
                write!(f, "{most} {unit} {a} {period}")
            }
            Unit::Tokens => write!(f, "{most} tokens {a} {period}"),
            Unit::Dollars => write!(f, "${most} {a} {period}"),
        }
    }
}

impl FromStr for Allowance {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "must be like `10 requests/minute`, `50000 tokens/day`, `20 images/day` or `$5/month`";
        let (amount, period) = text.split_once('/').ok_or(FORM)?;
        let (period, amount) = (period.trim(), amount.trim());
        let is = |word: &str| period.eq_ignore_ascii_case(word);
        let period = Period::ALL.iter().find(|(word, _)| is(word)).ok_or(FORM)?.1;
        let (number, unit) = match amount.strip_prefix('$') {
            Some(dollars) => (dollars, Unit::Dollars),
            None => {
                let (number, unit) = amount.split_once(' ').ok_or(FORM)?;
                match unit.trim() {
                    "request" | "requests" => (number, Unit::Requests),
                    "token" | "tokens" => (number, Unit::Tokens),
                    "$" | "dollars" | "USD" => (number, Unit::Dollars),
                    word => {
                        let known =
                            KINDS.iter().find(|(one, many, _)| [*one, *many].contains(&word));
                        (number, known.map(|(.., kind)| Unit::Only(*kind)).ok_or(FORM)?)
                    }
                }
            }
        };
        let most: f64 = number.trim().parse().map_err(|_| FORM)?;
        let fits = (0.0..1e15).contains(&most) && (unit == Unit::Dollars || most.fract() == 0.0);
        if fits { Ok(Self { most, unit, period }) } else { Err(FORM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_said_as_it_is_written() {
        for (text, words) in [
            ("10 requests/minute", "10 requests a minute"),
            ("1 request / hour", "1 request an hour"),
            ("50000 tokens/day", "50000 tokens a day"),
            ("$2.5/month", "$2.5 a month"),
            ("2.5 USD/Day", "$2.5 a day"),
            ("20 images/day", "20 images a day"),
            ("1 searches/hour", "1 search an hour"),
            ("5 counts/minute", "5 counts a minute"),
        ] {
            assert_eq!(text.parse::<Allowance>().unwrap().to_string(), words);
        }
        for text in [
            "",
            "10",
            "10/minute",
            "ten requests/minute",
            "-1 requests/day",
            "1.5 requests/day",
            "1 requests/year",
            "NaN tokens/day",
        ] {
            assert!(text.parse::<Allowance>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_budgets_month_is_the_calendars() {
        // 2028-02-10 12:34:56 UTC, in a leap year.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_833_798_896);
        let (begin, end) = Period::Month.around(now);
        let day = |at: SystemTime| OffsetDateTime::from(at).date().to_string();
        assert_eq!((day(begin), day(end)), ("2028-02-01".into(), "2028-03-01".into()));
        let (begin, end) = Period::Day.around(now);
        assert_eq!((day(begin), day(end)), ("2028-02-10".into(), "2028-02-11".into()));
        assert!(begin <= now && now < end);
    }
}
