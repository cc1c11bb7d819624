//! `PowerPoint` files.

use crate::{docx_writer::package, parse};

/// Returns a `PowerPoint` file with these slides, each with its notes.
fn write_pptx(slides: &[(&str, &str)]) -> Vec<u8> {
    let mut parts = vec![(
        "_rels/.rels".to_owned(),
        r#"<Relationships><Relationship Id="r1" Type="x/officeDocument" Target="ppt/presentation.xml"/></Relationships>"#.to_owned(),
    )];
    let ids: String = (1..=slides.len())
        .map(|at| format!(r#"<p:sldId id="{}" r:id="s{at}"/>"#, 255 + at))
        .collect();
    parts.push(("ppt/presentation.xml".to_owned(), format!(r#"<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"#)));
    let related: String = (1..=slides.len())
        .map(|at| {
            format!(r#"<Relationship Id="s{at}" Type="x/slide" Target="slides/slide{at}.xml"/>"#)
        })
        .collect();
    parts.push((
        "ppt/_rels/presentation.xml.rels".to_owned(),
        format!("<Relationships>{related}</Relationships>"),
    ));
    for (at, (slide, notes)) in (1..).zip(slides) {
        parts.push((
            format!("ppt/slides/slide{at}.xml"),
            format!(r#"<p:sld xmlns:p="p" xmlns:a="a">{slide}</p:sld>"#),
        ));
        parts.push((format!("ppt/slides/_rels/slide{at}.xml.rels"), format!(r#"<Relationships><Relationship Id="n" Type="x/notesSlide" Target="../notesSlides/notes{at}.xml"/></Relationships>"#)));
        parts.push((
            format!("ppt/notesSlides/notes{at}.xml"),
            format!(r#"<p:notes xmlns:p="p" xmlns:a="a">{notes}</p:notes>"#),
        ));
    }
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    package(&parts)
}

fn shape(placeholder: &str, paragraphs: &str) -> String {
    format!(
        r#"<p:sp><p:nvPr><p:ph type="{placeholder}"/></p:nvPr><p:txBody>{paragraphs}</p:txBody></p:sp>"#
    )
}

fn paragraph(depth: u8, text: &str) -> String {
    format!(r#"<a:p><a:pPr lvl="{depth}"/><a:r><a:t>{text}</a:t></a:r></a:p>"#)
}

#[tokio::test]
async fn every_slide_is_named_and_is_a_page() {
    let table = "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>a</a:t></a:r></a:p></a:tc><a:tc/></a:tr><a:tr><a:tc/><a:tc><a:p><a:r><a:t>b</a:t></a:r></a:p></a:tc></a:tr></a:tbl></p:graphicFrame>";
    let first = shape("title", &paragraph(0, "Our plan"))
        + &shape("body", &(paragraph(0, "first") + &paragraph(1, "deep")))
        + &shape("sldNum", &paragraph(0, "1"));
    let notes = shape("sldImg", "") + &shape("body", &paragraph(0, "Speak slowly."));
    let second = "<p:sp><p:txBody><a:p><a:r><a:t>A &amp; B</a:t></a:r></a:p></p:txBody></p:sp>"
        .to_owned()
        + table;
    let file = write_pptx(&[(&first, &notes), (&second, "")]);
    let document = parse(&file, "a.pptx").await.unwrap();
    let text = document.to_markdown();
    assert_eq!(
        text.text,
        "# Slide 1: Our plan\n\n- first\n    - deep\n\nNotes: Speak slowly.\n\n# Slide 2\n\nA & B\n\n| a |  |\n| --- | --- |\n|  | b |\n"
    );
    assert_eq!(document.pages, Some(2));
    assert_eq!(text.page_at(text.text.find("A & B").unwrap()), Some(2));
}

#[tokio::test]
async fn a_slide_that_is_not_there_is_no_error() {
    let mut file = write_pptx(&[(&shape("title", &paragraph(0, "One")), "")]);
    // The name in the directory and before the part.
    let name = b"ppt/notesSlides/notes1.xml";
    for at in 0..file.len() - name.len() {
        if file[at..].starts_with(name) {
            file[at] = b'x';
        }
    }
    assert_eq!(parse(&file, "a.pptx").await.unwrap().to_markdown().text, "# Slide 1: One\n");
}
