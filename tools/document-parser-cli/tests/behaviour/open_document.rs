//! `OpenDocument` texts and presentations.

use crate::{docx_writer::package, error_text, markdown_of, parse};

fn write_odf(kind: &str, content: &str, others: &[(&str, &[u8])]) -> Vec<u8> {
    let media_type = format!("application/vnd.oasis.opendocument.{kind}");
    let content = format!(
        r#"<office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b" xmlns:draw="d" xmlns:presentation="p">{content}</office:document-content>"#
    );
    let mut parts: Vec<(&str, &[u8])> =
        vec![("mimetype", media_type.as_bytes()), ("content.xml", content.as_bytes())];
    parts.extend_from_slice(others);
    package(&parts)
}

#[tokio::test]
async fn headings_lists_tables_notes_and_text_boxes_of_a_text_are_read() {
    let content = r#"<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes><text:h text:outline-level="2">Scope</text:h>
        <text:p>Two<text:s text:c="2"/>spaces<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p></text:note-body></text:note>.<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p>
        <text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>deep</text:p></text:list-item></text:list></text:list-item></text:list>
        <table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell table:number-columns-repeated="1000000"/></table:table-row>
        <table:table-row><table:table-cell><text:p>1</text:p></table:table-cell><table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>"#;
    let styles = r#"<s><style:header><text:p>ACME</text:p></style:header><style:footer><text:p>7</text:p></style:footer></s>"#;
    let meta = r#"<m><dc:title>The terms</dc:title></m>"#;
    let file = write_odf(
        "text",
        content,
        &[("styles.xml", styles.as_bytes()), ("meta.xml", meta.as_bytes())],
    );
    let document = parse(&file, "a.odt").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("The terms"));
    assert_eq!(
        document.to_markdown().text,
        "ACME\n\n## Scope\n\nTwo  spaces[1].\n\nboxed\n\n[1] A note.\n\n- one\n    - deep\n\n| a |  |\n| --- | --- |\n| 1 | 2 |\n"
    );
}

#[tokio::test]
async fn every_slide_is_named_and_is_a_page() {
    let content = r#"<draw:page draw:name="page1"><draw:frame presentation:class="title"><draw:text-box><text:p>Our plan</text:p></draw:text-box></draw:frame><draw:frame><draw:text-box><text:p>First.</text:p></draw:text-box></draw:frame>
        <presentation:notes><draw:frame><draw:text-box><text:p>Slowly.</text:p></draw:text-box></draw:frame></presentation:notes></draw:page><draw:page><draw:frame><draw:text-box><text:p>Second.</text:p></draw:text-box></draw:frame></draw:page>"#;
    let document = parse(&write_odf("presentation", content, &[]), "a.odp").await.unwrap();
    let text = document.to_markdown();
    assert_eq!(
        text.text,
        "# Slide 1: Our plan\n\nFirst.\n\nNotes: Slowly.\n\n# Slide 2\n\nSecond.\n"
    );
    assert_eq!(text.page_at(text.text.len() - 2), Some(2));
}

/// Returns a file in the flat form, with everything in one XML text.
fn write_flat(kind: &str, body: &str) -> Vec<u8> {
    format!(
        r#"<?xml version="1.0"?><office:document xmlns:office="o" xmlns:text="t" xmlns:table="b" xmlns:draw="d" xmlns:style="s" xmlns:presentation="p" office:mimetype="application/vnd.oasis.opendocument.{kind}">
        <office:meta><dc:title>The terms</dc:title><meta:generator>Office/7</meta:generator></office:meta><office:settings><config:config-item>0</config:config-item></office:settings>
        <office:master-styles><style:master-page><style:header><text:p>ACME</text:p></style:header></style:master-page></office:master-styles><office:body>{body}</office:body></office:document>"#
    )
    .into_bytes()
}

