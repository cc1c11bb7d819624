//! Who may have how much: the usual, and what is said of roles, users, keys and models.

use crate::allowance::{Allowance, Period, Unit};
use pipe_sdk::{CallContext, User, matches_glob};

/// The rules of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// What each person may have of whom nothing else is said.
    pub usual: Vec<Allowance>,
    /// What is said of some.
    pub exceptions: Vec<(LimitScope, Vec<Allowance>)>,
}

/// Of whom something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// Each person of this role.
    Role(String),
    /// This person, by id or e-mail.
    User(String),
    /// This key.
    Key(String),
    /// Each person, of the models whose ids fit this pattern; beside what they may have of all.
    Model(String),
    /// All together.
    Everybody,
}

/// What holds for a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The name of the window.
    pub key: String,
    /// How much may be had.
    pub allowance: Allowance,
    /// What is counted together.
    pub counted: Counted,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All that a person asks for.
    Person,
    /// What a person asks of the models whose ids fit this pattern.
    Model(String),
    /// All that everybody asks for.
    Everybody,
}

/// Who asks.
pub struct Caller<'a> {
    /// The id that is counted for; `None` if nobody knows who it is.
    user: Option<&'a str>,
    person: Option<&'a User>,
    key: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// Who is at the start of this context.
    pub fn new(context: &'a CallContext) -> Self {
        let person = context.user.as_ref();
        let user = person.map(|user| user.id.as_str()).filter(|id| !id.is_empty());
        Self { user, person, key: context.key.as_deref() }
    }

    fn is(&self, whose: &LimitScope, models: &[&str]) -> bool {
        let said = |of: fn(&User) -> Option<&str>, word: &str| {
            self.person.and_then(of).is_some_and(|known| known.eq_ignore_ascii_case(word))
        };
        match whose {
            LimitScope::Role(role) => said(|user| user.role.as_deref(), role),
            LimitScope::User(user) => {
                said(|user| Some(&user.id), user) || said(|user| user.email.as_deref(), user)
            }
            LimitScope::Key(key) => self.key == Some(key),
            LimitScope::Model(pattern) => models.iter().any(|model| matches_glob(pattern, model)),
            LimitScope::Everybody => true,
        }
    }

    /// The id by which the person's spending is known; empty for those of whom nothing is known.
    pub fn id(&self) -> String {
        self.user.unwrap_or_default().to_owned()
    }

    /// What windows of this person are named by; those of whom nothing is known share one.
    fn name(&self) -> String {
        self.user.map_or_else(|| "nobody".into(), |user| format!("user:{user}"))
    }
}

impl Rules {
    /// What holds for this person's request, which goes through these models.
    ///
    /// What is said of a person wins over what is said of a key, that over a role, that over the usual.
    pub fn of(&self, asker: &Caller<'_>, models: &[&str]) -> Vec<Rule> {
        let fitting = || self.exceptions.iter().filter(|(whose, _)| asker.is(whose, models));
        let personal = |rank: fn(&LimitScope) -> bool| fitting().find(|(whose, _)| rank(whose));
        let own = personal(|whose| matches!(whose, LimitScope::User(_)))
            .or_else(|| personal(|whose| matches!(whose, LimitScope::Key(_))))
            .or_else(|| personal(|whose| matches!(whose, LimitScope::Role(_))))
            .map_or(&self.usual, |(_, allowances)| allowances);
        let person = asker.name();
        let rule = |name: &str, allowance: &Allowance, counted| Rule {
            key: window(name, allowance),
            allowance: *allowance,
            counted,
        };
        let own = own.iter().map(|one| rule(&person, one, Counted::Person));
        let mut all: Vec<_> = own.collect();
        for (whose, allowances) in fitting() {
            let (name, counted) = match whose {
                LimitScope::Model(pattern) => {
                    (format!("{person} model:{pattern}"), Counted::Model(pattern.clone()))
                }
                LimitScope::Everybody => ("everybody".into(), Counted::Everybody),
                LimitScope::User(_) | LimitScope::Key(_) | LimitScope::Role(_) => continue,
            };
            all.extend(allowances.iter().map(|one| rule(&name, one, counted.clone())));
        }
        all
    }

    /// What a text says of some, as in `role admin: none; model *opus*: 5 requests/hour, $2/day`.
    pub fn exceptions(text: &str) -> Result<Vec<(LimitScope, Vec<Allowance>)>, String> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| exception(entry).map_err(|rule| format!("`{entry}`: {rule}"))).collect()
    }
}

/// Hits of different periods and units are counted apart, so that turning one valve leaves the others' counts as they are.
fn window(name: &str, allowance: &Allowance) -> String {
    format!("limit {name} {:?}/{:?}", allowance.unit, allowance.period)
}

fn exception(entry: &str) -> Result<(LimitScope, Vec<Allowance>), String> {
    const FORM: &str = "must be like `role admin: none`, `role guest: nobody`, `user ann@example.com: $5/day`, `key ci: 100 requests/hour`, `model *opus*: 5 requests/hour` or `everybody: 1000 requests/minute`";
    // Ids of models hold colons, so the last one that is followed by a blank parts the entry.
    let (whose, allowances) = entry.rsplit_once(": ").ok_or(FORM)?;
    let whose = match whose
        .trim()
        .split_once(' ')
        .map_or((whose.trim(), ""), |(kind, name)| (kind, name.trim()))
    {
        ("everybody", "") => LimitScope::Everybody,
        (_, "") => return Err(FORM.into()),
        ("role", name) => LimitScope::Role(name.into()),
        ("user", name) => LimitScope::User(name.into()),
        ("key", name) => LimitScope::Key(name.into()),
        ("model", name) => LimitScope::Model(name.into()),
        _ => return Err(FORM.into()),
    };
    match allowances.trim() {
        "none" => return Ok((whose, Vec::new())),
        "nobody" => {
            let nothing = Allowance { most: 0.0, unit: Unit::Requests, period: Period::Minute };
            return Ok((whose, vec![nothing]));
        }
        _ => {}
    }
    let allowances: Result<Vec<Allowance>, _> =
        allowances.split(',').map(|one| one.trim().parse()).collect();
    // 0 is no limit, as everywhere.
    let limited = allowances?.into_iter().filter(|allowance| allowance.most > 0.0);
    Ok((whose, limited.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_or_refused_by_name() {
        let read = Rules::exceptions("role admin: none; model us.x-v1:0: 5 requests/hour, $2/day;")
            .unwrap();
        assert_eq!(read[0], (LimitScope::Role("admin".into()), vec![]));
        assert_eq!(read[1].0, LimitScope::Model("us.x-v1:0".into()));
        assert_eq!(read[1].1.len(), 2);
        for text in
            ["admin: none", "role : none", "role admin", "model x: lots", "everybody else: none"]
        {
            let error = Rules::exceptions(text).unwrap_err();
            assert!(error.contains(text.trim()), "{error}");
        }
    }
}
