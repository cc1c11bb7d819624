//! XML, news feeds and notebooks.

use crate::{error_text, markdown_of, parse};

#[tokio::test]
async fn xml_is_read_as_texts_with_names() {
    let text = r#"<?xml version="1.0" encoding="ISO-8859-1"?><order><customer>M&#252;ller</customer><place street="Main" number="5"/><lines><line><item>Bolt</item><count>5</count></line></lines><note>Hello <b>big</b> world.</note></order>"#;
    assert_eq!(
        markdown_of(text.as_bytes(), "a.xml").await,
        "customer: Müller\nplace: street: Main, number: 5\n\nitem: Bolt\ncount: 5\n\nHello big world.\n"
    );
}

#[tokio::test]
async fn entities_of_xml_expand_to_nothing_and_deep_xml_ends() {
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;"><!ENTITY f SYSTEM "file:///etc/passwd">]><a><p>x&c;&f;y</p></a>"#;
    assert_eq!(markdown_of(bomb.as_bytes(), "a.xml").await, "xy\n");
    let deep = format!("<?xml version='1.0'?>{}", "<a>".repeat(1_000_000));
    assert!(error_text(deep.as_bytes(), "a.xml").await.contains("nested too deeply"));
}

#[tokio::test]
async fn entries_of_feeds_stand_under_their_titles() {
    let rss = "<rss><channel><title>News</title><description>All of it</description><item><title>One</title><pubDate>Mon</pubDate><description><![CDATA[<p>Hi &amp; <b>bye</b></p><h1>More</h1>]]></description></item></channel></rss>";
    let document = parse(rss.as_bytes(), "a.rss").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("News"));
    assert_eq!(
        document.to_markdown().text,
        "# News\n\nAll of it\n\n## One\n\nMon\n\nHi & bye\n\n### More\n"
    );
    let atom = "<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'><title>News</title><entry><title>Two</title><author><name>Ada</name></author><content type='xhtml'><div>Some <b>words</b></div></content></entry></feed>";
    assert_eq!(markdown_of(atom.as_bytes(), "x").await, "# News\n\n## Two\n\nAda\n\nSome words\n");
}

#[tokio::test]
async fn notebooks_are_read_without_their_pictures() {
    let text = r##"{"cells": [{"cell_type": "markdown", "source": ["# T\n", "text"]}, {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}, {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgoAAAA", "text/plain": "<Figure>"}}]}], "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}"##;
    assert_eq!(
        markdown_of(text.as_bytes(), "a.ipynb").await,
        "# T\n\ntext\n\n```python\nprint(1)\n```\n\n```output\n1\n```\n\n```output\n<Figure>\n```\n"
    );
    let failed = r#"{"cells": [{"cell_type": "code", "source": "1/0", "outputs": [{"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": ["x"]}]}]}"#;
    assert_eq!(
        markdown_of(failed.as_bytes(), "a.ipynb").await,
        "```\n1/0\n```\n\n```output\nZeroDivisionError: division by zero\n```\n"
    );
    assert!(error_text(b"{\"cells\": 5}", "a.ipynb").await.contains("not that of a notebook"));
}
