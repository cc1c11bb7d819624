//! PDF.

use crate::{
    error_text, markdown_of, parse, parser,
    pdf_writer::{PICTURE, PdfWriter, line, lines},
};
use document_parser::{BlockContent, Limits};

const LEFT: [&str; 6] = [
    "The first column begins with a line",
    "that is long enough to be running text",
    "and it goes on for a while, as columns",
    "do in papers, until it comes to its exam-",
    "ple at the foot of the page, where a",
    "sentence of the left column ends.",
];

const RIGHT: [&str; 6] = [
    "Here begins the second column, which is",
    "read only when the first has been read,",
    "from its top to its very foot. It has as",
    "many lines as the other one, and says",
    "nothing else of interest to anybody who",
    "reads it. Here the page has its end.",
];

#[tokio::test]
async fn headings_paragraphs_items_and_tables_are_recognised_by_their_looks() {
    let content = [
        line("B", 18, 60, 780, "Terms of Delivery"),
        line("F", 10, 60, 750, "The seller ships the goods within ten days after the order has"),
        line("F", 10, 60, 738, "been confirmed, and tells the buyer when they leave."),
        line(
            "F",
            10,
            60,
            714,
            "A new paragraph follows here, which is a little longer than a line",
        ),
        line("F", 10, 60, 702, "of this page can be."),
        line("F", 10, 60, 680, "\\225 one item"),
        line("F", 10, 60, 668, "\\225 another item"),
        line("B", 12, 60, 640, "Prices"),
        line("F", 10, 60, 620, "Item")
            + &line("F", 10, 200, 620, "Amount")
            + &line("F", 10, 300, 620, "Price"),
        line("F", 10, 60, 606, "Bolt M8")
            + &line("F", 10, 200, 606, "100")
            + &line("F", 10, 300, 606, "0.12"),
        line("F", 10, 60, 592, "Nut") + &line("F", 10, 300, 592, "0.08"),
    ];
    let text = markdown_of(&PdfWriter::with_pages(&[content.concat()]).bytes(), "a.pdf").await;
    assert_eq!(
        text,
        "# Terms of Delivery\n\nThe seller ships the goods within ten days after the order has been confirmed, and tells the buyer when they leave.\n\n\
        A new paragraph follows here, which is a little longer than a line of this page can be.\n\n- one item\n- another item\n\n## Prices\n\n\
        | Item | Amount | Price |\n| --- | --- | --- |\n| Bolt M8 | 100 | 0.12 |\n| Nut |  | 0.08 |\n"
    );
}

#[tokio::test]
async fn columns_are_read_one_after_the_other_below_what_spans_them() {
    let title = line(
        "F",
        10,
        60,
        700,
        "An abstract of this paper spans both of its columns, so it is read before either of them is.",
    );
    let content = title + &lines(60, 660, &LEFT) + &lines(320, 660, &RIGHT);
    let text = markdown_of(&PdfWriter::with_pages(&[content]).bytes(), "a.pdf").await;
    let column = LEFT.join(" ").replace("exam- ple", "example");
    assert!(
        text.starts_with("An abstract")
            && text.contains(&column)
            && text.contains(&RIGHT.join(" ")),
        "{text}"
    );
    assert!(text.find("left column ends").unwrap() < text.find("Here begins").unwrap());
}

#[tokio::test]
async fn pages_have_numbers_sentences_continue_on_the_next_page_and_headers_appear_once() {
    let page = |number: usize, text: &str| {
        line("F", 8, 60, 810, "ACME - Terms")
            + &line(
                "F",
                10,
                60,
                700,
                &format!("Page {number} begins with a sentence that is its own."),
            )
            + &line("F", 10, 60, 600, text)
            + &line("F", 8, 280, 30, &number.to_string())
    };
    let bytes = PdfWriter::with_pages(&[
        page(1, "It breaks off in the"),
        page(2, "And another."),
        page(3, "The end."),
    ])
    .bytes();
    let document = parse(&bytes, "a.pdf").await.unwrap();
    assert_eq!(document.pages, Some(3));
    let text = document.to_markdown();
    assert_eq!(text.text.matches("ACME").count(), 1);
    assert!(!text.text.contains("\n3\n"));
    let at = text.text.find("The end.").unwrap();
    assert_eq!((text.page_at(0), text.page_at(at)), (Some(1), Some(3)));

    let broken_off = [
        line("F", 10, 60, 60, "A sentence that breaks off in the"),
        line("F", 10, 60, 780, "middle goes on overleaf."),
    ];
    assert_eq!(
        markdown_of(&PdfWriter::with_pages(&broken_off).bytes(), "a.pdf").await,
        "A sentence that breaks off in the middle goes on overleaf.\n"
    );
}

