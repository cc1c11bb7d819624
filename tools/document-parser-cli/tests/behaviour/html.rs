//! HTML.

use crate::{error_text, markdown_of, parse};

const HEAD: &str = "<!DOCTYPE html><html><head><title>A &amp; B</title><style>p{}</style><script>if (a<b) document.write('<p>no</p>')</script></head><body>";

async fn page(inner: &str) -> String {
    markdown_of(format!("{HEAD}{inner}").as_bytes(), "a.html").await
}

#[tokio::test]
async fn visible_text_is_read_with_its_structure() {
    let page = page(
        "<nav><a href=/>Home</a></nav><main><h1>Set  up</h1><p>One &eacute;<br>two<p>Three <b>bold</b>word<img alt='A chart'>\
        <ul><li>a<li>b<ol start=4><li>c</ol></ul><pre><code class='language-rust'>fn main() {\n}</code></pre><h2>More</h2>text</main>",
    );
    assert_eq!(
        page.await,
        "# Set up\n\nOne é\ntwo\n\nThree boldwordA chart\n\n- a\n- b\n    4. c\n\n```rust\nfn main() {\n}\n```\n\n## More\n\ntext\n"
    );
}

#[tokio::test]
async fn tables_are_rows_and_cells_that_reach_down_stand_in_every_row() {
    let page = page(
        "<table><caption>Prices</caption><thead><tr><th>Item<th colspan=2>Price</thead><tr><td rowspan=2>Bolt</td><td>1</td><td>2</td></tr>\
        <tr><td>3<td>4</table>",
    );
    assert_eq!(
        page.await,
        "Prices\n\n| Item | Price |  |\n| --- | --- | --- |\n| Bolt | 1 | 2 |\n| Bolt | 3 | 4 |\n"
    );
}

#[tokio::test]
async fn a_table_that_arranges_a_page_is_no_table() {
    let page = page(
        "<table><tr><td><h1>Left</h1><p>a</td><td><table><tr><td>1<td>2</table></td></tr></table>",
    );
    assert_eq!(page.await, "# Left\n\na\n\n| 1 | 2 |\n| --- | --- |\n");
}

#[tokio::test]
async fn hidden_text_is_not_read() {
    let page = page(
        "<p>seen<p hidden>no<p>seen too<div style='color: red; Display : none !important'>no<div>no</div></div><span style='font-size:0px'>no</span>\
        <span style='opacity: 0.5'>half</span><template>no</template><noscript>no</noscript><svg><path d='x'><text>no</text></svg><textarea>no</textarea>",
    );
    assert_eq!(page.await, "seen\n\nseen too\n\nhalf\n");
}

#[tokio::test]
async fn the_title_and_the_encoding_are_the_files_own() {
    let bytes = b"<html><head><meta charset=windows-1251><title>\xcf\xf0\xe8\xe2\xe5\xf2</title></head><body>\xe4\xe0";
    let document = parse(bytes, "a.html").await.unwrap();
    assert_eq!(
        (document.title.as_deref(), document.to_markdown().text.as_str()),
        (Some("Привет"), "да\n")
    );
}

#[tokio::test]
async fn a_hundred_thousand_open_elements_cost_little() {
    for tag in ["<div>", "<b>", "<ul><li>", "<table><tr><td>", "<p hidden><b>"] {
        let deep = format!(
            "{HEAD}<p>before</p>{}deep{}after",
            tag.repeat(100_000),
            "</div></b></i>".repeat(100_000)
        );
        assert!(markdown_of(deep.as_bytes(), "deep.html").await.starts_with("before\n"), "{tag}");
    }
}

#[tokio::test]
async fn a_page_of_scripts_holds_no_text() {
    assert_eq!(
        error_text(HEAD.as_bytes(), "app.html").await,
        "`app.html` cannot be read: it holds no text"
    );
}

#[tokio::test]
async fn nothing_closed_wrongly_loses_text() {
    assert_eq!(page("<table><tr><td>a</div></table></p>b</span></td>c").await, "a\n\nbc\n");
    assert_eq!(page("<script src='x.js'/><p>kept").await, "kept\n");
}
