//! A table under way.

use crate::{draft::Draft, error::Reason};

/// No more columns or rows than this are filled on behalf of one cell.
const WIDEST: usize = 100;

#[derive(Default)]
pub(super) struct Table {
    pub rows: Vec<Vec<String>>,
    /// Whether a cell is open.
    pub in_cell: bool,
    /// A table that only arranges the page: its cells hold headings or tables.
    pub layout: bool,
    row: Vec<String>,
    /// What cells of earlier rows reach down into which column, and over how many more rows.
    reaching: Vec<(usize, String)>,
    columns: usize,
    below: usize,
}

impl Table {
    pub fn open_cell(&mut self, columns: Option<&str>, rows: Option<&str>) {
        let count = |text: Option<&str>| {
            text.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(1).clamp(1, WIDEST)
        };
        self.in_cell = true;
        self.columns = count(columns);
        self.below = count(rows) - 1;
    }

    pub fn close_cell(&mut self, text: &str, draft: &mut Draft) -> Result<(), Reason> {
        self.in_cell = false;
        self.reach(draft)?;
        for column in 0..self.columns {
            draft.spend(1)?;
            let at = self.row.len();
            self.row.push(if column == 0 { text.to_owned() } else { String::new() });
            if self.below > 0 {
                self.reaching.resize_with(self.reaching.len().max(at + 1), Default::default);
                if let Some(place) = self.reaching.get_mut(at) {
                    *place = (self.below + 1, text.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Fills the columns that cells above reach into.
    fn reach(&mut self, draft: &mut Draft) -> Result<(), Reason> {
        while let Some((rows, text)) = self.reaching.get(self.row.len())
            && *rows > 0
        {
            draft.spend(text.len() + 1)?;
            self.row.push(text.clone());
        }
        Ok(())
    }

    pub fn close_row(&mut self, draft: &mut Draft) -> Result<(), Reason> {
        if self.row.is_empty() {
            return Ok(());
        }
        self.reach(draft)?;
        for (rows, _) in &mut self.reaching {
            *rows = rows.saturating_sub(1);
        }
        self.rows.push(std::mem::take(&mut self.row));
        Ok(())
    }
}
