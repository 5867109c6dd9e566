use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

#[track_caller]
fn renders(html: &str, text: &str) {
    assert_eq!(to_text(html), text, "{html}");
}

#[test]
fn paragraphs_and_lines_are_told_apart() {
    renders("<p>Thanks</p>", "Thanks");
    renders("<p>one\n  two</p><p>three</p>four", "one two\n\nthree\n\nfour");
    renders("<div>one</div><div>two</div>three", "one\ntwo\nthree");
    renders("one<br>two<br/><br><br>three", "one\ntwo\n\nthree");
    renders("<div>one</div><div><br></div><div>two<br></div><div>three</div>", "one\n\ntwo\nthree");
    renders("<h1>Title</h1>text<hr>end", "Title\n\ntext\n---\nend");
    renders("a <b>bold</b>, <i>it</i>alic\n<span> x </span>", "a bold, italic x");
}

#[test]
fn entities_are_decoded_and_blanks_are_one() {
    renders("a&nbsp;&nbsp; b &lt;tag&gt; &amp;amp; &#x1F980;&bogus;", "a b <tag> &amp; 🦀&bogus;");
    renders("<p>\u{200C}&nbsp;&zwnj;&nbsp;&#847; </p><p>x</p>", "x");
    renders("a\u{200B}b and a \u{200B} b", "a\u{200B}b and a b");
}

#[test]
fn links_keep_their_url() {
    renders(
        "see <a href=\"https://example.com/a?b=c&amp;d\">the page</a>.",
        "see the page (https://example.com/a?b=c&d).",
    );
    renders("<a href=https://example.com/>https://Example.com</a> x", "https://Example.com x");
    renders("<a href='mailto:ana@example.com'>ana@example.com</a>", "ana@example.com");
    renders("<a href=https://example.com/x><img alt=''></a>", "https://example.com/x");
    renders("<ul><li><a href=https://example.com/>example.com</a></ul>", "- example.com");
    renders("<a href=https://a.example/>a<a href=https://b.example/>b", "a (https://a.example/)b (https://b.example/)");
    renders("<a href=https://a.example/ >two\n</a> <p>words", "two (https://a.example/)\n\nwords");
    for href in [
        "#top",
        "javascript:alert(1)",
        "data:text/plain,x",
        "cid:1",
        "/path",
        "",
        "https://",
        &format!("https://a.example/{}", "x".repeat(3_000)),
    ] {
        renders(&format!("<a href=\"{href}\">x</a>"), "x");
    }
    renders("<a name=x>x</a>", "x");
    renders("<a href=\"https://a.example/\nx\ty\">z</a>", "z (https://a.example/xy)");
}

#[test]
fn quoted_text_of_an_answer_stays_and_is_marked() {
    renders(
        "<div>Thanks</div><div>On Monday Bob wrote:</div><blockquote><p>hello</p><p>you</p><blockquote>older</blockquote></blockquote>me",
        "Thanks\nOn Monday Bob wrote:\n\n> hello\n>\n> you\n>\n> > older\n\nme",
    );
    renders("<blockquote>a<br>b", "> a\n> b");
    renders("</blockquote></blockquote>x", "x");
}

#[test]
fn lists_have_marks_and_steps() {
    renders("<p>x</p><ul><li>a</li><li>b<ul><li>c</ul><li>d<p>e</ul>f", "x\n\n- a\n- b\n  - c\n- d\n\n  e\n\nf");
    renders("<ol><li>a<li>b<ol><li>c</ol><li>d</ol>", "1. a\n2. b\n  1. c\n3. d");
    renders("<li>a<li><li>b", "- a\n- b");
    renders("</ul></ol><ul></ul>x", "x");
}

#[test]
fn rows_are_lines_and_layout_tables_leave_no_trace() {
    renders("<table><tr><th>Item<th>Price</tr><tr><td>Tea</td> <td>2 €</td></tr></table>", "Item | Price\nTea | 2 €");
    renders("<table><tr><td>&nbsp;</td><td><p>Hello</p></td><td></td></tr></table><p>x</p>", "Hello\n\nx");
    renders("<table><tr><td colspan=1000000000 rowspan=1000000000>x</table>", "x");
}

#[test]
fn preformatted_text_keeps_its_blanks() {
    renders("a<pre>fn  x() {\n    y\n}\n</pre>b  c", "a\n\nfn  x() {\n    y\n}\n\nb c");
    renders("<blockquote><pre>a\n b</pre></blockquote>", "> a\n>  b");
}

