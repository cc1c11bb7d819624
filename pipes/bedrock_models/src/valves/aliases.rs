//! The valve *Model aliases*, other names for models: `gpt-4o=us.amazon.nova-pro-v1:0,
//! gpt-*=us.amazon.nova-lite-v1:0`.

use crate::model_id::strip_pipe_id;
use pipe_sdk::{matches_glob, split_list};
use std::borrow::Cow;

/// Names and the models that they mean.
#[derive(Debug, Default)]
pub struct Aliases(Vec<Alias>);

/// A name for a model id, or for another alias.
#[derive(Debug)]
struct Alias {
    /// The name, which may hold `*`.
    name: String,
    target: String,
}

impl Aliases {
    /// Parses the valve. Invalid items are left out: the form has refused them already.
    pub fn parse(valve: &Option<String>) -> Self {
        Self(split_list(valve).filter_map(Alias::parse).collect())
    }

    /// Returns the error of the valve, if there is one.
    pub fn validate(valve: &Option<String>) -> Option<String> {
        if let Some(entry) = split_list(valve).find(|entry| Alias::parse(entry).is_none()) {
            return Some(format!(
                "`{entry}` must be a name, `=` and a model, as in `gpt-4o=us.amazon.nova-pro-v1:0`"
            ));
        }
        let aliases = Self::parse(valve);
        let mut names: Vec<_> = aliases.0.iter().map(|alias| &alias.name).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("`{}` must not be named twice", twice[0]));
        }
        let circular = aliases.0.iter().find(|alias| aliases.is_circular(&alias.target));
        circular.map(|alias| format!("`{}` must not lead in a circle", alias.name))
    }

    /// Resolves an alias to its final target; other ids are returned unchanged. An alias in a
    /// region is its target in that region.
    pub fn resolve<'a>(&'a self, id: &'a str) -> Cow<'a, str> {
        let whole = self.follow(id);
        if whole == id
            && let Some((name, region)) = id.rsplit_once('@')
            && let target = self.follow(name)
            && target != name
        {
            return in_region(target, region).into();
        }
        whole.into()
    }

    /// Returns the id to which an alias leads, over other aliases if need be.
    fn follow<'a>(&'a self, id: &'a str) -> &'a str {
        let mut id = id;
        // A circle has been refused, so this many steps lead to the end.
        for _ in &self.0 {
            match self.target_of(id) {
                Some(target) => id = target,
                None => break,
            }
        }
        id
    }

    /// Returns the target of a pattern that matches this unknown id.
    pub fn match_pattern(&self, id: &str) -> Option<Cow<'_, str>> {
        let regional = id.rsplit_once('@');
        let mut targets =
            self.0.iter().filter(|alias| alias.is_pattern()).filter_map(|alias| {
                match regional.filter(|_| !alias.name.contains('@')) {
                    Some((name, region)) => matches_glob(&alias.name, name)
                        .then(|| in_region(&alias.target, region).into()),
                    None => matches_glob(&alias.name, id)
                        .then_some(Cow::Borrowed(alias.target.as_str())),
                }
            });
        targets.next().filter(|target| *target != id)
    }

    /// Returns every name with its target.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|Alias { name, target }| (name.as_str(), target.as_str()))
    }

    fn target_of(&self, id: &str) -> Option<&str> {
        let named = self.0.iter().find(|alias| !alias.is_pattern() && alias.name == id);
        named.map(|alias| alias.target.as_str())
    }

    fn is_circular(&self, target: &str) -> bool {
        let step = |id: &Cow<'_, str>| match self.target_of(id) {
            Some(target) => Some(Cow::Owned(target.to_owned())),
            None => self.match_pattern(id).map(|target| Cow::Owned(target.into_owned())),
        };
        let start = Some(Cow::Borrowed(target));
        std::iter::successors(start, step).take(self.0.len() + 1).count() > self.0.len()
    }
}

/// Returns this target in this region, whichever region it names itself.
fn in_region(target: &str, region: &str) -> String {
    let bare = target.rsplit_once('@').map_or(target, |(bare, _)| bare);
    format!("{bare}@{region}")
}

impl Alias {
    /// Parses an entry `name = model id`.
    fn parse(entry: &str) -> Option<Self> {
        let (name, target) = entry.split_once('=')?;
        let (name, target) = (strip_pipe_id(name), strip_pipe_id(target));
        let whole = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        // A name leads to one model.
        (whole(name) && whole(target) && !target.contains(['*', '=']))
            .then(|| Self { name: name.into(), target: target.into() })
    }

    fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(text: &str) -> Aliases {
        Aliases::parse(&Some(text.into()))
    }

    #[test]
    fn names_lead_to_their_models_by_way_of_others() {
        let aliases = aliases("best=good, good = bedrock_models.us.x-v1:0 , gpt-*=good");
        for (id, model) in
            [("best", "us.x-v1:0"), ("good", "us.x-v1:0"), ("gpt-4o", "gpt-4o"), ("y", "y")]
        {
            assert_eq!(aliases.resolve(id), model);
        }
        assert_eq!(aliases.match_pattern("gpt-4o").unwrap(), "good");
        assert_eq!(aliases.match_pattern("good"), None);
    }

    #[test]
    fn a_name_in_a_region_is_its_target_there() {
        let aliases =
            aliases("gpt-4o=us.pro, home=us.pro@us-east-1, gpt-*=us.lite, *@eu-west-1=eu.lite");
        for (id, target) in [
            ("gpt-4o@us-west-2", "us.pro@us-west-2"),
            ("home@us-west-2", "us.pro@us-west-2"),
            ("us.pro@us-west-2", "us.pro@us-west-2"),
        ] {
            assert_eq!(aliases.resolve(id), target);
        }
        assert_eq!(aliases.match_pattern("gpt-5@us-west-2").unwrap(), "us.lite@us-west-2");
        assert_eq!(aliases.match_pattern("other@eu-west-1").unwrap(), "eu.lite");
    }

    #[test]
    fn a_pattern_does_not_catch_what_it_leads_to() {
        let aliases = aliases("*sonnet*=us.sonnet, *=us.lite");
        for (id, model) in
            [("my-sonnet", "us.sonnet"), ("us.sonnet", "us.sonnet"), ("x", "us.lite")]
        {
            assert_eq!(aliases.match_pattern(id).unwrap_or(id.into()), model);
        }
    }

    #[test]
    fn an_error_names_its_entry() {
        for (valve, named) in [
            ("a", "`a`"),
            ("a=b, =c", "`=c`"),
            ("a=", "`a=`"),
            ("a=b c", "`a=b c`"),
            ("a=b*", "`a=b*`"),
            ("a=b=c", "`a=b=c`"),
            ("a=b, c=d, a=e", "`a`"),
            ("a=a", "`a`"),
            ("x=y, a=b, b=c, c=a", "`a`"),
            ("a*=b1, b*=a1", "`a*`"),
        ] {
            let error = Aliases::validate(&Some(valve.into())).unwrap();
            assert!(error.starts_with(named), "{valve}: {error}");
        }
        for valve in
            ["", "a=b, b=c", "gpt-*=us.x, *=us.x", "*=us.x", "*claude*=us.claude, *=us.lite"]
        {
            assert_eq!(Aliases::validate(&Some(valve.into())), None, "{valve}");
        }
    }
}
