//! `PowerPoint` files: every slide with its title as heading, its texts, tables and notes.

mod slide;

use crate::{
    builder::DocumentBuilder, chart, document_info::DocumentInfo, error::ParseError,
    limits::Limits, package::Package, xml::XmlEvent,
};
use slide::SlideParser;

/// Parses a `PowerPoint` file. The slides are its pages.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main_part()?.unwrap_or_default();
    let relationships = package.relationships_of(&main)?;
    let mut slides = Vec::new();
    package.read_events(&main, |event| {
        if let XmlEvent::Start { local_name: "sldId", tag, .. } = event {
            // The slide's own number has the same local name.
            let id = tag.attributes().with_checks(false).flatten().find(|attribute| {
                attribute.key.prefix().is_some() && attribute.key.local_name().into_inner() == "id"
            });
            let id = id.map(|id| id.value.into_owned()).unwrap_or_default();
            slides.extend(relationships.target_of_id(&id).map(str::to_owned));
        }
        Ok(())
    })?;
    let title = package.read_title()?;
    for (number, part) in (1..).zip(&slides) {
        if number > limits.pages {
            return Err(ParseError::TooManyPages { pages: slides.len(), limit: limits.pages });
        }
        builder.page = Some(number);
        parse_slide(&mut package, number, part, builder)?;
    }
    builder.page = None;
    Ok(DocumentInfo { pages: u32::try_from(slides.len()).ok(), ..DocumentInfo::with_title(title) })
}

fn parse_slide(
    package: &mut Package<'_>,
    number: u32,
    part: &str,
    builder: &mut DocumentBuilder,
) -> Result<(), ParseError> {
    let relationships = package.relationships_of(part)?;
    let mut slide = SlideParser::default();
    package.read_events(part, |event| slide.handle_event(event, builder))?;
    let title = slide.title();
    match title.as_str() {
        "" => builder.push_heading(1, &format!("Slide {number}"))?,
        _ => builder.push_heading(1, &format!("Slide {number}: {title}"))?,
    }
    slide.write(builder)?;
    // The texts of diagrams (SmartArt) are in parts of their own.
    for part in relationships.targets("diagramData") {
        let mut diagram = SlideParser::default();
        package.read_events(part, |event| diagram.handle_event(event, builder))?;
        diagram.write(builder)?;
    }
    for part in relationships.targets("chart") {
        chart::parse(package, part, builder)?;
    }
    for part in relationships.targets("notesSlide") {
        let mut notes = SlideParser::default();
        package.read_events(part, |event| notes.handle_event(event, builder))?;
        let text = notes.text();
        if !text.is_empty() {
            builder.push_paragraph(&format!("Notes: {text}"))?;
        }
    }
    Ok(())
}
