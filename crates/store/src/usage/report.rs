//! Usage reports, and the SQL for them, which both engines share.

use super::{
    daily::DAY,
    row::{Tokens, truncate_text},
};
use serde::Serialize;

/// The query of a usage report.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// The begin, in milliseconds since 1970.
    pub from: i64,
    /// The exclusive end. Whole days (in UTC) are stored for ever, parts of days as long as single
    /// answers are.
    pub to: i64,
    /// Groups by day.
    pub by_day: bool,
    /// Groups by these fields.
    pub by: Vec<UsageField>,
    /// Filters by values; an empty text means "none". Several values of one field are alternatives.
    pub filters: Vec<(UsageField, String)>,
    /// The maximum number of rows, ordered by day and cost.
    pub limit: Option<u32>,
}

/// A field of usage rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UsageField {
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
    /// The task of Open WebUI, as in `title_generation`.
    Task,
    /// `chat`, `embed`, `rerank` or `image`.
    Kind,
}

impl UsageField {
    /// All fields, in the order of a report's columns.
    pub const ALL: [Self; 7] =
        [Self::User, Self::Key, Self::Model, Self::Pipe, Self::Side, Self::Task, Self::Kind];

    /// Returns the column of the field.
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

    /// Returns the maximum length of a value.
    fn max_bytes(self) -> usize {
        match self {
            Self::User | Self::Key => 256,
            Self::Model => 512,
            Self::Pipe | Self::Side | Self::Task | Self::Kind => 128,
        }
    }
}

/// A row of a report. Fields that are not grouped by, or are unknown, are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// The begin of the day (in UTC), in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<i64>,
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The last known name of the user.
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
    /// The number of answers: chats and pictures.
    pub requests: i64,
    /// The number of requests for embeddings.
    pub embeddings: i64,
    /// The number of rerankings.
    pub rerankings: i64,
    /// The number of failed requests of all kinds.
    pub errors: i64,
    /// The number of requests of all kinds that the client cancelled.
    pub cancelled: i64,
    /// The tokens of answers and rerankings.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// The tokens that were embedded.
    pub embedded: i64,
    /// The cost in micro-dollars, of answers with a known price.
    pub cost: i64,
    /// The number of answers without a known price.
    pub unpriced: i64,
}

/// A statement with its parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub text: String,
    pub parameters: Vec<Parameter>,
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    Number(i64),
    Text(String),
}

impl Sql {
    /// Adds a parameter, and returns its placeholder `$n`. Placeholders must first occur in the
    /// order of their numbers, because SQLite counts them so.
    fn number(&mut self, value: i64) -> String {
        self.parameter(Parameter::Number(value))
    }

    /// Adds a parameter, and returns its placeholder.
    fn parameter(&mut self, value: Parameter) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }
}

