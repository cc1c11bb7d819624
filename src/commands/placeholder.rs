//! The text that an import writes in place of the value of a variable that is not set.

const START: &str = "<the value of ";

/// Returns the placeholder for the value of this variable.
pub fn for_variable(name: &str) -> String {
    format!("{START}{name}>")
}

/// Returns the names of the variables whose placeholders are in this text.
pub fn find_variables(text: &str) -> impl Iterator<Item = &str> {
    text.split(START).skip(1).filter_map(|rest| Some(rest.split_once('>')?.0))
}
