//! Who else may answer, and in which order (`docs/reference/bedrock.md`, "Choosing a model").

use crate::{
    attempts::{Means, Unanswered},
    catalogue::{Entry, Listing},
    family::{Lesson, Lessons},
    meaning::named,
    names::bare,
    valves::BedrockValves,
};
use pipe_sdk::{CallerId, PipeError, Result, split_list};

/// The answer of the first of these models that has one, and which that is.
///
/// What the first one says is the error if none can: it is the one that was asked. But if it was only busy or away, and another has said
/// what is wrong with the request, that is the error: to try again later would not help. If none of several is asked, because all of
/// them have failed again and again, the first one is asked all the same: not all regions are ever closed at once.
pub async fn first<'a, T, F>(
    entries: &'a [Entry],
    means: Means<'a>,
    mut ask: impl FnMut(&'a Entry, Means<'a>) -> F,
) -> Result<(&'a Entry, T)>
where
    F: Future<Output = Result<T, Unanswered>>,
{
    let (mut first_error, mut all_rest) = (None, entries.len() > 1);
    for (place, entry) in entries.iter().enumerate() {
        let answered = match means.forced.of_entry(entry, place) {
            Some(unanswered) => Err(unanswered),
            None => match means.admit(entry).await {
                Ok(()) => ask(entry, means).await,
                // Another one may have room.
                Err(error) => {
                    Err(Unanswered { error, passes_on: true, is_resting: false, is_told: false })
                }
            },
        };
        let Unanswered { error, passes_on, is_resting, is_told } = match answered {
            Ok(answer) => return Ok((entry, answer)),
            Err(unanswered) => unanswered,
        };
        all_rest &= is_resting;
        let Entry { id, region, .. } = entry;
        if let Some(next) = entries.get(place + 1).filter(|_| passes_on || place > 0) {
            let (next, next_region) = (&next.id, &next.region);
            let kind = error.kind();
            tracing::warn!(
                aws.model = id,
                aws.region = &**region,
                "`{id}` in {region} does not answer, so `{next}` in {next_region} is asked: {kind}."
            );
            // AWS may quote the prompt.
            tracing::debug!(aws.model = id, %error, "Why `{id}` does not answer.");
        }
        // A model further down may not take what the first one would have taken; that ends nothing.
        if !passes_on && first_error.is_none() {
            return Err(error);
        }
        let is_telling = is_told && !passes_on && matches!(error, PipeError::BadRequest { .. });
        match &first_error {
            Some(first) if !(is_telling && is_passing(first)) => {}
            _ => first_error = Some(error),
        }
    }
    if let Some(entry) = entries.first().filter(|_| all_rest) {
        let answered = ask(entry, Means { anyway: true, ..means }).await;
        return answered.map(|answer| (entry, answer)).map_err(|unanswered| unanswered.error);
    }
    Err(first_error.unwrap_or_else(|| PipeError::internal("nobody was there to be asked")))
}

/// Whether this error says no more than that the model is busy or away.
fn is_passing(error: &PipeError) -> bool {
    matches!(
        error,
        PipeError::Throttled { .. }
            | PipeError::Unavailable { .. }
            | PipeError::NotReady { .. }
            | PipeError::Timeout(_)
            | PipeError::Upstream(_)
    )
}

/// The model that was asked, and after it those that may answer in its place.
///
/// First its other regions, then the profile of its own geography, then the chains of the valve. Only those may leave the geography: an
/// admin has asked for it. They hold for answers to people alone: the vectors of another model would mean nothing beside those of the first.
pub fn candidates(
    asked: &Entry,
    listing: &Listing,
    lessons: &Lessons,
    caller: CallerId,
    valves: &BedrockValves,
) -> Vec<Entry> {
    let mut candidates = vec![asked.clone()];
    let home = geography(&asked.region);
    if valves.fallback_regions {
        let near = |entry: &&Entry| geography(&entry.region) == home;
        candidates.extend(listing.elsewhere(&asked.id).filter(near).cloned());
    }
    if valves.fallback_profiles && asked.id == asked.base {
        let profile = profiles_of(home)
            .iter()
            .find_map(|prefix| listing.entry(&format!("{prefix}{}", asked.base)));
        candidates.extend(profile.cloned());
    }
    let chains = split_list(&valves.fallbacks).filter(|_| asked.kind.answers_chats());
    for chain in chains {
        let mut links = chain.split('>').map(bare);
        let is_for = links.next().is_some_and(|first| {
            asked.is_meant(first) || is_another_name(first, asked, listing, valves)
        });
        let links = links.filter(|_| is_for).filter_map(|id| named(id, listing, valves));
        let links = links.map(|link| link.entry).filter(|entry| entry.kind == asked.kind);
        candidates.extend(links.cloned());
    }
    let mut seen = Vec::new();
    candidates.retain(|entry| {
        let key = (entry.id.clone(), entry.region.clone());
        let is_new = !seen.contains(&key);
        seen.push(key);
        is_new
    });
    // A model that has said that it answers under a profile's id only is not asked again in vain.
    let can = |entry: &Entry| !lessons.of(&entry.id, caller).contains(&Lesson::BaseId);
    if candidates.iter().any(can) {
        candidates.retain(can);
    }
    candidates
}

/// Whether an admin's name for a model means this one: an alias, an ARN, or the id of a profile that leads to it.
fn is_another_name(name: &str, asked: &Entry, listing: &Listing, valves: &BedrockValves) -> bool {
    named(name, listing, valves).is_some_and(|meant| {
        let is_there = !meant.is_pinned || meant.entry.region == asked.region;
        is_there && (meant.entry.id == asked.id || meant.entry.model_id == asked.model_id)
    })
}

/// The profile of the geography that leads to the model of this id, for one that has no other way in.
pub fn profile_of<'a>(id: &str, listing: &'a Listing, valves: &BedrockValves) -> Option<&'a Entry> {
    let homes = valves.regions.iter().map(|region| geography(region));
    let mut profiles = homes.flat_map(profiles_of).filter(|_| valves.fallback_profiles);
    profiles.find_map(|prefix| listing.entry(&format!("{prefix}{id}")))
}

