//! The error of a request whose field breaks a rule.

use pipe_sdk::PipeError;

/// Returns the error for a field that breaks a rule, as in `must be a text`. The message names the
/// field too, because not every API has a place of its own for it.
pub fn field_error(field: &str, rule: &str) -> PipeError {
    PipeError::bad_field(field, format!("{field}: {rule}"))
}
