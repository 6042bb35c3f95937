//! Rust expressions as somebody would write them.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The tokens with spaces only where they are usual.
pub(crate) fn as_written(tokens: TokenStream) -> String {
    let mut text = String::new();
    let mut after_word = false;
    for token in tokens {
        let word = matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        if word && after_word {
            text.push(' ');
        }
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => (" { ", " }"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                text.push_str(&as_written(group.stream()));
                text.push_str(close);
            }
            TokenTree::Punct(punct) => match (punct.as_char(), punct.spacing()) {
                (',' | ';', _) => text.push_str(&format!("{} ", punct.as_char())),
                ('*' | '/' | '+' | '<' | '>' | '|', Spacing::Alone) if after_word => {
                    text.push_str(&format!(" {} ", punct.as_char()));
                }
                (other, _) => text.push(other),
            },
            other => text.push_str(&other.to_string()),
        }
        after_word = word;
    }
    text.trim_end().to_owned()
}
