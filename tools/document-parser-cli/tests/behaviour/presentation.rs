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
async fn the_values_of_a_chart_are_a_table() {
    let series = |name: &str, values: [&str; 2]| {
        let points = |values: [&str; 2]| {
            let point = |(at, value): (usize, &str)| {
                format!(r#"<c:pt idx="{at}"><c:v>{value}</c:v></c:pt>"#)
            };
            values.into_iter().enumerate().map(point).collect::<String>()
        };
        let (categories, values) = (points(["North", "South"]), points(values));
        format!(
            "<c:ser><c:tx><c:strRef><c:strCache><c:pt idx=\"0\"><c:v>{name}</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat>{categories}</c:cat><c:val><c:f>Sheet1!B2</c:f>{values}</c:val></c:ser>"
        )
    };
    let chart = format!(
        r#"<c:chartSpace xmlns:c="c" xmlns:a="a"><c:title><c:tx><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:tx></c:title><c:plotArea>{}{}</c:plotArea></c:chartSpace>"#,
        series("2025", ["3", "4"]),
        series("2026", ["5", "6.5"])
    );
    let relationships = |kind: &str, target: &str| {
        format!(
            r#"<Relationships><Relationship Id="s1" Type="x/{kind}" Target="{target}"/></Relationships>"#
        )
    };
    let [root, slides, charts] = [
        relationships("officeDocument", "ppt/presentation.xml"),
        relationships("slide", "slides/slide1.xml"),
        relationships("chart", "../charts/chart1.xml"),
    ];
    let file = package(&[
        ("_rels/.rels", root.as_bytes()),
        ("ppt/presentation.xml", br#"<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="s1"/></p:sldIdLst></p:presentation>"#),
        ("ppt/_rels/presentation.xml.rels", slides.as_bytes()),
        ("ppt/slides/slide1.xml", br#"<p:sld xmlns:p="p"/>"#),
        ("ppt/slides/_rels/slide1.xml.rels", charts.as_bytes()),
        ("ppt/charts/chart1.xml", chart.as_bytes()),
    ]);
    assert_eq!(
        parse(&file, "a.pptx").await.unwrap().to_markdown().text,
        "# Slide 1\n\nChart: Sales\n\n|  | 2025 | 2026 |\n| --- | --- | --- |\n| North | 3 | 5 |\n| South | 4 | 6.5 |\n"
    );
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
