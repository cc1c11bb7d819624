//! Spreadsheets and CSV.

use crate::{docx_writer::package, error_text, markdown_of, parser};
use document_parser::{Limits, ParseError};

const RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;

/// Returns an Excel file with one sheet of these rows.
fn write_xlsx(name: &str, rows: &str) -> Vec<u8> {
    let main = r#"xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main""#;
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let workbook = format!(
        r#"<workbook {main} xmlns:r="{office}"><sheets><sheet name="{name}" sheetId="1" r:id="s1"/></sheets></workbook>"#
    );
    let related = format!(
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="s1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="s2" Type="{office}/styles" Target="styles.xml"/></Relationships>"#
    );
    let styles = format!(
        r#"<styleSheet {main}><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#
    );
    let sheet = format!("<worksheet {main}><sheetData>{rows}</sheetData></worksheet>");
    package(&[
        ("_rels/.rels", RELATIONS.as_bytes()),
        ("xl/workbook.xml", workbook.as_bytes()),
        ("xl/_rels/workbook.xml.rels", related.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

fn text_cell(place: &str, text: &str) -> String {
    format!(r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

#[tokio::test]
async fn a_sheet_is_a_table_under_its_name() {
    let rows = [
        format!(r#"<row r="1">{}</row>"#, text_cell("B1", "Prices, without tax")),
        format!(
            r#"<row r="3">{}{}{}</row>"#,
            text_cell("B3", "Item"),
            text_cell("D3", "Price"),
            text_cell("E3", "Since")
        ),
        format!(
            r#"<row r="4">{}<c r="D4"><v>0.30000000000000004</v></c><c r="E4" s="1"><v>45352</v></c></row>"#,
            text_cell("B4", "Bolt")
        ),
        // Data after an empty row belongs to the header above.
        format!(r#"<row r="6">{}<c r="D6"><v>3</v></c></row>"#, text_cell("B6", "Nut")),
    ];
    assert_eq!(
        markdown_of(&write_xlsx("Stock &amp; more", &rows.concat()), "a.xlsx").await,
        "# Stock & more\n\nPrices, without tax\n\n| Item | Price | Since |\n| --- | --- | --- |\n| Bolt | 0.3 | 2024-03-01 |\n| Nut | 3 |  |\n"
    );
}

#[tokio::test]
async fn cells_at_the_ends_of_a_sheet_cost_nothing() {
    let rows = format!(
        r#"<row r="1">{}</row><row r="1048576">{}</row>"#,
        text_cell("A1", "first"),
        text_cell("XFD1048576", "last")
    );
    assert_eq!(markdown_of(&write_xlsx("Far", &rows), "a.xlsx").await, "# Far\n\nfirst\n\nlast\n");
}

#[tokio::test]
async fn millions_of_cells_end_at_the_limit_of_text() {
    let cell = r#"<c t="str"><v>x</v></c>"#;
    let rows = format!("<row>{}</row>", cell.repeat(100)).repeat(5_000);
    let limits = Limits { text_bytes: 1_000_000, ..Limits::default() };
    let error = parser().parse(&write_xlsx("S", &rows), "a.xlsx", &limits).await.unwrap_err();
    assert_eq!(error.error, ParseError::TooMuchText { limit: 1_000_000 });
}

#[tokio::test]
async fn cells_on_a_diagonal_end_at_the_limit_of_text() {
    let rows: String = (1..=3_000)
        .map(|row| {
            let column = column_name(row);
            let next = column_name(row + 1);
            format!(
                r#"<row r="{row}"><c r="{column}{row}"><v>1</v></c><c r="{next}{row}"><v>1</v></c></row>"#
            )
        })
        .collect();
    let error = error_text(&write_xlsx("S", &rows), "a.xlsx").await;
    assert!(error.contains("it holds more than 64 MB of text"), "{error}");
}

/// Returns the name of a column, `A` for 1.
fn column_name(mut number: u32) -> String {
    let mut name = String::new();
    while number > 0 {
        name.insert(0, char::from(b'A' + u8::try_from((number - 1) % 26).unwrap()));
        number = (number - 1) / 26;
    }
    name
}

#[tokio::test]
async fn a_broken_workbook_is_damage() {
    let error = error_text(&write_xlsx("S", "<row><c><v>"), "a.xlsx").await;
    assert_eq!(error, "`a.xlsx` cannot be read: it is damaged: its workbook is incomplete");
}

#[tokio::test]
async fn csv_is_a_table_whatever_separates_its_fields() {
    let table = "| Name | Town |\n| --- | --- |\n| Miller, Son | \"Rome\" |\n";
    for text in [
        "Name,Town\n\"Miller, Son\",\"\"\"Rome\"\"\"\n",
        "\u{feff}Name;Town\r\nMiller, Son;\"\"\"Rome\"\"\"\r\n",
        "sep=|\nName|Town\nMiller, Son|\"\"\"Rome\"\"\"",
    ] {
        assert_eq!(markdown_of(text.as_bytes(), "a.csv").await, table);
    }
    assert_eq!(
        markdown_of(b"a\tb\n1\t2\t3\n", "a.tsv").await,
        "| a | b |  |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n"
    );
}

#[tokio::test]
async fn empty_fields_count_too() {
    let limits = Limits { text_bytes: 1_000_000, ..Limits::default() };
    let error = parser().parse(&[b','; 100_000], "a.csv", &limits).await.unwrap_err();
    assert_eq!(error.error, ParseError::TooMuchText { limit: 1_000_000 });
}
