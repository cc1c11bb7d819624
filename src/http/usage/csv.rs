//! A report as a table for spreadsheets.

use super::{Day, field_name};
use pipe_sdk::{PipeError, Result};
use std::collections::HashMap;
use store::{ReportRow, UsageField};

/// The columns of sums, after those of the grouping.
const SUM_COLUMNS: [&str; 12] = [
    "requests",
    "embeddings",
    "rerankings",
    "errors",
    "cancelled",
    "prompt_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "embedded_tokens",
    "cost_usd",
];

/// The name of an unknown user.
const UNKNOWN: &str = "unknown";

/// Returns the rows under a line of column names. Users and models have a column with their name
/// after that of their id.
pub fn write_csv(
    by_day: bool,
    by: &[UsageField],
    rows: &[ReportRow],
    model_names: &HashMap<String, String>,
) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let head =
        by_day.then_some("day").into_iter().chain(by.iter().flat_map(|field| columns(*field)));
    table.write_record(head.chain(SUM_COLUMNS)).map_err(PipeError::internal)?;
    for row in rows {
        let day = row.day.filter(|_| by_day).map(|day| Day::from_unix_ms(day).to_string());
        let names = by.iter().flat_map(|field| {
            let name = name(row, *field, model_names);
            [Some(value(row, *field)), name].into_iter().flatten().map(escape_formula)
        });
        let tokens = row.tokens;
        let sums = [
            row.requests,
            row.embeddings,
            row.rerankings,
            row.errors,
            row.cancelled,
            tokens.prompt,
            tokens.cached,
            tokens.cache_creation,
            tokens.completion,
            tokens.reasoning,
            row.embedded,
        ];
        let sums = sums.into_iter().map(|sum| sum.to_string());
        let cost = format!("{:.6}", row.cost as f64 / 1e6);
        let cells = day.into_iter().chain(names).chain(sums).chain([cost]);
        table.write_record(cells).map_err(PipeError::internal)?;
    }
    table.into_inner().map_err(|error| PipeError::internal(error.to_string()))
}

/// Returns the columns of a field.
fn columns(field: UsageField) -> impl Iterator<Item = &'static str> {
    let name = match field {
        UsageField::User => Some("user_name"),
        UsageField::Model => Some("model_name"),
        UsageField::Key
        | UsageField::Pipe
        | UsageField::Side
        | UsageField::Task
        | UsageField::Kind => None,
    };
    [Some(field_name(field)), name].into_iter().flatten()
}

/// Returns the name of the row's user or model, if the field has a column for names.
fn name<'a>(
    row: &'a ReportRow,
    field: UsageField,
    model_names: &'a HashMap<String, String>,
) -> Option<&'a str> {
    match field {
        UsageField::User => Some(row.name.as_deref().or(row.user.as_deref()).unwrap_or(UNKNOWN)),
        UsageField::Model => {
            let id = row.model.as_deref().unwrap_or_default();
            Some(model_names.get(id).map_or(id, String::as_str))
        }
        UsageField::Key
        | UsageField::Pipe
        | UsageField::Side
        | UsageField::Task
        | UsageField::Kind => None,
    }
}

/// Returns the value of a column.
fn value(row: &ReportRow, field: UsageField) -> &str {
    let value = match field {
        UsageField::User => &row.user,
        UsageField::Key => &row.key,
        UsageField::Model => &row.model,
        UsageField::Pipe => &row.pipe,
        UsageField::Side => &row.side,
        UsageField::Task => &row.task,
        UsageField::Kind => &row.kind,
    };
    value.as_deref().unwrap_or_default()
}

/// Escapes a text so that no spreadsheet takes it for a formula: ids are whatever clients send.
fn escape_formula(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_spreadsheet_would_run_is_only_text() {
        let row = ReportRow {
            user: Some("=HYPERLINK(\"x\")".into()),
            cost: 1_500_000,
            ..ReportRow::default()
        };
        let table = String::from_utf8(
            write_csv(false, &[UsageField::User], &[row], &HashMap::new()).unwrap(),
        )
        .unwrap();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("user,user_name,requests,"), "{table}");
        let harmless = "\"'=HYPERLINK(\"\"x\"\")\"";
        assert!(lines[1].starts_with(&format!("{harmless},{harmless},0,")), "{table}");
        assert!(lines[1].ends_with(",1.500000"), "{table}");
    }
}