#[tokio::test]
async fn numbered_chapters_at_the_top_of_pages_are_no_running_heads() {
    let page = |number: usize| {
        line("B", 16, 60, 800, &format!("Chapter {number}"))
            + &line("F", 10, 60, 700, &format!("This is told in chapter {number}, at some length."))
    };
    let pages: Vec<String> = (1..=5)
        .flat_map(|number| [page(number), line("F", 10, 60, 800, "This page is another one.")])
        .collect();
    let text = markdown_of(&PdfWriter::with_pages(&pages).bytes(), "a.pdf").await;
    assert!((1..=5).all(|number| text.contains(&format!("# Chapter {number}\n"))), "{text}");
}

#[tokio::test]
async fn bookmarks_are_headings() {
    let mut pdf =
        PdfWriter::with_pages(&[line("F", 10, 60, 780, "1. Scope")
            + &line("F", 10, 60, 740, "Everything that is sold.")]);
    let first = pdf.add("<< /Title (1 Scope) /Next 8 0 R >>");
    // The outline is circular.
    assert_eq!(pdf.add(&format!("<< /Title (Else) /Next {first} 0 R /First {first} 0 R >>")), 8);
    pdf.replace(
        1,
        &format!("<< /Type /Catalog /Pages 2 0 R /Outlines << /First {first} 0 R >> >>"),
    );
    let document = parse(&pdf.bytes(), "a.pdf").await.unwrap();
    assert_eq!(
        document.blocks.first().unwrap().content,
        BlockContent::Heading { level: 1, text: "1. Scope".to_owned() }
    );
}

#[tokio::test]
async fn a_scan_without_text_is_an_error() {
    let mut scan = PdfWriter::with_pages(&["q 595 0 0 842 0 0 cm /X Do Q".to_owned()]);
    scan.replace(1000, PICTURE);
    assert_eq!(
        error_text(&scan.bytes(), "scan.pdf").await,
        "`scan.pdf` cannot be read: this PDF holds pictures of text instead of text: let Amazon Textract or another text recognition (OCR) read it first, or ask a model that sees images about its pages"
    );
    let recognised =
        "q 595 0 0 842 0 0 cm /X Do Q BT 3 Tr /F 10 Tf 60 700 Td (recognised text) Tj ET"
            .to_owned();
    let mut mixed = PdfWriter::with_pages(&[recognised, "q 595 0 0 842 0 0 cm /X Do Q".to_owned()]);
    mixed.replace(1000, PICTURE);
    let document = parse(&mixed.bytes(), "mixed.pdf").await.unwrap();
    assert_eq!(
        (document.to_markdown().text.as_str(), document.warnings.as_slice()),
        ("recognised text\n", &["Pages 2 hold pictures, no text.".to_owned()][..])
    );
    assert_eq!(
        error_text(&PdfWriter::with_pages(&[String::new()]).bytes(), "blank.pdf").await,
        "`blank.pdf` cannot be read: it holds no text"
    );
}

#[tokio::test]
async fn invisible_text_is_not_read() {
    let content = line("F", 10, 60, 700, "seen")
        + "q BT 3 Tr /F 10 Tf 60 600 Td (unseen) Tj ET Q "
        + &line("F", 10, 5000, 700, "beside the page");
    let artifact = "/Artifact BMC ".to_owned()
        + &line("F", 10, 60, 20, "a foot")
        + "EMC /Span << /ActualText (whole) >> BDC "
        + &line("F", 10, 60, 500, "wh-")
        + "EMC";
    assert_eq!(
        markdown_of(&PdfWriter::with_pages(&[content + &artifact]).bytes(), "a.pdf").await,
        "seen\n\nwhole\n"
    );
}

#[tokio::test]
async fn values_of_a_form_are_read_where_the_viewer_is_to_draw_them() {
    let content = lines(60, 700, &["First name", "City"]) + &line("F", 10, 300, 700, "Visits");
    let mut form = PdfWriter::with_pages(&[content]);
    let field = |rect: &str, rest: &str| {
        format!("<< /Type /Annot /Subtype /Widget /Rect [{rect}] {rest} >>")
    };
    let fields = [
        field("150 696 280 710", "/FT /Tx /F 4 /V (Alice)"),
        field("150 684 280 698", "/Parent 900 0 R"),
        field("350 696 480 710", "/FT /Ch /V [(Monday) (Friday)]"),
        field("350 684 480 698", "/FT /Tx /F 2 /V (hidden)"),
        field("350 670 480 682", "/FT /Tx /Ff 8192 /V (secret)"),
        field("60 696 120 712", "/FT /Tx /V (drawn already)"),
    ];
    form.replace(900, "<< /FT /Tx /V <FEFF004B00F6006C006E> >>");
    form.replace(5, &format!("<< /Type /Page /Parent 2 0 R /Contents 6 0 R /Resources << /Font << /F 3 0 R /B 4 0 R >> >> /Annots [{}] >>", fields.concat()));
    let text = markdown_of(&form.bytes(), "form.pdf").await;
    for value in ["First name Alice", "City Köln", "Visits Monday, Friday"] {
        assert!(text.replace(" | ", " ").contains(value), "{value}: {text}");
    }
    for value in ["hidden", "secret", "drawn"] {
        assert!(!text.contains(value), "{value}: {text}");
    }
}

