//! A quota: an amount of a unit in a period.

use pipe_sdk::DemandKind;
use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};
use time::{OffsetDateTime, Time, UtcOffset};

/// A quota, as in `10 requests/minute` or `$5/month`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// The maximum amount.
    pub amount: f64,
    /// The unit.
    pub unit: Unit,
    /// The period.
    pub period: Period,
}

/// The unit of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests of all kinds.
    Requests,
    /// The items of requests of one kind: searches, embedded texts, images, …
    Only(DemandKind),
    /// Prompt and completion tokens.
    Tokens,
    /// US dollars, by the host's price table.
    Dollars,
}

/// The period of a quota: a calendar period for dollars, a sliding window for other units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// 60 s.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 30 days; for dollars a calendar month.
    Month,
}

const DAY: u64 = 24 * 3600;

/// The units of one kind of request, with their singular and plural.
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

    /// Returns the length of the sliding window.
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => DAY,
            Self::Month => 30 * DAY,
        })
    }

    /// Returns the begin and the end of the calendar period that contains `now`.
    pub fn calendar_bounds(self, now: SystemTime) -> (SystemTime, SystemTime) {
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
            Self::Minute | Self::Hour | Self::Day => self.duration(),
        };
        (begin.into(), (begin + length).into())
    }

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, period)| *period == self).map_or("", |(word, _)| word)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, period) = (self.amount, self.period.as_str());
        let a = if self.period == Period::Hour { "an" } else { "a" };
        match self.unit {
            Unit::Requests if amount == 1.0 => write!(f, "1 request {a} {period}"),
            Unit::Requests => write!(f, "{amount} requests {a} {period}"),
            Unit::Only(kind) => {
                let known = KINDS.iter().find(|(.., known)| *known == kind);
                let (one, many) = known.map_or(("", ""), |(one, many, _)| (*one, *many));
                let unit = if amount == 1.0 { one } else { many };
                write!(f, "{amount} {unit} {a} {period}")
            }
            Unit::Tokens => write!(f, "{amount} tokens {a} {period}"),
            Unit::Dollars => write!(f, "${amount} {a} {period}"),
        }
    }
}

impl FromStr for Quota {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "must be like `10 requests/minute`, `50000 tokens/day`, `20 images/day` or `$5/month`";
        let (text_amount, period) = text.split_once('/').ok_or(FORM)?;
        let (period, quantity) = (period.trim(), text_amount.trim());
        let is = |word: &str| period.eq_ignore_ascii_case(word);
        let period = Period::ALL.iter().find(|(word, _)| is(word)).ok_or(FORM)?.1;
        let (number, unit) = match quantity.strip_prefix('$') {
            Some(dollars) => (dollars, Unit::Dollars),
            None => {
                let (number, unit) = quantity.split_once(' ').ok_or(FORM)?;
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
        let amount: f64 = number.trim().parse().map_err(|_| FORM)?;
        let fits =
            (0.0..1e15).contains(&amount) && (unit == Unit::Dollars || amount.fract() == 0.0);
        if fits { Ok(Self { amount, unit, period }) } else { Err(FORM) }
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
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), words);
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
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_budgets_month_is_the_calendars() {
        // 2028-02-10 12:34:56 UTC, in a leap year.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_833_798_896);
        let (begin, end) = Period::Month.calendar_bounds(now);
        let day = |at: SystemTime| OffsetDateTime::from(at).date().to_string();
        assert_eq!((day(begin), day(end)), ("2028-02-01".into(), "2028-03-01".into()));
        let (begin, end) = Period::Day.calendar_bounds(now);
        assert_eq!((day(begin), day(end)), ("2028-02-10".into(), "2028-02-11".into()));
        assert!(begin <= now && now < end);
    }
}
