//! Charts of Office files: titles, and the values that the program stored beside the chart.

use crate::{
    builder::DocumentBuilder,
    document::BlockContent,
    error::ParseError,
    package::Package,
    xml::{XmlEvent, attribute},
};
use quick_xml::events::BytesStart;

/// The most points of a series that are read.
const MAX_POINTS: usize = 10_000;

/// Adds a chart to the document: its titles as a paragraph, its values as a table with a column for
/// each series.
pub(crate) fn parse(
    package: &mut Package<'_>,
    part: &str,
    builder: &mut DocumentBuilder,
) -> Result<(), ParseError> {
    let mut chart = ChartParser::default();
    package.read_events(part, |event| chart.handle_event(event, builder))?;
    let titles: Vec<&str> =
        chart.titles.iter().map(|title| title.trim()).filter(|title| !title.is_empty()).collect();
    if !titles.is_empty() {
        builder.push_paragraph(&format!("Chart: {}", titles.join("; ")))?;
    }
    let rows = chart.into_rows();
    if rows.len() > 1 { builder.push(BlockContent::Table(rows)) } else { Ok(()) }
}

/// The parser of a chart.
#[derive(Default)]
struct ChartParser {
    /// The titles of the chart and its axes.
    titles: Vec<String>,
    series: Vec<Series>,
    is_title: bool,
    field: Option<Field>,
    /// The index of the open point.
    point: usize,
    is_text: bool,
}

/// A series of values.
#[derive(Default)]
struct Series {
    name: String,
    categories: Vec<String>,
    values: Vec<String>,
}

/// The part of a series that is open.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Name,
    Categories,
    Values,
}

impl ChartParser {
    fn handle_event(
        &mut self,
        event: XmlEvent<'_>,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        match event {
            XmlEvent::Start { local_name, tag, .. } => self.start_element(local_name, tag),
            XmlEvent::End { local_name, .. } => self.end_element(local_name),
            XmlEvent::Text(text) if self.is_text => {
                builder.charge(text.len())?;
                self.push_text(text);
            }
            XmlEvent::Text(_) => {}
        }
        Ok(())
    }

    fn start_element(&mut self, name: &str, tag: &BytesStart<'_>) {
        match name {
            "title" => {
                self.is_title = true;
                self.titles.push(String::new());
            }
            "ser" => self.series.push(Series::default()),
            "tx" if !self.is_title => self.field = Some(Field::Name),
            "cat" | "xVal" => self.field = Some(Field::Categories),
            "val" | "yVal" => self.field = Some(Field::Values),
            "pt" => {
                let index = attribute(tag, "idx").and_then(|index| index.parse().ok());
                self.point = index.unwrap_or_default();
            }
            "t" => self.is_text = self.is_title,
            "v" => self.is_text = self.field.is_some() || self.is_title,
            _ => {}
        }
    }

    fn end_element(&mut self, name: &str) {
        match name {
            "title" => self.is_title = false,
            "tx" | "cat" | "xVal" | "val" | "yVal" if !self.is_title => self.field = None,
            "t" | "v" => self.is_text = false,
            _ => {}
        }
    }

    fn push_text(&mut self, text: &str) {
        if self.is_title {
            if let Some(title) = self.titles.last_mut() {
                title.push_str(text);
            }
            return;
        }
        let (Some(field), Some(series)) = (self.field, self.series.last_mut()) else { return };
        let points = match field {
            Field::Name => return series.name.push_str(text),
            Field::Categories => &mut series.categories,
            Field::Values => &mut series.values,
        };
        if self.point < MAX_POINTS {
            points.resize(points.len().max(self.point + 1), String::new());
            points[self.point].push_str(text);
        }
    }

    /// Returns a row of names, and one for each category.
    fn into_rows(self) -> Vec<Vec<String>> {
        let longest = self.series.iter().map(|series| series.values.len()).max();
        let categories = self.series.iter().map(|series| &series.categories);
        let categories = categories.max_by_key(|categories| categories.len());
        let names = self.series.iter().map(|series| series.name.clone());
        let mut rows = vec![[String::new()].into_iter().chain(names).collect::<Vec<_>>()];
        for at in 0..longest.unwrap_or_default() {
            let category = categories.and_then(|all| all.get(at)).cloned().unwrap_or_default();
            let values = self.series.iter().map(|series| series.values.get(at).cloned());
            let values = values.map(Option::unwrap_or_default);
            rows.push([category].into_iter().chain(values).collect());
        }
        rows
    }
}
