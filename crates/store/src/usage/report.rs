//! Questions about usage, and the one text of SQL that answers them in both engines.

use super::{
    daily::DAY,
    row::{Tokens, fit},
};
use serde::Serialize;

/// A question about usage.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// From when, in ms since 1970.
    pub from: i64,
    /// Until when, exclusive. Whole days (of UTC) are known for ever, parts of days as long as single answers are kept.
    pub to: i64,
    /// Whether each day has its own rows.
    pub by_day: bool,
    /// What else has rows of its own.
    pub by: Vec<Field>,
    /// What is looked at; an empty text is "none". Several values of one field are alternatives.
    pub only: Vec<(Field, String)>,
    /// At most so many rows: the dearest, day by day.
    pub most: Option<u32>,
}

/// What usage is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The user's id.
    User,
    /// The label of the key.
    Key,
    /// The model that answered.
    Model,
    /// The pipe that answered.
    Pipe,
    /// `local` or `cloud`.
    Side,
    /// Open WebUI's task.
    Task,
    /// `chat`, `embed`, `rerank` or `image`.
    Kind,
}

impl Field {
    /// All of them, in the order of a report's columns.
    pub const ALL: [Self; 7] =
        [Self::User, Self::Key, Self::Model, Self::Pipe, Self::Side, Self::Task, Self::Kind];

    fn column(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Key => "key_label",
            Self::Model => "model",
            Self::Pipe => "pipe",
            Self::Side => "side",
            Self::Task => "task",
            Self::Kind => "kind",
        }
    }

    /// How long its values may be.
    fn width(self) -> usize {
        match self {
            Self::User | Self::Key => 256,
            Self::Model => 512,
            Self::Pipe | Self::Side | Self::Task | Self::Kind => 128,
        }
    }
}

/// One row of a report. A field that was not asked for is absent, and so is one that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// When the day begins (in UTC), in ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<i64>,
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What that user was last shown as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The label of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The pipe that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipe: Option<String>,
    /// `local` or `cloud`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// Open WebUI's task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// `chat`, `embed`, `rerank` or `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How many answers.
    pub requests: i64,
    /// Of those, how many failed.
    pub errors: i64,
    /// Of those, how many were left by their client.
    pub cancelled: i64,
    /// How much was read and written.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// In micro-dollars, as far as prices are known.
    pub cost: i64,
    /// Of how many answers no price is known.
    pub unpriced: i64,
}

/// A statement with its parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub text: String,
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    Number(i64),
    Text(String),
}

impl Sql {
    /// `$n` for this value. Numbers are given in the order in which they first stand in the text, as SQLite counts them.
    fn number(&mut self, value: i64) -> String {
        self.parameter(Parameter::Number(value))
    }

    fn parameter(&mut self, value: Parameter) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }
}

const SUMS: [&str; 10] = [
    "requests",
    "errors",
    "cancelled",
    "prompt",
    "cached",
    "cache_creation",
    "completion",
    "reasoning",
    "cost",
    "unpriced",
];

impl UsageQuery {
    /// Whole days come from the daily table, what is left of the first and the last from single answers.
    ///
    /// `schema` stands before the tables' names. Columns: day, the seven fields, the user's name, and the sums.
    pub(crate) fn sql(&self, schema: &str) -> Sql {
        let mut sql = Sql::default();
        let (first, end) = (days_up(self.from), self.to.div_euclid(DAY));
        let daily = if first < end { first..end } else { 0..0 };
        let (from, to) = (sql.number(daily.start), sql.number(daily.end));
        let filters = self.filters(&mut sql);
        let edges = if first <= end {
            [(self.from, first * DAY), (end * DAY, self.to)]
        } else {
            [(self.from, self.to), (0, 0)]
        };
        let edges = edges
            .map(|(from, to)| format!("(at >= {} AND at < {})", sql.number(from), sql.number(to)));
        let fields = Field::ALL.map(Field::column).join(", ");
        let all = SUMS.join(", ");
        let (columns, grouped) = self.columns(schema);
        let sums = SUMS.map(|sum| format!("CAST(COALESCE(sum({sum}), 0) AS BIGINT)")).join(", ");
        let group = if grouped.is_empty() {
            String::new()
        } else {
            format!("GROUP BY {}", grouped.join(", "))
        };
        let day = if self.by_day { "day," } else { "" };
        let limit =
            self.most.map(|most| format!("LIMIT {}", sql.number(most.into()))).unwrap_or_default();
        sql.text = format!(
            "WITH seen AS (\
               SELECT day, {fields}, {all} FROM {schema}usage_daily \
               WHERE day >= {from} AND day < {to} {filters} \
             UNION ALL \
               SELECT at / {DAY}, {fields}, 1, CASE status WHEN 'error' THEN 1 ELSE 0 END, \
               CASE status WHEN 'cancelled' THEN 1 ELSE 0 END, prompt, cached, cache_creation, completion, reasoning, \
               COALESCE(cost, 0), CASE WHEN cost IS NULL THEN 1 ELSE 0 END FROM {schema}usage \
               WHERE ({}) {filters}) \
             SELECT {columns}, {sums} FROM seen {group} \
             ORDER BY {day} sum(cost) DESC, sum(requests) DESC {limit}",
            edges.join(" OR "),
        );
        sql
    }

