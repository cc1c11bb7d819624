//! The usage report: as JSON, as CSV, and as a page with charts.

use super::{clock::unix_seconds, error::HttpError, state::HostState};
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
const DEFAULT_DAYS: i64 = 30;

/// The time that a report waits until recent usage is written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// `GET /usage?from=2026-01-01&to=2026-01-31&by=day,model&user=…&format=csv`.
pub async fn report(
    state: web::Data<HostState>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let ReportRequest { query, is_csv } = parse_query(request.query_string())?;
    let (by_day, by) = (query.by_day, query.by.clone());
    let (from, to) = (Day::from_unix_ms(query.from), Day::from_unix_ms(query.to - 1));
    // The answer that has just ended is part of it.
    state.usage_queue.flush(FLUSH_TIMEOUT).await;
    state.store.usage().flush(FLUSH_TIMEOUT).await;
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
            .body(csv::write_csv(by_day, &by, &rows, &model_names(&state, &rows))?));
    }
    let names = model_names(&state, &rows);
    let rows: Vec<_> = rows.iter().map(|row| row_object(row, &names)).collect();
    Ok(HttpResponse::Ok()
        .json(json!({"from": from.to_string(), "to": to.to_string(), "rows": rows})))
}

/// Returns the names of the models in these rows, by id, of those that the host still has.
fn model_names(state: &HostState, rows: &[ReportRow]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for id in rows.iter().filter_map(|row| row.model.as_ref()) {
        if let Some(name) = (!names.contains_key(id)).then(|| model_name(state, id)).flatten() {
            names.insert(id.clone(), name);
        }
    }
    names
}

/// Returns the name of a model in the picker.
fn model_name(state: &HostState, id: &str) -> Option<String> {
    let (slot, model) = state.registry.resolve(id)?;
    slot.resolve_model(&model)?.into_model().map(|model| model.name.clone())
}

/// The parameters of a report.
struct ReportRequest {
    query: UsageQuery,
    is_csv: bool,
}

fn parse_query(query: &str) -> Result<ReportRequest, HttpError> {
    let today = Day::from_unix_ms(i64::try_from(unix_seconds()).unwrap_or_default() * 1000);
    let (mut from, mut to) = (None, today);
    let mut request = ReportRequest {
        query: UsageQuery { by_day: true, by: vec![UsageField::Model], ..UsageQuery::default() },
        is_csv: false,
    };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "from" => from = Some(parse_day("from", &value)?),
            "to" => to = parse_day("to", &value)?,
            "by" => (request.query.by_day, request.query.by) = parse_grouping(&value)?,
            "limit" => {
                request.query.limit = Some(
                    value.parse().map_err(|_| query_error("limit", "must be a whole number"))?,
                );
            }
            "format" => {
                request.is_csv = match value.as_ref() {
                    "csv" => true,
                    "json" => false,
                    _ => return Err(query_error("format", "must be `json` or `csv`")),
                }
            }
            name => match parse_field(name) {
                Some(field) => request.query.filters.push((field, value.into_owned())),
                None => {
                    return Err(query_error(
                        name,
                        "is not known here: send `from`, `to`, `by`, `limit`, `format`, or what to look at, as in `user=…`",
                    ));
                }
            },
        }
    }
    let from = from.unwrap_or_else(|| to.minus_days(DEFAULT_DAYS - 1));
    if from.start() > to.start() {
        return Err(query_error("from", "must not be after `to`"));
    }
    (request.query.from, request.query.to) = (from.start(), to.end());
    Ok(request)
}

fn query_error(field: &str, rule: &str) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, format!("{field}: {rule}"))
        .param(Some(field.to_owned()))
}

fn parse_day(name: &str, value: &str) -> Result<Day, HttpError> {
    Day::from_str(value).map_err(|()| query_error(name, "must be a day, as in `2026-01-31`"))
}

/// Parses `by`: the fields by which rows are grouped.
fn parse_grouping(value: &str) -> Result<(bool, Vec<UsageField>), HttpError> {
    let (mut by_day, mut by) = (false, Vec::new());
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match (word, parse_field(word)) {
            ("day", _) => by_day = true,
            (_, Some(field)) if !by.contains(&field) => by.push(field),
            (_, Some(_)) => {}
            (_, None) => {
                let all: Vec<_> = UsageField::ALL.into_iter().map(field_name).collect();
                return Err(query_error(
                    "by",
                    &format!("must be made of `day`, `{}`", all.join("`, `")),
                ));
            }
        }
    }
    Ok((by_day, by))
}

fn parse_field(word: &str) -> Option<UsageField> {
    UsageField::ALL.into_iter().find(|field| field_name(*field) == word)
}

/// Returns the name of a field, in queries and reports.
fn field_name(field: UsageField) -> &'static str {
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
fn row_object(row: &ReportRow, model_names: &HashMap<String, String>) -> serde_json::Value {
    let mut object = json!(row);
    if let Some(day) = row.day {
        object["day"] = Day::from_unix_ms(day).to_string().into();
    }
    if let Some(name) = row.model.as_ref().and_then(|id| model_names.get(id)) {
        object["model_name"] = name.as_str().into();
    }
    if let Some(object) = object.as_object_mut() {
        object.shift_remove("cost");
        object.insert("cost_usd".into(), (row.cost as f64 / 1e6).into());
    }
    object
}
