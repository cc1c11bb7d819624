//! Spreadsheets: the cells of every sheet as tables, under the name of the sheet.

use crate::{
    builder::DocumentBuilder, document::BlockContent, document_info::DocumentInfo,
    error::ParseError, format::FileFormat, limits::Limits, open_document,
};
use calamine::{
    Data, DataType as _, ExcelDateTime, Ods, Reader, SheetType, Xls, Xlsb, Xlsx,
    open_workbook_from_rs,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    io::Cursor,
};

/// The size that an empty cell of a table takes in memory.
const EMPTY_CELL_BYTES: usize = 24;

/// Parses a workbook.
pub(crate) fn parse(
    bytes: &[u8],
    format: FileFormat,
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    match format {
        FileFormat::Xls => parse_ranges::<Xls<_>>(bytes, builder),
        FileFormat::Xlsb => parse_ranges::<Xlsb<_>>(bytes, builder),
        FileFormat::Ods => {
            let package = open_document::repack_workbook(bytes, limits)?;
            parse_ranges::<Ods<_>>(package.as_deref().unwrap_or(bytes), builder)
        }
        _ => parse_xlsx(bytes, builder),
    }?;
    Ok(DocumentInfo::with_title(None))
}

/// Parses a workbook whose sheets are read as a whole.
fn parse_ranges<'a, R>(bytes: &'a [u8], builder: &mut DocumentBuilder) -> Result<(), ParseError>
where
    R: Reader<Cursor<&'a [u8]>>,
    R::Error: Display,
{
    let mut workbook: R =
        open_workbook_from_rs(Cursor::new(bytes)).map_err(|error| workbook_error(&error))?;
    for name in worksheet_names(&workbook) {
        let range = workbook.worksheet_range(&name).map_err(|error| workbook_error(&error))?;
        let mut sheet = Sheet::default();
        for (row, column, value) in range.used_cells() {
            sheet.push(row, column, value, builder)?;
        }
        sheet.write(&name, builder)?;
    }
    Ok(())
}

/// Parses an Excel workbook cell by cell: a sheet with two distant cells would be huge as a whole.
fn parse_xlsx(bytes: &[u8], builder: &mut DocumentBuilder) -> Result<(), ParseError> {
    let mut workbook: Xlsx<Cursor<&[u8]>> =
        open_workbook_from_rs(Cursor::new(bytes)).map_err(|error| workbook_error(&error))?;
    for name in worksheet_names(&workbook) {
        let mut sheet = Sheet::default();
        let mut cells =
            workbook.worksheet_cells_reader(&name).map_err(|error| workbook_error(&error))?;
        while let Some(cell) = cells.next_cell().map_err(|error| workbook_error(&error))? {
            let (row, column) = cell.get_position();
            let value = Data::from(cell.get_value().clone());
            sheet.push(to_usize(row), to_usize(column), &value, builder)?;
        }
        sheet.write(&name, builder)?;
    }
    Ok(())
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn worksheet_names<'a, R: Reader<Cursor<&'a [u8]>>>(workbook: &R) -> Vec<String> {
    let sheets = workbook.sheets_metadata().iter();
    sheets
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| sheet.name.clone())
        .collect()
}

fn workbook_error(error: &impl Display) -> ParseError {
    let message = error.to_string();
    if message.contains("password") {
        ParseError::PasswordProtected
    } else {
        ParseError::Damaged("its workbook is incomplete".to_owned())
    }
}

/// The cells of a sheet that have a value, by row and column.
#[derive(Default)]
struct Sheet {
    rows: BTreeMap<usize, BTreeMap<usize, Cell>>,
}

/// A cell with a value.
struct Cell {
    text: String,
    is_text: bool,
}

impl Sheet {
    /// Adds a cell.
    fn push(
        &mut self,
        row: usize,
        column: usize,
        value: &Data,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        let text = format_value(value);
        if !text.trim().is_empty() {
            builder.charge(text.len() + EMPTY_CELL_BYTES)?;
            let cell = Cell { text: text.trim().to_owned(), is_text: value.is_string() };
            self.rows.entry(row).or_default().insert(column, cell);
        }
        Ok(())
    }