#[tokio::test]
async fn flat_files_are_read_as_their_packages_are() {
    let text = r#"<office:text><text:h>Scope</text:h><text:p>Two<draw:frame><draw:image><office:binary-data>iVBORw0KGgo</office:binary-data></draw:image></draw:frame> weeks.</text:p></office:text>"#;
    let document = parse(&write_flat("text", text), "a.fodt").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("The terms"));
    assert_eq!(document.to_markdown().text, "ACME\n\n# Scope\n\nTwo weeks.\n");
    let slides = r#"<office:presentation><draw:page><draw:frame><draw:text-box><text:p>First.</text:p></draw:text-box></draw:frame><presentation:notes><draw:frame><draw:text-box><text:p><text:page-number>&lt;number&gt;</text:page-number></text:p></draw:text-box></draw:frame></presentation:notes></draw:page></office:presentation>"#;
    let document = parse(&write_flat("presentation", slides), "a.fodp").await.unwrap();
    assert_eq!(document.to_markdown().text, "ACME\n\n# Slide 1\n\nFirst.\n");
    let sheets = r#"<office:spreadsheet><table:table table:name="Costs"><table:table-row><table:table-cell office:value-type="string"><text:p>Item</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Price</text:p></table:table-cell></table:table-row>
        <table:table-row><table:table-cell office:value-type="string"><text:p>Pen</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="2.5"><text:p>2,50</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>"#;
    assert_eq!(
        markdown_of(&write_flat("spreadsheet", sheets), "a.fods").await,
        "# Costs\n\n| Item | Price |\n| --- | --- |\n| Pen | 2.5 |\n"
    );
    assert_eq!(
        error_text(b"<?xml version='1.0'?><d:document d:mimetype=\"application/vnd.oasis.opendocument.spreadsheet\"><x>", "a.fods").await,
        "`a.fods` cannot be read: it is damaged: its XML is incomplete"
    );
}

#[tokio::test]
async fn spreadsheets_are_read_that_are_indented_between_their_cells() {
    let sheets = r#"<office:spreadsheet>
      <table:table table:name="Costs">
       <table:table-row>
        <table:table-cell office:value-type="string">
         <text:p>Item</text:p>
        </table:table-cell>
        <table:table-cell office:value-type="string"><text:p>Price of one</text:p></table:table-cell>
       </table:table-row>
       <table:table-row>
        <table:table-cell office:value-type="string"><text:p>Pen</text:p></table:table-cell>
        <table:table-cell office:value-type="float" office:value="2.5" table:formula="of:=IF(1&gt;0;2.5;0)"/>
       </table:table-row>
      </table:table>
     </office:spreadsheet>"#;
    let text = "# Costs\n\n| Item | Price of one |\n| --- | --- |\n| Pen | 2.5 |\n";
    assert_eq!(markdown_of(&write_flat("spreadsheet", sheets), "a.fods").await, text);
    let manifest: (&str, &[u8]) = ("META-INF/manifest.xml", b"<manifest/>");
    let package =
        write_odf("spreadsheet", &format!("<office:body>{sheets}</office:body>"), &[manifest]);
    assert_eq!(markdown_of(&package, "a.ods").await, text);
}

#[tokio::test]
async fn a_text_with_a_password_is_an_error() {
    let manifest = b"<m><manifest:encryption-data/></m>";
    let file = write_odf("text", "", &[("META-INF/manifest.xml", manifest)]);
    assert_eq!(
        error_text(&file, "a.odt").await,
        "`a.odt` cannot be read: it is protected by a password; save it without one"
    );
}

#[tokio::test]
async fn deep_nesting_ends() {
    let deep = "<text:list><text:list-item>".repeat(50_000)
        + "<text:p>deep</text:p>"
        + &"</text:list-item></text:list>".repeat(50_000);
    let text = markdown_of(&write_odf("text", &deep, &[]), "a.odt").await;
    assert_eq!(text.trim(), "- deep");
}