/// The columns that a report reads.
const COLUMNS: [&str; 10] = [
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

/// The sums of a report, in the order in which [`ReportRow::read`] reads them. Embeddings and
/// rerankings are apart from answers: a chat with documents has several of them.
const SUMS: [&str; 13] = [
    "CASE WHEN kind IN ('embed', 'rerank') THEN 0 ELSE requests END",
    "CASE WHEN kind = 'embed' THEN requests ELSE 0 END",
    "CASE WHEN kind = 'rerank' THEN requests ELSE 0 END",
    "errors",
    "cancelled",
    "CASE WHEN kind = 'embed' THEN 0 ELSE prompt END",
    "cached",
    "cache_creation",
    "completion",
    "reasoning",
    "CASE WHEN kind = 'embed' THEN prompt ELSE 0 END",
    "cost",
    "unpriced",
];

impl UsageQuery {
    /// Returns the SQL: whole days come from the daily table, parts of the first and last day from
    /// single answers.
    ///
    /// `schema` is the prefix of table names. Columns: day, the seven fields, the user's name, and
    /// the sums.
    pub(crate) fn sql(&self, schema: &str) -> Sql {
        let mut sql = Sql::default();
        let (first, end) = (first_full_day(self.from), self.to.div_euclid(DAY));
        let daily = if first < end { first..end } else { 0..0 };
        let (from, to) = (sql.number(daily.start), sql.number(daily.end));
        let filters = self.filter_sql(&mut sql);
        let partial_days = if first <= end {
            [(self.from, first * DAY), (end * DAY, self.to)]
        } else {
            [(self.from, self.to), (0, 0)]
        };
        let partial_days = partial_days
            .map(|(from, to)| format!("(at >= {} AND at < {})", sql.number(from), sql.number(to)));
        let fields = UsageField::ALL.map(UsageField::column).join(", ");
        let all = COLUMNS.join(", ");
        let (columns, grouped) = self.columns(schema);
        let sums = SUMS.map(|sum| format!("CAST(COALESCE(sum({sum}), 0) AS BIGINT)")).join(", ");
        let group = if grouped.is_empty() {
            String::new()
        } else {
            format!("GROUP BY {}", grouped.join(", "))
        };
        let day = if self.by_day { "day," } else { "" };
        let limit = self
            .limit
            .map(|limit| format!("LIMIT {}", sql.number(limit.into())))
            .unwrap_or_default();
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
            partial_days.join(" OR "),
        );
        sql
    }

    /// Returns the conditions of the filters, in SQL.
    fn filter_sql(&self, sql: &mut Sql) -> String {
        let mut filters = String::new();
        for field in UsageField::ALL {
            let values: Vec<_> = self
                .filters
                .iter()
                .filter(|(only, _)| *only == field)
                .map(|(_, value)| {
                    sql.parameter(Parameter::Text(truncate_text(value.clone(), field.max_bytes())))
                })
                .collect();
            if !values.is_empty() {
                filters += &format!(" AND {} IN ({})", field.column(), values.join(", "));
            }
        }
        filters
    }

    /// Returns the columns before the sums, and those of them that are grouped by.
    fn columns(&self, schema: &str) -> (String, Vec<&'static str>) {
        let mut grouped = Vec::new();
        let mut column = |is_selected: bool, name: &'static str, kind: &str| {
            if is_selected {
                grouped.push(name);
                return name.to_owned();
            }
            format!("CAST(NULL AS {kind})")
        };
        let mut columns = vec![column(self.by_day, "day", "BIGINT")];
        columns.extend(
            UsageField::ALL.map(|field| column(self.by.contains(&field), field.column(), "TEXT")),
        );
        columns.push(if self.by.contains(&UsageField::User) {
            format!("(SELECT name FROM {schema}usage_user AS who WHERE who.user_id = seen.user_id)")
        } else {
            "CAST(NULL AS TEXT)".into()
        });
        (columns.join(", "), grouped)
    }
}

impl ReportRow {
    /// Reads a row of [`UsageQuery::sql`] by column number.
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
            embeddings: sum(10)?,
            rerankings: sum(11)?,
            errors: sum(12)?,
            cancelled: sum(13)?,
            tokens: Tokens {
                prompt: sum(14)?,
                cached: sum(15)?,
                cache_creation: sum(16)?,
                completion: sum(17)?,
                reasoning: sum(18)?,
            },
            embedded: sum(19)?,
            cost: sum(20)?,
            unpriced: sum(21)?,
        })
    }
}

/// Returns the SQL for the spending of a user since this time.
pub(crate) fn spent_sql(user: &str, since: i64, schema: &str) -> Sql {
    let mut sql = Sql::default();
    let user = sql
        .parameter(Parameter::Text(truncate_text(user.to_owned(), UsageField::User.max_bytes())));
    let day = sql.number(first_full_day(since));
    let (from, to) = (sql.number(since), sql.number(first_full_day(since) * DAY));
    sql.text = format!(
        "SELECT CAST(COALESCE(sum(cost), 0) AS BIGINT) FROM (\
           SELECT cost FROM {schema}usage_daily WHERE user_id = {user} AND day >= {day} \
         UNION ALL \
           SELECT cost FROM {schema}usage WHERE user_id = {user} AND at >= {from} AND at < {to}) AS costs"
    );
    sql
}

/// Returns the first day that begins at this time or later.
pub(crate) fn first_full_day(at: i64) -> i64 {
    at.div_euclid(DAY) + i64::from(at.rem_euclid(DAY) != 0)
}