/// Where a region is, as far as data may travel unasked: a country or the European Union, where it is known; else the region itself.
fn geography(region: &str) -> &str {
    match region {
        "ap-northeast-1" | "ap-northeast-3" => "jp",
        "ap-southeast-2" | "ap-southeast-4" => "au",
        "ap-south-1" | "ap-south-2" => "in",
        "eu-west-2" | "eu-central-2" => region,
        _ if region.starts_with("us-gov-") => "us-gov",
        _ => {
            let area = region.split('-').next().unwrap_or_default();
            ["us", "eu", "ca", "sa", "cn"]
                .into_iter()
                .find(|known| *known == area)
                .unwrap_or(region)
        }
    }
}

/// How the ids of the profile begin that stays within a geography. `apac.` spans countries, so it has to be asked for.
fn profiles_of(geography: &str) -> &'static [&'static str] {
    match geography {
        "us" => &["us."],
        "us-gov" => &["us-gov."],
        "eu" => &["eu."],
        "jp" => &["jp."],
        "au" => &["au."],
        "in" => &["in."],
        "ca" => &["ca."],
        "sa" => &["sa."],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geography_is_never_wider_than_its_profile() {
        for (region, place, profiles) in [
            ("us-east-1", "us", &["us."][..]),
            ("us-gov-west-1", "us-gov", &["us-gov."]),
            ("eu-central-1", "eu", &["eu."]),
            ("eu-west-2", "eu-west-2", &[]),
            ("ap-northeast-1", "jp", &["jp."]),
            ("ap-east-1", "ap-east-1", &[]),
            ("xx-moon-1", "xx-moon-1", &[]),
        ] {
            assert_eq!((geography(region), profiles_of(geography(region))), (place, profiles));
        }
    }
}
