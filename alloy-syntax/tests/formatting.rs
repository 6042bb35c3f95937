//! Comments and alignment, beyond the conformance cases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use alloy_syntax::{format_source, parse_file};

fn format(source: &str) -> String {
    let formatted = format_source("test", source).unwrap();
    assert_eq!(format_source("test", &formatted).unwrap(), formatted, "formatting again changes it");
    formatted
}

#[track_caller]
fn assert_format(source: &str, expected: &str) {
    let formatted = format(source);
    assert_eq!(formatted, expected, "got:\n{formatted}\nwant:\n{expected}");
}

#[test]
fn comments_at_the_ends_of_lines_are_aligned() {
    assert_format("a = 1 // one\nbbb = 22 // two\n", "a   = 1  // one\nbbb = 22 // two\n");
    assert_format("a = 1 // one\nbbb = 22\nc = 3 // three\n", "a   = 1 // one\nbbb = 22\nc   = 3 // three\n");
}

#[test]
fn comments_keep_their_place() {
    assert_format(
        "// file\n\n// block\nb \"l\" { // open\n // inside\n x = [ // list\n 1, // one\n // before two\n 2,\n // end\n ]\n // last\n}\n// after\n",
        "// file\n\n// block\nb \"l\" { // open\n\t// inside\n\tx = [ // list\n\t\t1, // one\n\t\t// before two\n\t\t2,\n\t\t// end\n\t]\n\t// last\n}\n// after\n",
    );
    assert_format(
        "o = {\n// first\na = 1, // one\n\n// second\nbbb = 2,\n// end\n}\n",
        "o = {\n\t// first\n\ta = 1, // one\n\n\t// second\n\tbbb = 2,\n\t// end\n}\n",
    );
    assert_format("a = /* in */ 1 /* behind */ + /* before */ 2\n", "a = /* in */ 1 /* behind */ + /* before */ 2\n");
}

#[test]
fn a_comment_behind_a_brace_does_not_indent_its_line() {
    assert_format(
        "a = { /* c */ b = 1 }\nc { // open\n\n /* in */ }\n",
        "a = { /* c */ b = 1}\n\nc { // open\n\n\t/* in */ }\n",
    );
}

#[test]
fn an_empty_line_ends_alignment_and_stays() {
    assert_format("a = 1\n\n\n\nbbb = 2\nc = 3\n", "a = 1\n\nbbb = 2\nc   = 3\n");
    assert_format("a = 1\nbbb = [\n1,\n]\nc = 3\n", "a   = 1\nbbb = [\n\t1,\n]\nc = 3\n");
}

#[test]
fn strings_stay_as_they_are() {
    let source = "a = `line \t\n\n  two\t`\nb = \"tab\\t\"\nc = {\"k\\t\" = 1}\n";
    let expected = "a = `line \t\n\n  two\t`\nb = \"tab\\t\"\nc = {\"k\\t\" = 1}\n";
    assert_format(source, expected);
}

#[test]
fn the_last_comment_may_end_the_file() {
    assert_format("a = 1 // c", "a = 1 // c\n");
    assert_format("a { }\n\n\n// c\n", "a { }\n\n// c\n");
    assert_format("/* a\n   b */", "/* a\n   b */\n");
}

#[test]
fn comments_between_arguments_keep_their_place() {
    assert_format(
        "a = f( // open\n1, // one\n// before two\n2, // two\n)\n",
        "a = f( // open\n\t1, // one\n\t// before two\n\t2, // two\n)\n",
    );
}

#[test]
fn nested_blocks_and_calls_are_laid_out() {
    assert_format(
        "a {\nb {\nc = f(1,2)\n}\nd=1\ne \"x\" {}\n}\n",
        "a {\n\tb {\n\t\tc = f(1, 2)\n\t}\n\td = 1\n\n\te \"x\" { }\n}\n",
    );
    assert_format("a = concat(\n[1],\nb.c,\n)\n", "a = concat(\n\t[1],\n\tb.c,\n)\n");
    assert_format("a = !b && -c^2 <= d%3\n", "a = !b && -c ^ 2 <= d % 3\n");
}

#[test]
fn what_becomes_one_line_is_aligned_as_one() {
    assert_format("a = [\n]\nbbb = 1\n", "a   = []\nbbb = 1\n");
    assert_format("a = 1 +\n2\nbbb = 1\n", "a   = 1 + 2\nbbb = 1\n");
    assert_format("o = {\na = (\n1),\nbbb = 2,\n}\n", "o = {\n\ta   = (1),\n\tbbb = 2,\n}\n");
}

#[test]
fn a_call_without_arguments_gets_no_comma() {
    assert_format("a = f(\n)\n", "a = f()\n");
    assert_format("a = f( // c\n)\n", "a = f( // c\n)\n");
}

/// Where the reference takes two runs to get there, as with a comment that touches the word before it, this takes one.
#[test]
fn a_comment_before_what_binds_words_is_written_behind_it() {
    for comment in ["/**/", " /**/ "] {
        let of = |source: &str| source.replace("/**/", comment);
        assert_format(&of("x/**/= y\n"), "x = /**/ y\n");
        assert_format(&of("x = a/**/.b\n"), "x = a. /**/ b\n");
        assert_format(&of("x = [1/**/,2]\n"), "x = [1, /**/ 2]\n");
        assert_format(&of("x = f(1/**/,2)\n"), "x = f(1, /**/ 2)\n");
        assert_format(&of("x = {a/**/=1/**/,b=2}\n"), "x = {a = /**/ 1, /**/ b = 2}\n");
        assert_format(&of("x = [\n1/**/,\n]\n"), "x = [\n\t1, /**/\n]\n");
    }
}

#[test]
fn a_comment_behind_a_dot_does_not_swallow_the_name() {
    assert_format("a = b. // c\nd - e\n", "a = b. // c\nd - e\n");
}

/// Whatever parses still means the same after formatting: the words are the same, in order.
#[test]
fn no_word_is_lost() {
    let source = include_str!("formatting/mixed.alloy");
    let words = |text: &str| {
        let file = parse_file("test", text).unwrap();
        let comments: Vec<_> = file.comments.iter().flatten().map(|comment| comment.text.clone()).collect();
        let references: Vec<_> =
            file.body.references().iter().map(|t| t.names().collect::<Vec<_>>().join(".")).collect();
        (comments, references, file.body.blocks().map(alloy_syntax::ast::Block::full_name).collect::<Vec<_>>())
    };
    assert_eq!(words(&format(source)), words(source));
}
