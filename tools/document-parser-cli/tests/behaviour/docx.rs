//! Word files.

use crate::{
    docx_writer::{RELATIONS, body, package, paragraph, write_docx},
    error_text, markdown_of, parse,
};

#[tokio::test]
async fn styles_numbers_and_tables_give_structure() {
    let item = |depth: u8, text: &str| {
        format!(
            r#"<w:p><w:pPr><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="2"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#
        )
    };
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph("", text));
    let inner = [
        paragraph("berschrift1", "Delivery"),
        paragraph("Eigene", "Inspection"),
        r#"<w:p><w:r><w:t>At once</w:t></w:r><w:r><w:footnoteReference w:id="5"/></w:r><w:r><w:t>, R&amp;D &#233;.</w:t></w:r></w:p>"#.to_owned(),
        item(0, "first"),
        item(1, "deep"),
        item(0, "second"),
        format!("<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>", cell("a"), cell("b|"), cell("1"), cell("2")),
    ];
    assert_eq!(
        markdown_of(&write_docx(&inner.concat()), "a.docx").await,
        "# Delivery\n\n## Inspection\n\nAt once[1], R&D é.\n\n[1] Without delay.\n\n3. first\n    - deep\n4. second\n\n| a | b\\| |\n| --- | --- |\n| 1 | 2 |\n"
    );
}

#[tokio::test]
async fn what_is_deleted_hidden_or_there_twice_is_not_read() {
    let inner = r#"<w:p><w:r><w:t>seen </w:t></w:r><w:del><w:r><w:delText>no</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>no</w:t></w:r></w:moveFrom>
        <w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>no</w:t></w:r><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> shown</w:t></w:r>
        <w:r><w:instrText>PAGE</w:instrText></w:r>
        <mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Choice><mc:Fallback><w:p><w:r><w:t>boxed</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:p>"#;
    assert_eq!(markdown_of(&write_docx(inner), "a.docx").await, "seen new shown\n\nboxed\n");
}

#[tokio::test]
async fn a_style_based_on_itself_is_harmless() {
    assert_eq!(markdown_of(&write_docx(&paragraph("Kreis", "words")), "a.docx").await, "words\n");
}

#[tokio::test]
async fn a_file_unpacking_to_gigabytes_is_refused() {
    let bomb = body(&paragraph("", &"0".repeat(60_000_000)));
    let file =
        package(&[("_rels/.rels", RELATIONS.as_bytes()), ("word/document.xml", bomb.as_bytes())]);
    assert!(file.len() < 80_000);
    assert_eq!(
        error_text(&file, "bomb.docx").await,
        "`bomb.docx` cannot be read: it unpacks to more than 16 MB; files that do are usually made to do harm"
    );
}

#[tokio::test]
async fn entities_and_outward_relations_lead_nowhere() {
    let text = body(&paragraph("", "a&lol;b&xxe;c")).replacen(
        "<w:document",
        r#"<!DOCTYPE x [<!ENTITY lol "lollol"><!ENTITY xxe SYSTEM "file:///etc/passwd">]><w:document"#,
        1,
    );
    let outward = RELATIONS.replace(
        "</Relationships>",
        r#"<Relationship Id="r2" Type="x/core-properties" Target="http://127.0.0.1:1/x" TargetMode="External"/><Relationship Id="r3" Type="x/core-properties" Target="../../../etc/passwd"/></Relationships>"#,
    );
    let file = package(&[
        ("_rels/.rels", outward.as_bytes()),
        ("word/document.xml", text.as_bytes()),
        ("../../../tmp/evil", b"x"),
    ]);
    let document = parse(&file, "a.docx").await.unwrap();
    assert_eq!((document.title, document.blocks.len()), (None, 1));
    assert_eq!(markdown_of(&file, "a.docx").await, "abc\n");
}

