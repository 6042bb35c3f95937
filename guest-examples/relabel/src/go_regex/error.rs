//! Why a pattern is refused.

use super::{MAX_PATTERN_LEN, MAX_PROGRAM_SIZE};

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoRegexError {
    /// The pattern is not Go's syntax. The text is Go's, with the part of the pattern that it points at.
    #[error("error parsing regexp: {error}: `{part}`")]
    Syntax {
        /// What is wrong.
        error: SyntaxError,
        /// The part of the pattern that is wrong; where Go names the whole, it is the wrapped one.
        part: String,
    },
    /// The pattern is longer than [`MAX_PATTERN_LEN`].
    #[error(
        "the regular expression is {length} bytes long, {MAX_PATTERN_LEN} are allowed: split it over several rules"
    )]
    PatternTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The pattern compiles to more than [`MAX_PROGRAM_SIZE`].
    #[error(
        "the regular expression needs more than {MAX_PROGRAM_SIZE} bytes when compiled: use smaller repeat counts or \
         character classes, or split it over several rules"
    )]
    ProgramTooLarge,
    /// The engine refused it for another reason.
    #[error("the regular expression cannot be compiled: {0}")]
    Engine(String),
}

/// The errors of Go's parser, with its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each text is its own description")]
pub enum SyntaxError {
    #[error("invalid character class range")]
    CharacterRange,
    #[error("invalid escape sequence")]
    Escape,
    #[error("invalid named capture")]
    NamedCapture,
    #[error("invalid or unsupported Perl syntax")]
    PerlOperator,
    #[error("invalid nested repetition operator")]
    NestedRepetition,
    #[error("invalid repeat count")]
    RepeatCount,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParenthesis,
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("unexpected )")]
    UnexpectedParenthesis,
    #[error("expression nests too deeply")]
    NestingDepth,
    #[error("expression too large")]
    TooLarge,
}

impl SyntaxError {
    pub(super) fn at(self, part: &str) -> GoRegexError {
        GoRegexError::Syntax { error: self, part: part.to_owned() }
    }
}
