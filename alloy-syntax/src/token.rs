//! The words of the language.

use std::fmt;

use crate::position::Position;

/// What kind of word a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Something the language does not know.
    Illegal,
    /// The end of the text.
    Eof,
    /// `// …` or `/* … */`.
    Comment,
    /// A name.
    Ident,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// Digits alone.
    Number,
    /// A number with a point or an exponent.
    Float,
    /// A string, with its quotes.
    String,
    /// `||`
    Or,
    /// `&&`
    And,
    /// `!`
    Not,
    /// `=`
    Assign,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `{`
    LeftCurly,
    /// `}`
    RightCurly,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// The end of a statement: a line's end behind a word that may end one.
    Terminator,
}

impl TokenKind {
    /// The name or the text of the kind, as error messages have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Illegal => "ILLEGAL",
            Self::Eof => "EOF",
            Self::Comment => "COMMENT",
            Self::Ident => "IDENT",
            Self::Null => "NULL",
            Self::Bool => "BOOL",
            Self::Number => "NUMBER",
            Self::Float => "FLOAT",
            Self::String => "STRING",
            Self::Or => "||",
            Self::And => "&&",
            Self::Not => "!",
            Self::Assign => "=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::LeftCurly => "{",
            Self::RightCurly => "}",
            Self::LeftParen => "(",
            Self::RightParen => ")",
            Self::LeftBracket => "[",
            Self::RightBracket => "]",
            Self::Comma => ",",
            Self::Dot => ".",
            Self::Terminator => "TERMINATOR",
        }
    }

    /// How tightly a binary operator binds, from 1 (`||`) to 6 (`^`); `None` for all else.
    pub fn precedence(self) -> Option<u8> {
        match self {
            Self::Or => Some(1),
            Self::And => Some(2),
            Self::Equal | Self::NotEqual | Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => {
                Some(3)
            }
            Self::Add | Self::Sub => Some(4),
            Self::Mul | Self::Div | Self::Mod => Some(5),
            Self::Pow => Some(6),
            _ => None,
        }
    }

    /// Whether a line's end behind this kind ends the statement.
    pub(crate) fn ends_statement(self) -> bool {
        matches!(
            self,
            Self::Ident
                | Self::Null
                | Self::Bool
                | Self::Number
                | Self::Float
                | Self::String
                | Self::RightCurly
                | Self::RightParen
                | Self::RightBracket
        )
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: TokenKind,
    /// Where it starts.
    pub start: Position,
    /// Just behind its last byte.
    pub end: Position,
    /// Its text as written, for names, literals, comments and what is illegal; `"\n"` for a terminator,
    /// empty for the rest.
    pub text: String,
}
