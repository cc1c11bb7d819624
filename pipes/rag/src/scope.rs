//! The collections that chats are answered from, and the roles that may see them.

use pipe_sdk::User;
use retrieval::Viewer;
use std::collections::BTreeSet;

/// The collections of the valves, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CollectionScope(Vec<Entry>);

/// A collection, and the roles that may see it.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    name: String,
    /// The roles that may see it; empty for everyone.
    roles: BTreeSet<String>,
}

impl CollectionScope {
    /// Parses entries such as `handbook` and `salaries=admin|hr`; an error is the rule that they
    /// break.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        let entries: Result<Vec<_>, _> = texts.iter().map(|text| parse_entry(text)).collect();
        let entries = entries?;
        if entries.is_empty() {
            return Err("must name a collection".into());
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = entries.iter().find(|entry| !names.insert(&entry.name)) {
            return Err(format!(
                "must name `{}` once: who may see it would be unclear",
                twice.name
            ));
        }
        Ok(Self(entries))
    }

    /// Returns the first collection.
    pub(crate) fn first(&self) -> &str {
        self.0.first().map_or("", |entry| &entry.name)
    }

    /// Returns the collections that this user may see.
    pub(crate) fn visible_to(&self, user: Option<&User>) -> Vec<&str> {
        let role = user.and_then(|user| user.role.as_deref());
        let is_open = |entry: &&Entry| {
            entry.roles.is_empty() || role.is_some_and(|role| entry.roles.contains(role))
        };
        self.0.iter().filter(is_open).map(|entry| entry.name.as_str()).collect()
    }

    /// Returns true if the valves let this viewer see a collection.
    pub(crate) fn allows(&self, name: &str, viewer: &Viewer) -> bool {
        match (self.roles(name), viewer) {
            (None, _) | (Some(_), Viewer::Operator) => true,
            (Some(_), Viewer::Anonymous) => false,
            (Some(open), Viewer::User { roles, .. }) => {
                roles.iter().any(|role| open.contains(role))
            }
        }
    }

    /// Returns the roles of a collection; `None` if everyone may see it, or the valves do not name
    /// it.
    pub(crate) fn roles(&self, name: &str) -> Option<&BTreeSet<String>> {
        let entry = self.0.iter().find(|entry| entry.name == name)?;
        Some(&entry.roles).filter(|roles| !roles.is_empty())
    }
}

fn parse_entry(text: &str) -> Result<Entry, String> {
    let (name, roles) =
        text.split_once('=').map_or((text, None), |(name, roles)| (name, Some(roles)));
    let name = name.trim();
    check_name(name)?;
    let roles: BTreeSet<String> = roles
        .into_iter()
        .flat_map(|roles| roles.split('|'))
        .map(|role| role.trim().to_owned())
        .filter(|role| !role.is_empty())
        .collect();
    if text.contains('=') && roles.is_empty() {
        return Err(format!("must name roles after `{name}=`, as in `{name}=admin|hr`"));
    }
    Ok(Entry { name: name.to_owned(), roles })
}

/// Checks the name of a collection, which is part of paths; an error is the rule that it breaks.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fits = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.');
    let is_dots = name.chars().all(|char| char == '.');
    if name.is_empty() || name.chars().count() > 100 || !name.chars().all(fits) || is_dots {
        return Err("a collection's name has 1 to 100 letters, digits, `-`, `_` and `.`".into());
    }
    if matches!(name, "valves" | "filter") {
        return Err("a collection cannot be called `valves` or `filter`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(texts: &[&str]) -> Result<CollectionScope, String> {
        CollectionScope::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn roles_open_the_collections_that_name_them() {
        let scope = scope(&["handbook", "salaries = admin|hr"]).unwrap();
        let user = |role: &str| User { role: Some(role.into()), ..User::default() };
        assert_eq!(scope.visible_to(Some(&user("hr"))), ["handbook", "salaries"]);
        assert_eq!(scope.visible_to(Some(&user("user"))), ["handbook"]);
        assert_eq!(scope.visible_to(None), ["handbook"]);
        assert_eq!(scope.first(), "handbook");
    }

    #[test]
    fn names_that_cannot_stand_in_a_path_and_roles_that_are_nobody_are_refused() {
        for texts in [&["a/b"][..], &[""], &[], &["a="], &["a=|"], &[".."], &["a b"], &["valves"]] {
            assert!(scope(texts).is_err(), "{texts:?}");
        }
    }
}
