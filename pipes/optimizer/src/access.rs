//! Decides who may use which approaches.

use crate::approach::{Approach, ApproachWord, parse_word};
use pipe_sdk::{CallContext, PipeError, Result};

/// Rules of the form `admin=*; *=re2,bon; key:ci=moa; user:42=`.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessRules(Vec<AccessRule>);

/// The approaches that some callers may use.
#[derive(Clone, Debug)]
struct AccessRule {
    subject: Subject,
    /// `None`: all of them.
    approaches: Option<Vec<Approach>>,
}

/// The callers of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Everyone,
    Role(String),
    Key(String),
    User(String),
}

impl AccessRules {
    /// Parses the rules.
    ///
    /// # Errors
    /// Returns a message for a form if a rule is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rules = text.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        rules.map(parse_rule).collect::<Result<_, _>>().map(Self)
    }

    /// Refuses approaches that the caller may not use. The rules of a key, a user and a role that
    /// match are combined; without one, the rule for everyone applies.
    ///
    /// # Errors
    /// Returns [`PipeError::Denied`], with the approaches that may be used.
    pub fn check(&self, context: &CallContext, approach: Approach) -> Result<()> {
        let subjects = [
            context.key.as_deref().map(|key| Subject::Key(key.into())),
            context.user.as_ref().map(|user| Subject::User(user.id.clone())),
            context.user.as_ref().and_then(|user| user.role.clone()).map(Subject::Role),
        ];
        let fits = |rule: &&AccessRule| subjects.iter().flatten().any(|one| *one == rule.subject);
        let mut rules: Vec<_> = self.0.iter().filter(fits).collect();
        if rules.is_empty() {
            rules = self.0.iter().filter(|rule| rule.subject == Subject::Everyone).collect();
        }
        let allows = |rule: &&AccessRule| {
            rule.approaches.as_ref().is_none_or(|approaches| approaches.contains(&approach))
        };
        if rules.is_empty() || approach == Approach::None || rules.iter().any(allows) {
            return Ok(());
        }
        let allowed = rules.iter().flat_map(|rule| rule.approaches.iter().flatten());
        let allowed: Vec<_> = allowed.map(|approach| approach.name()).collect();
        let name = approach.name();
        let way_out = match allowed.as_slice() {
            [] => "ask for the model without an approach".to_owned(),
            some => format!("you may use {}", some.join(", ")),
        };
        Err(PipeError::Denied(format!("you may not use the approach `{name}`: {way_out}")))
    }
}

fn parse_rule(text: &str) -> Result<AccessRule, String> {
    let (subject, approaches) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` must be of the form role=approaches"))?;
    let subject = match subject.trim() {
        "" => return Err(format!("`{text}` must be of the form role=approaches")),
        "*" => Subject::Everyone,
        other => match other.split_once(':') {
            Some(("key", name)) => Subject::Key(name.trim().into()),
            Some(("user", id)) => Subject::User(id.trim().into()),
            Some(("role", role)) => Subject::Role(role.trim().into()),
            Some(_) => return Err(format!("`{other}` must begin with key:, user: or role:")),
            None => Subject::Role(other.into()),
        },
    };
    let names: Vec<_> =
        approaches.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty()).collect();
    if names == ["*"] {
        return Ok(AccessRule { subject, approaches: None });
    }
    let approach = |name: &&str| match parse_word(name) {
        Some(ApproachWord::Approach(approach)) => Ok(approach),
        _ => Err(format!("there is no approach `{name}`")),
    };
    Ok(AccessRule {
        subject,
        approaches: Some(names.iter().map(approach).collect::<Result<_, _>>()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::User;

    fn may(rules: &str, role: Option<&str>, key: Option<&str>, approach: Approach) -> bool {
        let user =
            role.map(|role| User { id: "7".into(), role: Some(role.into()), ..User::default() });
        let context = CallContext::new(user, key.map(Into::into), None);
        AccessRules::parse(rules).unwrap().check(&context, approach).is_ok()
    }

    #[test]
    fn the_rule_that_fits_goes_before_that_for_everyone() {
        let rules = "*=re2,bon; admin=*; key:ci=moa; pending=";
        assert!(may("", Some("user"), None, Approach::Mcts));
        assert!(may(rules, Some("user"), None, Approach::Bon));
        assert!(!may(rules, Some("user"), None, Approach::Moa));
        assert!(!may(rules, None, None, Approach::Moa));
        assert!(may(rules, Some("admin"), None, Approach::Moa));
        assert!(may(rules, None, Some("ci"), Approach::Moa));
        assert!(!may(rules, None, Some("ci"), Approach::Bon));
        assert!(!may(rules, Some("pending"), None, Approach::Re2));
        assert!(may(rules, Some("pending"), None, Approach::None));
        assert!(may("user:7=moa; *=", Some("user"), None, Approach::Moa));
    }

    #[test]
    fn an_invalid_rule_is_reported() {
        for rules in ["admin", "=moa", "group:x=moa", "*=nonsense", "*=deepconf"] {
            assert!(AccessRules::parse(rules).is_err(), "{rules}");
        }
    }
}
