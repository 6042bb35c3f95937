//! Finds the first error in JSON and names it as Go's library does.

use std::iter::Peekable;
use std::str::Chars;

use crate::quote::quote_char;

/// The first error, if there is one.
pub(super) fn first_error(text: &str) -> Option<String> {
    Checker { rest: text.chars().peekable(), open: Vec::new() }.check().err()
}

struct Checker<'t> {
    rest: Peekable<Chars<'t>>,
    /// The brackets that are still to be closed.
    open: Vec<char>,
}

/// What Go sees at the end of the text where a word is not complete.
const AT_END: char = ' ';

type Checked = Result<(), String>;

impl Checker<'_> {
    /// Without recursion, so that no depth is too much.
    fn check(mut self) -> Checked {
        loop {
            if self.value()? {
                continue;
            }
            // A value is complete: what may follow depends on what is open.
            loop {
                self.skip_space();
                match (self.open.last().copied(), self.rest.next()) {
                    (None, None) => return Ok(()),
                    (None, Some(c)) => return Err(invalid(c, "after top-level value")),
                    (Some(_), None) => return Err(at_end()),
                    (Some('{'), Some(',')) => {
                        self.key()?;
                        break;
                    }
                    (Some('['), Some(',')) => break,
                    (Some('{'), Some('}')) | (Some('['), Some(']')) => {
                        self.open.pop();
                    }
                    (Some('{'), Some(c)) => return Err(invalid(c, "after object key:value pair")),
                    (Some(_), Some(c)) => return Err(invalid(c, "after array element")),
                }
            }
        }
    }

    /// Whether another value has to follow, because a bracket was opened.
    fn value(&mut self) -> Result<bool, String> {
        self.skip_space();
        let first = self.rest.next().ok_or_else(at_end)?;
        match first {
            '{' => {
                self.skip_space();
                if self.rest.next_if_eq(&'}').is_some() {
                    return Ok(false);
                }
                self.open.push('{');
                self.key()?;
                return Ok(true);
            }
            '[' => {
                self.skip_space();
                if self.rest.next_if_eq(&']').is_some() {
                    return Ok(false);
                }
                self.open.push('[');
                return Ok(true);
            }
            '"' => self.string()?,
            't' => self.literal("true")?,
            'f' => self.literal("false")?,
            'n' => self.literal("null")?,
            '-' => {
                let digit = self.digit("in numeric literal")?;
                self.number(digit)?;
            }
            '0'..='9' => self.number(first)?,
            other => return Err(invalid(other, "looking for beginning of value")),
        }
        Ok(false)
    }

    /// A key and the colon behind it.
    fn key(&mut self) -> Checked {
        self.skip_space();
        match self.rest.next() {
            Some('"') => self.string()?,
            Some(c) => return Err(invalid(c, "looking for beginning of object key string")),
            None => return Err(at_end()),
        }
        self.skip_space();
        match self.rest.next() {
            Some(':') => Ok(()),
            Some(c) => Err(invalid(c, "after object key")),
            None => Err(at_end()),
        }
    }

    fn string(&mut self) -> Checked {
        loop {
            match self.rest.next().ok_or_else(at_end)? {
                '"' => return Ok(()),
                '\\' => match self.rest.next().unwrap_or(AT_END) {
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {}
                    'u' => {
                        for _ in 0..4 {
                            let c = self.rest.next().unwrap_or(AT_END);
                            if !c.is_ascii_hexdigit() {
                                return Err(invalid(c, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    other => return Err(invalid(other, "in string escape code")),
                },
                c @ '\0'..='\x1f' => return Err(invalid(c, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Checked {
        for expected in word.chars().skip(1) {
            let c = self.rest.next().unwrap_or(AT_END);
            if c != expected {
                return Err(invalid(c, &format!("in literal {word} (expecting {})", quote_char(expected))));
            }
        }
        Ok(())
    }

    /// The rest of a number behind its first digit; behind a 0 no other digit may follow.
    fn number(&mut self, first: char) -> Checked {
        if first != '0' {
            self.skip_digits();
        }
        if self.rest.next_if_eq(&'.').is_some() {
            self.digit("after decimal point in numeric literal")?;
            self.skip_digits();
        }
        if self.rest.next_if(|c| matches!(c, 'e' | 'E')).is_some() {
            // Behind a sign, or without one, a digit has to come.
            self.rest.next_if(|c| matches!(c, '+' | '-'));
            self.digit("in exponent of numeric literal")?;
            self.skip_digits();
        }
        Ok(())
    }

    fn digit(&mut self, context: &str) -> Result<char, String> {
        let c = self.rest.next().unwrap_or(AT_END);
        if c.is_ascii_digit() { Ok(c) } else { Err(invalid(c, context)) }
    }

    fn skip_digits(&mut self) {
        while self.rest.next_if(char::is_ascii_digit).is_some() {}
    }

    fn skip_space(&mut self) {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }
}

/// Go looks at bytes: of a character of more than one it names the first, as if it were a character.
fn invalid(c: char, context: &str) -> String {
    let first = c.encode_utf8(&mut [0; 4]).bytes().next().map_or(c, char::from);
    format!("invalid character {} {context}", quote_char(first))
}

fn at_end() -> String {
    "unexpected end of JSON input".to_owned()
}