#[tokio::test]
async fn a_file_with_a_password_is_an_error() {
    let mut pdf = PdfWriter::with_pages(&[line("F", 10, 60, 700, "secret")]);
    let mark = "00112233445566778899aabbccddeeff".repeat(2);
    pdf.trailer(&format!("/ID [<00> <00>] /Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{mark}> /U <{mark}> >>"));
    assert_eq!(
        error_text(&pdf.bytes(), "a.pdf").await,
        "`a.pdf` cannot be read: it is protected by a password; save it without one"
    );
}

#[tokio::test]
async fn too_many_pages_are_refused() {
    let bytes = PdfWriter::with_pages(&vec![line("F", 10, 60, 700, "a page"); 12]).bytes();
    let limits = Limits { pages: 10, ..Limits::default() };
    let error = parser().parse(&bytes, "a.pdf", &limits).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a.pdf` cannot be read: it has 12 pages, and at most 10 are read; split it"
    );
}

#[tokio::test]
async fn a_first_line_that_is_indented_begins_its_paragraph() {
    let content = [
        line(
            "F",
            10,
            75,
            700,
            "This paragraph begins with an indent as in a book, and goes on to a",
        ),
        line(
            "F",
            10,
            60,
            688,
            "second line that ends with a long word broken by the typesetter, hyphen-",
        ),
        line(
            "F",
            10,
            60,
            676,
            "ation, and then there is a third line, none of which is a paragraph of its",
        ),
        line("F", 10, 60, 664, "own."),
        line(
            "F",
            10,
            75,
            652,
            "The next paragraph begins with an indent too, and it has two lines, or",
        ),
        line("F", 10, 60, 640, "so."),
    ];
    assert_eq!(
        markdown_of(&PdfWriter::with_pages(&[content.concat()]).bytes(), "a.pdf").await,
        "This paragraph begins with an indent as in a book, and goes on to a second line that ends with a long word broken by the typesetter, hyphenation, and then there is a third line, none of which is a paragraph of its own.\n\n\
        The next paragraph begins with an indent too, and it has two lines, or so.\n"
    );
}

#[tokio::test]
async fn glyphs_that_are_drawn_twice_are_read_once() {
    let twice: String = "ballooning"
        .char_indices()
        .map(|(at, char)| {
            let x = 60 + 7 * u32::try_from(at).unwrap();
            line("F", 10, x, 700, &char.to_string())
                + &format!("BT /F 10 Tf {x}.4 700 Td ({char}) Tj ET\n")
        })
        .collect();
    let shadow = line("F", 10, 60, 650, "a shadow") + "BT /F 10 Tf 60.5 649.5 Td (a shadow) Tj ET";
    assert_eq!(
        markdown_of(&PdfWriter::with_pages(&[twice + &shadow]).bytes(), "a.pdf")
            .await
            .replace(' ', ""),
        "ballooning\n\nashadow\n"
    );
}

#[tokio::test]
async fn short_columns_of_text_are_no_table() {
    let content = lines(60, 700, &["The committee reviewed the annual", "report and"])
        + &lines(320, 700, &["approved the budget for the", "coming fiscal year."]);
    assert_eq!(
        markdown_of(&PdfWriter::with_pages(&[content]).bytes(), "a.pdf").await,
        "The committee reviewed the annual report and approved the budget for the coming fiscal year.\n"
    );
}

#[tokio::test]
async fn a_table_beside_text_is_not_woven_into_it() {
    let row = |y: u32, a: &str, b: &str| line("F", 8, 400, y, a) + &line("F", 8, 480, y, b);
    let content = lines(60, 700, &LEFT)
        + &row(694, "Bolt", "5")
        + &row(679, "Nut", "7")
        + &row(664, "Pin", "9");
    let text = markdown_of(&PdfWriter::with_pages(&[content]).bytes(), "a.pdf").await;
    assert!(text.contains(&LEFT.join(" ").replace("exam- ple", "example")), "{text}");
    assert!(text.contains("| Nut | 7 |"), "{text}");
}

#[tokio::test]
async fn right_to_left_text_is_in_the_order_of_reading() {
    // Shalom olam (2024), letter by letter as they are seen; codes stand for letters by the map.
    let map = "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> endcodespacerange 7 beginbfchar <41> <05e9> <42> <05dc> <43> <05d5> <44> <05dd> <45> <05e2> <32> <0032> <34> <0034> endbfchar endcmap end";
    let mut pdf =
        PdfWriter::with_pages(&["BT /F 10 Tf 60 700 Td (24 DBCE DCBA) Tj ET\n".to_owned()]);
    let to_unicode = pdf.add(&format!("<< /Length {} >>\nstream\n{map}\nendstream", map.len()));
    pdf.replace(3, &format!("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode {to_unicode} 0 R >>"));
    assert_eq!(markdown_of(&pdf.bytes(), "a.pdf").await, "שלום עולם 24\n");
}
