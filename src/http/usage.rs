//! The usage report: as JSON, as CSV, and as a page with charts.

use super::{Error, State, unix_seconds};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use pipe_sdk::PipeError;
use serde_json::json;
use std::{collections::HashMap, str::FromStr, time::Duration};
use store::{ReportRow, UsageField, UsageQuery};

mod csv;
mod day;

use day::Day;

/// The number of days in a report without `from`.
const DAYS: i64 = 30;

/// The time that a report waits until recent usage is written.
const PATIENCE: Duration = Duration::from_secs(1);

/// `GET /usage?from=2026-01-01&to=2026-01-31&by=day,model&user=…&format=csv`.
pub async fn report(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Error> {
    let Wish { query, is_csv } = wish(request.query_string())?;
    let (by_day, by) = (query.by_day, query.by.clone());
    let (from, to) = (Day::of(query.from), Day::of(query.to - 1));
    // What has just been answered is part of it.
    state.usage_queue.flush(PATIENCE).await;
    state.store.usage().flush(PATIENCE).await;
    let rows = state.store.usage().report(query).await.map_err(|error| {
        tracing::warn!(%error, "The usage could not be reported.");
        let message =
            "the usage cannot be read because the database is away: try again soon".into();
        PipeError::Unavailable { message, retry_after: None }
    })?;
    if is_csv {
        let name = format!("attachment; filename=\"usage-{from}-{to}.csv\"");
        return Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header((header::CONTENT_DISPOSITION, name))
            .body(csv::text(by_day, &by, &rows, &model_names(&state, &rows))?));
    }
    let names = model_names(&state, &rows);
    let rows: Vec<_> = rows.iter().map(|row| shown(row, &names)).collect();
    Ok(HttpResponse::Ok()
        .json(json!({"from": from.to_string(), "to": to.to_string(), "rows": rows})))
}

/// Returns the names of the models in these rows, by id, of those that the host still has.
fn model_names(state: &State, rows: &[ReportRow]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for id in rows.iter().filter_map(|row| row.model.as_ref()) {
        if let Some(name) = (!names.contains_key(id)).then(|| model_name(state, id)).flatten() {
            names.insert(id.clone(), name);
        }
    }
    names
}

fn model_name(state: &State, id: &str) -> Option<String> {
    let (slot, model) = state.registry.resolve(id)?;
    slot.resolve_model(&model)?.into_model().map(|model| model.name)
}

/// The parameters of a report.
struct Wish {
    query: UsageQuery,
    is_csv: bool,
}

fn wish(query: &str) -> Result<Wish, Error> {
    let today = Day::of(i64::try_from(unix_seconds()).unwrap_or_default() * 1000);
    let (mut from, mut to) = (None, today);
    let mut wish = Wish {
        query: UsageQuery { by_day: true, by: vec![UsageField::Model], ..UsageQuery::default() },
        is_csv: false,
    };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "from" => from = Some(day("from", &value)?),
            "to" => to = day("to", &value)?,
            "by" => (wish.query.by_day, wish.query.by) = by(&value)?,
            "limit" => {
                wish.query.limit =
                    Some(value.parse().map_err(|_| misfit("limit", "must be a whole number"))?);
            }
            "format" => {
                wish.is_csv = match value.as_ref() {
                    "csv" => true,
                    "json" => false,
                    _ => return Err(misfit("format", "must be `json` or `csv`")),
                }
            }
            name => match field(name) {
                Some(field) => wish.query.filters.push((field, value.into_owned())),
                None => {
                    return Err(misfit(
                        name,
                        "is not known here: send `from`, `to`, `by`, `limit`, `format`, or what to look at, as in `user=…`",
                    ));
                }
            },
        }
    }
    let from = from.unwrap_or_else(|| to.earlier(DAYS - 1));
    if from.start() > to.start() {
        return Err(misfit("from", "must not be after `to`"));
    }
    (wish.query.from, wish.query.to) = (from.start(), to.end());
    Ok(wish)
}

fn misfit(field: &str, rule: &str) -> Error {
    Error::new(StatusCode::BAD_REQUEST, format!("{field}: {rule}")).param(Some(field.to_owned()))
}

fn day(name: &str, value: &str) -> Result<Day, Error> {
    Day::from_str(value).map_err(|()| misfit(name, "must be a day, as in `2026-01-31`"))
}

/// Parses `by`: the fields by which rows are grouped.
fn by(value: &str) -> Result<(bool, Vec<UsageField>), Error> {
    let (mut by_day, mut by) = (false, Vec::new());
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match (word, field(word)) {
            ("day", _) => by_day = true,
            (_, Some(field)) if !by.contains(&field) => by.push(field),
            (_, Some(_)) => {}
            (_, None) => {
                let all: Vec<_> = UsageField::ALL.into_iter().map(word_of).collect();
                return Err(misfit(
                    "by",
                    &format!("must be made of `day`, `{}`", all.join("`, `")),
                ));
            }
        }
    }
    Ok((by_day, by))
}

fn field(word: &str) -> Option<UsageField> {
    UsageField::ALL.into_iter().find(|field| word_of(*field) == word)
}

/// Returns the name of a field, in queries and reports.
fn word_of(field: UsageField) -> &'static str {
    match field {
        UsageField::User => "user",
        UsageField::Key => "key",
        UsageField::Model => "model",
        UsageField::Pipe => "pipe",
        UsageField::Side => "side",
        UsageField::Task => "task",
        UsageField::Kind => "kind",
    }
}

/// Returns a row with its day as a date, the name of its model, and its cost in US dollars.
fn shown(row: &ReportRow, model_names: &HashMap<String, String>) -> serde_json::Value {
    let mut shown = json!(row);
    if let Some(day) = row.day {
        shown["day"] = Day::of(day).to_string().into();
    }
    if let Some(name) = row.model.as_ref().and_then(|id| model_names.get(id)) {
        shown["model_name"] = name.as_str().into();
    }
    if let Some(shown) = shown.as_object_mut() {
        shown.shift_remove("cost");
        shown.insert("cost_usd".into(), (row.cost as f64 / 1e6).into());
    }
    shown
}
