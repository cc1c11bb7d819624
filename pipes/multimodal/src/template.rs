//! The template of an answer: the blocks into which the answers of the models are put.

use crate::section_kind::SectionKind;

/// A template of blocks, each for one kind of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Block>);

/// The text around the answer for one kind of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub kind: SectionKind,
    pub before: String,
    pub after: String,
}

/// The blank line between two blocks.
pub(crate) const SEPARATOR: &str = "\n\n";

impl Default for Template {
    fn default() -> Self {
        let block = |kind: SectionKind| {
            let before = format!("{}:\n", kind.word().to_uppercase());
            Block { kind, before, after: String::new() }
        };
        Self(SectionKind::ALL.map(block).to_vec())
    }
}

impl Template {
    /// Parses a template. A block without a placeholder belongs to the block after it; the last
    /// one, to the block before it.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.replace("\\n", "\n");
        let mut blocks: Vec<Block> = Vec::new();
        let mut literal = String::new();
        for block in text.split(SEPARATOR).map(|block| block.trim_matches('\n')) {
            if !literal.is_empty() {
                literal.push_str(SEPARATOR);
            }
            literal.push_str(block);
            if let Some((kind, before, after)) = split(&literal)? {
                if blocks.iter().any(|block| block.kind == kind) {
                    return Err(format!("must hold `{}` once", placeholder(kind)));
                }
                blocks.push(Block { kind, before: before.into(), after: after.into() });
                literal.clear();
            }
        }
        for kind in [SectionKind::Text, SectionKind::Images] {
            if !blocks.iter().any(|block| block.kind == kind) {
                return Err(format!("must hold `{}`", placeholder(kind)));
            }
        }
        if let Some(last) = blocks.last_mut().filter(|_| !literal.is_empty()) {
            last.after = format!("{}{SEPARATOR}{literal}", last.after);
        }
        // Sections that the template has no place for come last, under their headings.
        for block in Self::default().0 {
            if !blocks.iter().any(|one| one.kind == block.kind) {
                blocks.push(block);
            }
        }
        Ok(Self(blocks))
    }

    /// Returns the blocks for these kinds of input, in order.
    pub fn blocks(&self, kinds: &[SectionKind]) -> Vec<Block> {
        self.0.iter().filter(|block| kinds.contains(&block.kind)).cloned().collect()
    }
}

/// Returns the placeholder of a kind of input: `{{text}}`.
fn placeholder(kind: SectionKind) -> String {
    format!("{{{{{}}}}}", kind.word())
}

/// Splits a block at its placeholder.
fn split(block: &str) -> Result<Option<(SectionKind, &str, &str)>, String> {
    let mut found = None;
    for kind in SectionKind::ALL {
        let Some((before, after)) = block.split_once(&placeholder(kind)) else { continue };
        if found.is_some() {
            return Err("must have a blank line (`\\n\\n`) between two placeholders".into());
        }
        found = Some((kind, before, after));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SectionKind::{Audio, Files, Images, Text};

    #[test]
    fn blocks_are_read_in_their_order() {
        let template =
            Template::parse(r"# Seen\n{{images}}\n\nand now\n\nSaid: {{text}}!\n\nThe end")
                .unwrap();
        let blocks = template.blocks(&[Text, Images]);
        let around = |at: usize| (blocks[at].before.as_str(), blocks[at].after.as_str());
        assert_eq!((blocks[0].kind, around(0)), (Images, ("# Seen\n", "")));
        assert_eq!((blocks[1].kind, around(1)), (Text, ("and now\n\nSaid: ", "!\n\nThe end")));
        let kinds: Vec<_> = template.0.iter().map(|block| block.kind).collect();
        assert_eq!(kinds, [Images, Text, Files, Audio]);
    }

    #[test]
    fn a_template_needs_text_and_images_once_each() {
        for (text, rule) in [
            ("{{text}}", "must hold `{{images}}`"),
            ("", "must hold `{{text}}`"),
            ("{{text}} {{images}}", "must have a blank line"),
            (r"{{text}}\n\n{{images}}\n\n{{text}}", "must hold `{{text}}` once"),
        ] {
            assert!(Template::parse(text).unwrap_err().starts_with(rule), "{text}");
        }
    }
}