    /// Adds the sheet to the document: its name as heading, and a table for each region of rows
    /// that no empty row divides.
    fn write(self, name: &str, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        builder.push_heading(1, name)?;
        let mut regions: Vec<Region> = Vec::new();
        let mut last_row = None;
        for (row, cells) in self.rows {
            match regions.last_mut() {
                Some(region) if last_row == row.checked_sub(1) => region.rows.push(cells),
                Some(region) if region.is_continued_by(&cells) => region.rows.push(cells),
                _ => regions.push(Region { rows: vec![cells] }),
            }
            last_row = Some(row);
        }
        regions.into_iter().try_for_each(|region| region.write(builder))
    }
}

/// Rows of a sheet that belong together.
struct Region {
    rows: Vec<BTreeMap<usize, Cell>>,
}

impl Region {
    /// Returns whether a row after an empty one is data below this region's header, instead of the
    /// header of another table.
    fn is_continued_by(&self, row: &BTreeMap<usize, Cell>) -> bool {
        let Some(header) = self.rows.iter().find(|row| row.len() > 1) else { return false };
        header.values().all(|cell| cell.is_text)
            && row.len() > 1
            && row.values().any(|cell| !cell.is_text)
            && row.keys().all(|column| header.contains_key(column))
    }

    /// Writes the region as a table, and single cells above it as paragraphs.
    fn write(mut self, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
        // Titles and remarks above a table have one cell.
        let first_wide_row = self.rows.iter().position(|row| row.len() > 1);
        let lines = self.rows.drain(..first_wide_row.unwrap_or(self.rows.len()));
        let lines: Vec<String> =
            lines.flat_map(BTreeMap::into_values).map(|cell| cell.text).collect();
        builder.push_counted(BlockContent::Paragraph(lines.join("\n")))?;
        let columns: BTreeSet<usize> = self.rows.iter().flat_map(BTreeMap::keys).copied().collect();
        builder.charge(
            columns.len().saturating_mul(self.rows.len()).saturating_mul(EMPTY_CELL_BYTES),
        )?;
        let to_row = |mut cells: BTreeMap<usize, Cell>| {
            columns
                .iter()
                .map(|column| cells.remove(column).map(|cell| cell.text).unwrap_or_default())
                .collect()
        };
        builder.push_counted(BlockContent::Table(self.rows.into_iter().map(to_row).collect()))
    }
}

/// Formats a value; dates and times as in ISO 8601.
fn format_value(value: &Data) -> String {
    match value {
        Data::DateTime(date) => format_date(date),
        // Numbers are stored in binary: 0.1 + 0.2 is shown as 0.3, as spreadsheets do.
        Data::Float(number) => format_number(*number),
        Data::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        _ => value.to_string(),
    }
}

/// Formats a number with the fifteen digits that spreadsheets show.
fn format_number(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

fn format_date(date: &ExcelDateTime) -> String {
    if date.is_duration() {
        let seconds = (date.as_f64() * 86_400.0).round();
        let (hours, rest) = ((seconds / 3600.0).floor(), seconds % 3600.0);
        return format!("{hours}:{:02}:{:02}", (rest / 60.0).floor(), rest % 60.0);
    }
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    match (date.as_f64() < 1.0, time.as_str()) {
        (true, _) => time,
        (false, "00:00:00") => format!("{year:04}-{month:02}-{day:02}"),
        (false, _) => format!("{year:04}-{month:02}-{day:02} {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_more_digits_than_spreadsheets_show() {
        for (number, text) in
            [(3.0, "3"), (0.1 + 0.2, "0.3"), (-1234.5, "-1234.5"), (1e15, "1000000000000000")]
        {
            assert_eq!(format_number(number), text);
        }
    }
}
