//! Budgets of LiteLLM's configuration.

use super::{Imported, LIMITS};
use serde_json::{Map, Value};

/// Imports the budget of all people together, which two settings have.
pub fn import_budget(imported: &mut Imported, settings: &Map<String, Value>) {
    let Some(budget) = settings.get("max_budget").and_then(Value::as_f64) else { return };
    match settings.get("budget_duration").and_then(period) {
        Some(period) => {
            imported.set(LIMITS, "exceptions", format!("everybody: ${budget}/{period}"));
        }
        None => imported.note(
            "litellm_settings.max_budget: a budget needs a budget_duration of a day or a month here",
        ),
    }
}

/// Imports the budget of each person, which this setting has.
pub fn import_personal_budget(
    imported: &mut Imported,
    setting: &str,
    budget: Option<&Value>,
    duration: Option<&Value>,
) {
    let valve = match duration.and_then(period) {
        Some("day") => Some("budget_per_day"),
        Some(_) => Some("budget_per_month"),
        None => None,
    };
    match (valve, budget.and_then(Value::as_f64)) {
        (Some(valve), Some(budget)) => imported.set(LIMITS, valve, budget),
        _ if budget.is_none() && duration.is_none() => {}
        _ => imported.note(format!(
            "{setting}: a budget needs a duration of a day or a month here: set \
             rate_limit.budget_per_day or rate_limit.budget_per_month (docs/usage.md)"
        )),
    }
}

/// Returns the period here of a duration there.
fn period(duration: &Value) -> Option<&'static str> {
    match duration.as_str()? {
        "1d" | "24h" => Some("day"),
        "30d" | "31d" | "1mo" => Some("month"),
        _ => None,
    }
}
