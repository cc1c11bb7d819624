//! The rules: default quotas, and exceptions for roles, users, keys and models.

use crate::quota::{Period, Quota, Unit};
use pipe_sdk::{CallContext, User, matches_glob};

/// The rules of the valves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The quotas of each user without an exception.
    pub default_quotas: Vec<Quota>,
    /// The exceptions.
    pub exceptions: Vec<(LimitScope, Vec<Quota>)>,
}

/// The users or models that an exception applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// Each user of this role.
    Role(String),
    /// One user, by id or e-mail address.
    User(String),
    /// One API key, by its label.
    Key(String),
    /// Each user, for models whose ids match this pattern; in addition to the other quotas.
    Model(String),
    /// All users together.
    Everybody,
}

/// A quota that applies to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The key of the window.
    pub key: String,
    /// The quota.
    pub quota: Quota,
    /// The requests that are counted together.
    pub scope: CountingScope,
}

/// The requests that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountingScope {
    /// All requests of a user.
    User,
    /// The requests of a user to models whose ids match this pattern.
    UserAndModel(String),
    /// The requests of all users.
    Everyone,
}

/// The user and key of a request.
pub struct Caller<'a> {
    /// The id of the user; `None` if unknown.
    user: Option<&'a str>,
    person: Option<&'a User>,
    key: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// Returns the caller of this context.
    pub fn new(context: &'a CallContext) -> Self {
        let person = context.user.as_deref();
        let user = person.map(|user| user.id.as_str()).filter(|id| !id.is_empty());
        Self { user, person, key: context.key.as_deref() }
    }

    /// Returns whether a limit's scope includes this caller and one of these models.
    fn matches(&self, scope: &LimitScope, models: &[&str]) -> bool {
        let is_field = |field: fn(&User) -> Option<&str>, word: &str| {
            self.person.and_then(field).is_some_and(|known| known.eq_ignore_ascii_case(word))
        };
        match scope {
            LimitScope::Role(role) => is_field(|user| user.role.as_deref(), role),
            LimitScope::User(user) => {
                is_field(|user| Some(&user.id), user)
                    || is_field(|user| user.email.as_deref(), user)
            }
            LimitScope::Key(key) => self.key == Some(key),
            LimitScope::Model(pattern) => models.iter().any(|model| matches_glob(pattern, model)),
            LimitScope::Everybody => true,
        }
    }

    /// Returns the id under which spending is stored; empty for unknown users.
    pub fn id(&self) -> String {
        self.user.unwrap_or_default().to_owned()
    }

    /// Returns the part of window keys that names the user; unknown users share one.
    fn name(&self) -> String {
        self.user.map_or_else(|| "nobody".into(), |user| format!("user:{user}"))
    }
}

impl Rules {
    /// Returns the rules that apply to a request of this caller to these models.
    ///
    /// An exception for a user takes precedence over one for a key, that over one for a role, and
    /// that over the default.
    pub fn find_matching(&self, caller: &Caller<'_>, models: &[&str]) -> Vec<Rule> {
        let matching = || self.exceptions.iter().filter(|(scope, _)| caller.matches(scope, models));
        let personal = |rank: fn(&LimitScope) -> bool| matching().find(|(scope, _)| rank(scope));
        let own = personal(|scope| matches!(scope, LimitScope::User(_)))
            .or_else(|| personal(|scope| matches!(scope, LimitScope::Key(_))))
            .or_else(|| personal(|scope| matches!(scope, LimitScope::Role(_))))
            .map_or(&self.default_quotas, |(_, quotas)| quotas);
        let person = caller.name();
        let rule = |name: &str, quota: &Quota, counting_scope| Rule {
            key: window_key(name, quota),
            quota: *quota,
            scope: counting_scope,
        };
        let own = own.iter().map(|one| rule(&person, one, CountingScope::User));
        let mut all: Vec<_> = own.collect();
        for (scope, quotas) in matching() {
            let (name, counting_scope) = match scope {
                LimitScope::Model(pattern) => (
                    format!("{person} model:{pattern}"),
                    CountingScope::UserAndModel(pattern.clone()),
                ),
                LimitScope::Everybody => ("everybody".into(), CountingScope::Everyone),
                LimitScope::User(_) | LimitScope::Key(_) | LimitScope::Role(_) => continue,
            };
            all.extend(quotas.iter().map(|one| rule(&name, one, counting_scope.clone())));
        }
        all
    }

    /// Parses exceptions, as in `role admin: none; model *opus*: 5 requests/hour, $2/day`.
    pub fn parse_exceptions(text: &str) -> Result<Vec<(LimitScope, Vec<Quota>)>, String> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| parse_exception(entry).map_err(|rule| format!("`{entry}`: {rule}")))
            .collect()
    }
}

/// Returns the key of a window. Each unit and period has its own, so that changing one valve does
/// not reset the counts of others.
fn window_key(name: &str, quota: &Quota) -> String {
    format!("limit {name} {:?}/{:?}", quota.unit, quota.period)
}

fn parse_exception(entry: &str) -> Result<(LimitScope, Vec<Quota>), String> {
    /// Examples of rules, for error messages.
    const FORM: &str = "must be like `role admin: none`, `role guest: nobody`, `user ann@example.com: $5/day`, `key ci: 100 requests/hour`, `model *opus*: 5 requests/hour` or `everybody: 1000 requests/minute`";
    // Model ids contain colons, so the last colon before a space separates the quotas.
    let (scope, quotas) = entry.rsplit_once(": ").ok_or(FORM)?;
    let scope = match scope
        .trim()
        .split_once(' ')
        .map_or((scope.trim(), ""), |(kind, name)| (kind, name.trim()))
    {
        ("everybody", "") => LimitScope::Everybody,
        (_, "") => return Err(FORM.into()),
        ("role", name) => LimitScope::Role(name.into()),
        ("user", name) => LimitScope::User(name.into()),
        ("key", name) => LimitScope::Key(name.into()),
        ("model", name) => LimitScope::Model(name.into()),
        _ => return Err(FORM.into()),
    };
    match quotas.trim() {
        "none" => return Ok((scope, Vec::new())),
        "nobody" => {
            let nothing = Quota { amount: 0.0, unit: Unit::Requests, period: Period::Minute };
            return Ok((scope, vec![nothing]));
        }
        _ => {}
    }
    let quotas: Result<Vec<Quota>, _> = quotas.split(',').map(|one| one.trim().parse()).collect();
    // 0 means no limit, as in the other valves.
    let limited = quotas?.into_iter().filter(|quota| quota.amount > 0.0);
    Ok((scope, limited.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_or_refused_by_name() {
        let read =
            Rules::parse_exceptions("role admin: none; model us.x-v1:0: 5 requests/hour, $2/day;")
                .unwrap();
        assert_eq!(read[0], (LimitScope::Role("admin".into()), vec![]));
        assert_eq!(read[1].0, LimitScope::Model("us.x-v1:0".into()));
        assert_eq!(read[1].1.len(), 2);
        for text in
            ["admin: none", "role : none", "role admin", "model x: lots", "everybody else: none"]
        {
            let error = Rules::parse_exceptions(text).unwrap_err();
            assert!(error.contains(text.trim()), "{error}");
        }
    }
}
