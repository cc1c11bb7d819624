//! Names in valves that no model has: an admin's slip that nobody would notice until it is too late.

use super::listing::Listing;
use crate::{
    meaning::named,
    names::bare,
    valves::{BedrockValves, listed},
};

/// What the valves name that cannot be asked, in words for an admin.
pub fn strays(listing: &Listing, valves: &BedrockValves) -> Option<String> {
    let is_stray = |name: &str| named(name, listing, valves).is_none();
    let aliases = listing.aliases.iter().map(|(_, target)| ("Other names", target));
    let links = listed(&valves.fallbacks).flat_map(|chain| chain.split('>').skip(1).map(bare));
    let links = links.map(|link| ("Fallbacks", link));
    let default = valves.default_model.as_deref().map(bare).filter(|name| !name.is_empty());
    let default = default.map(|name| ("Model for unknown ids", name));
    let asked = aliases.chain(links).chain(default).filter(|(_, name)| is_stray(name));
    let asked = asked.map(|(valve, name)| line(valve, name));

    let firsts = listed(&valves.fallbacks).filter_map(|chain| chain.split('>').next().map(bare));
    let firsts = firsts.filter(|name| !listing.has_like(name) && is_stray(name));
    let firsts = firsts.map(|name| line("Fallbacks", name));
    let nothing = (listing.is_empty() && listing.policy.is_narrow())
        .then(|| "Allowed models leaves none of those that there are".into());
    let mut lines: Vec<String> = asked.chain(firsts).chain(nothing).collect();
    lines.sort();
    lines.dedup();
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn line(valve: &str, name: &str) -> String {
    format!("{valve} names `{name}`, which is no model that can be asked")
}