#[test]
fn images_are_their_description() {
    renders("<img src=x alt=\" A \n cat\"> and <img src=y> <img alt=''>", "[image: A cat] and");
}

#[test]
fn what_readers_do_not_see_is_left_out() {
    for hidden in [
        "<script>alert('<p>x</p>')</script>",
        "<style>p { color: red }</style>",
        "<head><title>t</title><meta charset=x></head>",
        "<template>t</template>",
        "<iframe>t</iframe>",
        "<!-- t -->",
        "<!DOCTYPE html>",
        "<div style=\"display:none; font-size:1px\">t <div>t</div> t</div>",
        "<p hidden>t</p>",
        "<span style='color:red;VISIBILITY: hidden!important'>t</span>",
        "<img hidden alt=t>",
        "<table style=\"display:none\"><tr><td><table><tr><td>t</table></table>",
    ] {
        renders(&format!("a {hidden} b"), "a b");
    }
    renders("a<script>never closed", "a");
    renders("a<style>never closed <p>", "a");
}

#[test]
fn a_hidden_element_that_is_never_closed_does_not_swallow_the_mail() {
    renders("<p style='display:none'>a<p>b</p>", "a\n\nb");
    renders("<head>a", "a");
    renders("<textarea>x</textarea> <title>never closed", "x never closed");
}

#[test]
fn broken_html_is_read_as_far_as_it_goes() {
    renders("a <b c <p>d", "a d");
    renders("a <b c", "a");
    renders("1 < 2 & 3 > 2", "1 < 2 & 3 > 2");
    renders("a </nope> <unknown>b</unknown> </p>c", "a b\n\nc");
    renders("", "");
}

#[test]
fn huge_html_is_cut_between_characters() {
    let text = to_text(&"é".repeat(MAX_BYTES));
    assert_eq!(text.len(), MAX_BYTES);
    let text = to_text(&format!("<p>{}", "x".repeat(50 * 1024 * 1024)));
    assert_eq!(text.len(), MAX_BYTES - 3);
}

#[test]
fn hostile_html_costs_time_and_room_in_proportion() {
    for piece in [
        "<div>",
        "<p>x",
        "<b>",
        "<ul><li>",
        "<ol><li>x",
        "<blockquote>x",
        "<blockquote><p>",
        "<table><tr><td>",
        "<td>x",
        "<pre>\nx",
        "<a href=http://a.example>",
        "<a href=http://a.example>y",
        "</p>",
        "</div></ul></blockquote></pre></a>",
        "<p hidden>",
        "<p hidden></p>",
        "<span style=display:none>x</span>",
        "<br>",
        "<hr>",
        "x<br>",
        "<",
        "<!--",
        "<a ",
        "&",
        "&amp;",
        "&#x",
        "<p a",
        "<p a=b c=d>",
        "<script>",
        "</script>",
        "<title>",
        "\n",
        " x",
        "<img alt=x>",
    ] {
        let whole =
            format!("{}{}", ["", "<pre><blockquote>"][piece.len() % 2], piece.repeat(MAX_BYTES / piece.len() + 1));
        let started = Instant::now();
        let text = to_text(&whole);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "{piece}: {took:?}");
        assert!(text.len() <= 2 * MAX_BYTES, "{piece}: {}", text.len());
    }
    let attributes: String = (0..60_000).map(|n| format!(" a{n}=b")).collect();
    let started = Instant::now();
    assert_eq!(to_text(&format!("<p{attributes}>x")), "");
    assert_eq!(to_text(&format!("<p{}>x", &attributes[..400_000])), "x");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_line_of_a_deep_quote_has_a_bounded_start() {
    let text = to_text(&format!("{}{}x<br>y", "<blockquote>".repeat(1_000), "<ul>".repeat(1_000)));
    assert!(text.lines().all(|line| line.len() <= 40), "{text}");
}

proptest! {
    #[test]
    fn any_html_becomes_text(html in "(<|>|/|p|a|b|ul|li|td|tr|pre|blockquote|script|style|head|br|img| hidden| href=http://a\\.example| style=display:none|&|nbsp;|x|é|\\n| |!--|\"|=){0,60}") {
        let text = to_text(&html);
        prop_assert_eq!(text.trim_end(), &text);
        prop_assert!(text.len() <= 40 * html.len());
    }

    #[test]
    fn text_without_markup_comes_through(text in "[a-zé,.]{1,8}( [a-zé,.]{1,8}){0,8}") {
        prop_assert_eq!(to_text(&text), text);
    }
}
