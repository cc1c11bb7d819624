//! Personas: instructions for the model, by name or as a text.

use std::collections::BTreeMap;

/// The name of the default persona.
pub(crate) const DEFAULT: &str = "helpful_assistant";

/// The instructions of the default persona.
const DEFAULT_TEXT: &str = "You are a helpful assistant.";

/// Instructions by the name of their persona.
pub(crate) type PersonaTable = BTreeMap<String, String>;

/// Parses the table of personas, and adds the default persona unless the table has it.
///
/// # Errors
/// The rule that the text breaks.
pub(crate) fn parse_table(text: Option<&str>) -> Result<PersonaTable, String> {
    let mut table = match text {
        None => PersonaTable::new(),
        Some(text) => serde_json::from_str(text).map_err(|_| {
            "must be a JSON object of texts, as in {\"pirate\": \"You are a pirate.\"}".to_owned()
        })?,
    };
    table.entry(DEFAULT.into()).or_insert_with(|| DEFAULT_TEXT.into());
    Ok(table)
}

/// Returns the instructions of this persona: those of the table, or the text itself.
///
/// # Errors
/// The rule that a name breaks which the table does not have.
pub(crate) fn resolve(
    persona: Option<&str>,
    table: &PersonaTable,
) -> Result<Option<String>, String> {
    let Some(persona) = persona.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match table.get(persona) {
        Some(text) => Ok(Some(text.clone())),
        None if persona.contains(char::is_whitespace) => Ok(Some(persona.to_owned())),
        None => {
            let names = table.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(format!("must be a text of several words, or one of these personas: {names}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_is_a_name_of_the_table_or_a_text() {
        let table = parse_table(Some(r#"{"pirate": "You are a pirate."}"#)).unwrap();
        let resolve = |persona| resolve(persona, &table);
        assert_eq!(resolve(Some("pirate")).unwrap().unwrap(), "You are a pirate.");
        assert_eq!(resolve(Some(DEFAULT)).unwrap().unwrap(), DEFAULT_TEXT);
        assert_eq!(resolve(Some("You are kind.")).unwrap().unwrap(), "You are kind.");
        assert_eq!(resolve(None).unwrap(), None);
        assert!(resolve(Some("pirat")).unwrap_err().contains("helpful_assistant, pirate"));
        for text in ["[]", "pirate", r#"{"pirate": 1}"#] {
            assert!(parse_table(Some(text)).is_err(), "{text}");
        }
    }
}