    fn filters(&self, sql: &mut Sql) -> String {
        let mut filters = String::new();
        for field in Field::ALL {
            let values: Vec<_> = self
                .only
                .iter()
                .filter(|(only, _)| *only == field)
                .map(|(_, value)| sql.parameter(Parameter::Text(fit(value.clone(), field.width()))))
                .collect();
            if !values.is_empty() {
                filters += &format!(" AND {} IN ({})", field.column(), values.join(", "));
            }
        }
        filters
    }

    /// The columns before the sums, and those of them that are grouped by.
    fn columns(&self, schema: &str) -> (String, Vec<&'static str>) {
        let mut grouped = Vec::new();
        let mut column = |is_asked: bool, name: &'static str, kind: &str| {
            if is_asked {
                grouped.push(name);
                return name.to_owned();
            }
            format!("CAST(NULL AS {kind})")
        };
        let mut columns = vec![column(self.by_day, "day", "BIGINT")];
        columns.extend(
            Field::ALL.map(|field| column(self.by.contains(&field), field.column(), "TEXT")),
        );
        columns.push(if self.by.contains(&Field::User) {
            format!("(SELECT name FROM {schema}usage_user AS who WHERE who.user_id = seen.user_id)")
        } else {
            "CAST(NULL AS TEXT)".into()
        });
        (columns.join(", "), grouped)
    }
}

impl ReportRow {
    /// A row of [`UsageQuery::sql`], from whatever reads its columns by number.
    pub(crate) fn read<E>(
        text: impl Fn(usize) -> Result<Option<String>, E>,
        number: impl Fn(usize) -> Result<Option<i64>, E>,
    ) -> Result<Self, E> {
        let known = |column| Ok(text(column)?.filter(|text| !text.is_empty()));
        let sum = |column| Ok(number(column)?.unwrap_or(0));
        Ok(Self {
            day: number(0)?.map(|day| day * DAY),
            user: known(1)?,
            key: known(2)?,
            model: known(3)?,
            pipe: known(4)?,
            side: known(5)?,
            task: known(6)?,
            kind: known(7)?,
            name: known(8)?,
            requests: sum(9)?,
            errors: sum(10)?,
            cancelled: sum(11)?,
            tokens: Tokens {
                prompt: sum(12)?,
                cached: sum(13)?,
                cache_creation: sum(14)?,
                completion: sum(15)?,
                reasoning: sum(16)?,
            },
            cost: sum(17)?,
            unpriced: sum(18)?,
        })
    }
}

/// What a user has spent since then: whole days from the daily table, the rest of the first from single answers.
pub(crate) fn spent_sql(user: &str, since: i64, schema: &str) -> Sql {
    let mut sql = Sql::default();
    let user = sql.parameter(Parameter::Text(fit(user.to_owned(), Field::User.width())));
    let day = sql.number(days_up(since));
    let (from, to) = (sql.number(since), sql.number(days_up(since) * DAY));
    sql.text = format!(
        "SELECT CAST(COALESCE(sum(cost), 0) AS BIGINT) FROM (\
           SELECT cost FROM {schema}usage_daily WHERE user_id = {user} AND day >= {day} \
         UNION ALL \
           SELECT cost FROM {schema}usage WHERE user_id = {user} AND at >= {from} AND at < {to}) AS costs"
    );
    sql
}

/// The first day that begins then or later.
pub(crate) fn days_up(at: i64) -> i64 {
    at.div_euclid(DAY) + i64::from(at.rem_euclid(DAY) != 0)
}