#[tokio::test]
async fn other_packages_are_described() {
    let sheet = RELATIONS.replace("word/document.xml", "xl/workbook.xml");
    let drawing = b"application/vnd.oasis.opendocument.graphics";
    for (file, what) in [
        (package(&[("_rels/.rels", sheet.as_bytes())]), "it is damaged: its workbook"),
        (package(&[("mimetype", b"application/epub+zip")]), "it is damaged: it does not name"),
        (package(&[("mimetype", drawing)]), "it is an OpenDocument drawing; PDF, Word"),
        (package(&[("a.txt", b"a")]), "it is an archive (ZIP); PDF, Word"),
        (b"PK\x03\x04 and nothing more".to_vec(), "it is damaged: its ZIP package is incomplete"),
    ] {
        let error_text = error_text(&file, "a.docx").await;
        assert!(
            error_text.starts_with(&format!("`a.docx` cannot be read: {what}")),
            "{error_text}"
        );
    }
}

#[tokio::test]
async fn a_package_of_very_many_parts_is_refused() {
    let names: Vec<String> = (0..20_001).map(|number| format!("word/media/{number}")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(
        error_text(&package(&parts), "a.docx")
            .await
            .contains("it is an archive of 20001 files; PDF")
    );
}

#[tokio::test]
async fn xml_that_breaks_off_is_damage_and_deep_xml_is_not() {
    let whole = body(&paragraph("", "words"));
    let broken = package(&[
        ("_rels/.rels", RELATIONS.as_bytes()),
        (
            "word/document.xml",
            whole.get(..whole.len() - "</w:body></w:document>".len()).unwrap().as_bytes(),
        ),
    ]);
    let damage =
        "`a.docx` cannot be read: it is damaged: its part `word/document.xml` is incomplete";
    assert_eq!(error_text(&broken, "a.docx").await, damage);
    let wrong = package(&[
        ("_rels/.rels", RELATIONS.as_bytes()),
        ("word/document.xml", b"<w:document><w:p></w:body>"),
    ]);
    assert_eq!(error_text(&wrong, "a.docx").await, damage);
    let deep = write_docx(&format!(
        "{}{}{}",
        "<w:sdt>".repeat(100_000),
        paragraph("", "deep"),
        "</w:sdt>".repeat(100_000)
    ));
    assert_eq!(markdown_of(&deep, "a.docx").await, "deep\n");
}

#[tokio::test]
async fn headers_stand_before_the_body_and_footers_after_it_each_once() {
    let w = r#"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main""#;
    let part =
        |kind: &str, inner: &str| format!("<w:{kind} {w}><w:p><w:r>{inner}</w:r></w:p></w:{kind}>");
    let header = part("hdr", "<w:t>ACME</w:t><w:tab/><w:t>Terms</w:t>");
    let related = ["header1", "header2", "footer1", "footer2"]
        .map(|name| {
            format!(
                r#"<Relationship Id="{name}" Type="x/{}" Target="{name}.xml"/>"#,
                name.trim_end_matches(char::is_numeric)
            )
        })
        .concat();
    let file = package(&[
        ("_rels/.rels", RELATIONS.as_bytes()),
        (
            "word/_rels/document.xml.rels",
            format!("<Relationships>{related}</Relationships>").as_bytes(),
        ),
        ("word/document.xml", body(&paragraph("", "Body.")).as_bytes()),
        ("word/header1.xml", header.as_bytes()),
        ("word/header2.xml", header.as_bytes()),
        ("word/footer1.xml", part("ftr", "<w:t>Confidential</w:t>").as_bytes()),
        ("word/footer2.xml", part("ftr", "<w:t>12</w:t>").as_bytes()),
    ]);
    assert_eq!(markdown_of(&file, "a.docx").await, "ACME Terms\n\nBody.\n\nConfidential\n");
}

#[tokio::test]
async fn a_table_in_a_text_box_follows_the_paragraph_that_holds_it() {
    let inner = r#"<w:p><w:r><w:t>Text.</w:t></w:r><w:r><w:txbxContent><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></w:r></w:p>"#;
    let text = markdown_of(&write_docx(inner), "a.docx").await;
    assert!(
        text.starts_with("Text.\n\n") && text.contains('a') && text.contains("boxed"),
        "{text}"
    );
}
