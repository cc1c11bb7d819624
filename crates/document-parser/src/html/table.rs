//! A builder for tables.

use crate::{builder::DocumentBuilder, error::ParseError};

/// The largest `colspan` and `rowspan`.
const MAX_SPAN: usize = 100;

/// A builder for the rows of a table.
#[derive(Default)]
pub(super) struct TableBuilder {
    pub rows: Vec<Vec<String>>,
    /// `true` if a cell is open.
    pub is_in_cell: bool,
    /// `true` if the table only arranges the page, because its cells have headings or tables.
    pub is_layout: bool,
    row: Vec<String>,
    /// The cells of earlier rows that span into each column: the number of rows left, and the text.
    rowspans: Vec<(usize, String)>,
    colspan: usize,
    extra_rows: usize,
}

impl TableBuilder {
    pub fn open_cell(&mut self, columns: Option<&str>, rows: Option<&str>) {
        let count = |text: Option<&str>| {
            text.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(1).clamp(1, MAX_SPAN)
        };
        self.is_in_cell = true;
        self.colspan = count(columns);
        self.extra_rows = count(rows) - 1;
    }

    pub fn close_cell(
        &mut self,
        text: &str,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        self.is_in_cell = false;
        self.fill_spanned_columns(builder)?;
        for column in 0..self.colspan {
            builder.charge(1)?;
            let column_index = self.row.len();
            self.row.push(if column == 0 { text.to_owned() } else { String::new() });
            if self.extra_rows > 0 {
                self.rowspans
                    .resize_with(self.rowspans.len().max(column_index + 1), Default::default);
                if let Some(rowspan) = self.rowspans.get_mut(column_index) {
                    *rowspan = (self.extra_rows + 1, text.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Fills the columns into which cells of earlier rows span.
    fn fill_spanned_columns(&mut self, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
        while let Some((rows, text)) = self.rowspans.get(self.row.len())
            && *rows > 0
        {
            builder.charge(text.len() + 1)?;
            self.row.push(text.clone());
        }
        Ok(())
    }

    pub fn close_row(&mut self, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
        if self.row.is_empty() {
            return Ok(());
        }
        self.fill_spanned_columns(builder)?;
        for (rows, _) in &mut self.rowspans {
            *rows = rows.saturating_sub(1);
        }
        self.rows.push(std::mem::take(&mut self.row));
        Ok(())
    }
}
