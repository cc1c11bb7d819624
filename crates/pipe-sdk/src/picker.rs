//! Names of models as pickers show them.

/// The characters of a name that Open WebUI's picker shows.
pub const PICKER_WIDTH: usize = 24;

/// The audience of a model: the people who find it in pickers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PickerAudience {
    /// Everyone.
    #[default]
    Everyone,
    /// Admins; and everyone else whose role is not known.
    Admins,
    /// The picker shows the model to nobody. It can be called by its id.
    Nobody,
}

/// Shortens a name to [`PICKER_WIDTH`] characters. It keeps the beginning and the end, because
/// versions are at the end: `llama-3.3-70b-versatile-preview` becomes `llama-3.3-70b-v…-preview`.
pub fn shorten_name(name: &str) -> String {
    shorten(name, PICKER_WIDTH)
}

/// Shortens a name to this number of characters.
fn shorten(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let end = width / 3;
    let start = width.saturating_sub(end + 1);
    let before: String = name.chars().take(start).collect();
    let after: String = name.chars().skip(length - end).collect();
    format!("{}…{}", before.trim_end(), after.trim_start())
}

/// Describes how much a model reads, as in `200k context`.
pub fn describe_context(tokens: u64) -> String {
    match tokens {
        1_000_000.. => format!("{}M context", tokens / 1_000_000),
        1_000.. => format!("{}k context", tokens / 1_000),
        _ => format!("{tokens} tokens of context"),
    }
}

/// Fills a template with the names of the models whose ids are in braces.
///
/// For example, `Smart: {ollama/llama3} → {bedrock_models.amazon.nova-pro-v1:0}` becomes `Smart:
/// llama3 → Nova Pro`. Where `name_of` knows no name, the last part of the id has to do.
pub fn fill_name(template: &str, name_of: impl Fn(&str) -> Option<String>) -> String {
    fill_name_shortened(template, usize::MAX, name_of)
}

/// Fills a template as [`fill_name`] does, and shortens the names in it, so that the whole has this
/// number of characters at most: `Smart: llam…on → clau…-5`.
pub fn fill_name_shortened(
    template: &str,
    width: usize,
    name_of: impl Fn(&str) -> Option<String>,
) -> String {
    let (mut texts, mut names, mut rest) = (Vec::new(), Vec::new(), template);
    while let Some((before, (id, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        texts.push(before);
        names.push(name_of(id).unwrap_or_else(|| last_part(id).to_owned()));
        rest = after;
    }
    texts.push(rest);
    let fixed: usize = texts.iter().map(|text| text.chars().count()).sum();
    let name_width = widest(&names, width.saturating_sub(fixed));
    let names = names.iter().map(|name| shorten(name, name_width)).chain([String::new()]);
    texts.into_iter().zip(names).map(|(text, name)| text.to_owned() + &name).collect()
}

/// Returns the largest width of a name with which all of them have room in this width.
fn widest(names: &[String], width: usize) -> usize {
    let mut lengths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    lengths.sort_unstable();
    let (mut left, mut count) = (width, lengths.len());
    for length in lengths {
        // The room that a short name leaves over is for the longer ones.
        if length > left / count {
            return left / count;
        }
        left -= length;
        count -= 1;
    }
    usize::MAX
}

/// Returns the distinguishing part of a model's id: `nova-lite-v1` of
/// `bedrock_models.us.amazon.nova-lite-v1:0`.
fn last_part(id: &str) -> &str {
    let id = id.rsplit('/').next().unwrap_or(id);
    // The revision of Bedrock's ids tells nothing; the tag of Ollama's does.
    let is_revision = |tag: &str| tag.chars().all(|char| char.is_ascii_digit());
    let id = id.rsplit_once(':').filter(|(_, tag)| is_revision(tag)).map_or(id, |(id, _)| id);
    let is_word = |part: &str| part.starts_with(|char: char| char.is_alphabetic());
    let mut start =
        id.match_indices('.').filter(|(dot, _)| is_word(id.get(dot + 1..).unwrap_or("")));
    start.next_back().and_then(|(dot, _)| id.get(dot + 1..)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_beginning_and_end() {
        assert_eq!(shorten_name("Claude Sonnet 4.5 (US)"), "Claude Sonnet 4.5 (US)");
        let short = shorten_name("llama-3.3-70b-versatile-preview");
        assert_eq!(short, "llama-3.3-70b-v…-preview");
        assert_eq!(short.chars().count(), PICKER_WIDTH);
    }

    #[test]
    fn templates_take_names_and_ids() {
        let name_of = |id: &str| (id == "a.b").then(|| "Nova Pro".to_owned());
        assert_eq!(fill_name("Smart: {x/llama3} → {a.b}", name_of), "Smart: llama3 → Nova Pro");
        assert_eq!(
            fill_name("Documents · {p.us.amazon.nova-lite-v1:0}", |_| None),
            "Documents · nova-lite-v1"
        );
        assert_eq!(fill_name("{openai_proxy.llama3.2:3b}", |_| None), "llama3.2:3b");
        assert_eq!(fill_name("a { b", |_| None), "a { b");
    }

    #[test]
    fn names_within_a_name_are_shortened() {
        let template = "Smart: {llama3.2-vision} → {x.claude-sonnet-4-5}";
        let short = fill_name_shortened(template, PICKER_WIDTH, |_| None);
        assert_eq!(short, "Smart: llam…on → clau…-5");
        assert!(short.chars().count() <= PICKER_WIDTH);
        let short =
            fill_name_shortened("Smart: {a} → {claude-sonnet-4-5}", PICKER_WIDTH, |_| None);
        assert_eq!(short, "Smart: a → claude-s…-4-5");
    }
}
