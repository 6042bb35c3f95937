//! What compilers of C++ and Rust make of names, undone.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

/// How much is said of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demangle {
    /// The name as linkers know it.
    #[default]
    None,
    /// Neither parameters nor what stands in angle brackets.
    Simplified,
    /// No parameters.
    Templates,
    /// All there is. What compilers append to copies of functions is left out in all modes.
    Full,
}

/// Longest name that is undone, in bytes, and the longest that comes of one.
const MAX_INPUT: usize = 16 << 10;
const MAX_OUTPUT: usize = 64 << 10;
/// How deep names may be nested; those of browsers and compilers need less than 60. What is no name is parsed twice at
/// each level, so that twice as deep takes for ever.
const MAX_DEPTH: u32 = 64;
/// How deep what was parsed is said; names refer to parts of themselves.
const MAX_SAID_DEPTH: u32 = 256;

/// A name as its program's source has it. None of one that no compiler of C++ or Rust has made, or that says more
/// than is read.
#[must_use]
pub fn demangle(name: &str, mode: Demangle) -> Option<String> {
    if mode == Demangle::None || name.len() > MAX_INPUT {
        return None;
    }
    rust(name, mode).or_else(|| cpp(name, mode))
}

fn rust(name: &str, mode: Demangle) -> Option<String> {
    let name = if name.starts_with("_R") { without_clones(name) } else { hashed(name)? };
    let symbol = rustc_demangle::try_demangle(name).ok()?;
    let text = bounded(|output| write!(output, "{symbol:#}"))?;
    Some(if mode == Demangle::Simplified { without_brackets(&text) } else { text })
}

/// `_ZN…17h0123456789abcdefE`: the older form of Rust's names, which has full stops, up to its end. C++ has such names
/// too, but without a hash.
fn hashed(name: &str) -> Option<&str> {
    const HASH: usize = 19;
    let from = name.strip_prefix("_ZN").and_then(|path| path.rfind("17h"))? + "_ZN".len();
    let (hash, end) = (name.get(from + 3..from + HASH)?, from + HASH + 1);
    let is_hash = hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && name.get(from + HASH..end) == Some("E");
    name.get(..end).filter(|_| is_hash)
}

fn cpp(name: &str, mode: Demangle) -> Option<String> {
    let name = without_clones(name);
    if !name.starts_with("_Z") {
        return None;
    }
    let symbol = Symbol::new_with_options(name, &ParseOptions::default().recursion_limit(MAX_DEPTH)).ok()?;
    let options = DemangleOptions::default().recursion_limit(MAX_SAID_DEPTH);
    let options = if mode == Demangle::Full { options } else { options.no_params().no_return_type() };
    let text = bounded(|output| symbol.structured_demangle(output, &options))?;
    Some(match mode {
        Demangle::Simplified => without_brackets(&without_parameters(&text)),
        Demangle::Templates => without_parameters(&text),
        Demangle::None | Demangle::Full => text,
    })
}

/// `.cold`, `.constprop.0`, `.llvm.123`: names that are mangled have no full stop of their own.
fn without_clones(name: &str) -> &str {
    name.split_once('.').map_or(name, |(name, _)| name)
}

fn bounded(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Option<String> {
    let mut output = Bounded(String::new());
    write(&mut output).ok()?;
    Some(output.0)
}

/// A few bytes of a name can say very much.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_OUTPUT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Leaves out the parameters of functions that others are inside of, and what is said of `this`.
fn without_parameters(text: &str) -> String {
    let text = text.strip_suffix(" const").unwrap_or(text);
    let mut output = String::with_capacity(text.len());
    let mut open = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            '(' => open.push(output.len()),
            ')' => {
                let behind = text.get(at + 1..).unwrap_or_default();
                let name = open.pop().and_then(|from| output.get(..from));
                if (behind.starts_with("::") || behind.starts_with(" const::"))
                    && let Some(name) = name.filter(|name| ends_name(name))
                {
                    output.truncate(name.len());
                    continue;
                }
            }
            _ => {}
        }
        output.push(character);
    }
    output.replace(" const::", "::")
}

/// Not `(anonymous namespace)`, not `operator()`.
fn ends_name(text: &str) -> bool {
    let is_name = |last: char| last.is_alphanumeric() || ['_', '>', ')', '}'].contains(&last);
    !text.ends_with("operator") && text.chars().next_back().is_some_and(is_name)
}

/// Operators with brackets in their names, the longer before those that they begin with.
const OPERATORS: [&str; 10] = ["<=>", "<<=", ">>=", "<<", ">>", "<=", ">=", "->", "<", ">"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// In which `>` is an operator.
    Parenthesis,
    Kept,
    LeftOut,
}

/// Leaves out what stands in angle brackets, but for Rust's `<Type as Trait>` and `<impl Trait for Type>`.
fn without_brackets(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut open: Vec<Open> = Vec::new();
    let mut left_out = 0_usize;
    let mut at = 0;
    while let Some((before, rest)) = text.split_at_checked(at).filter(|(_, rest)| !rest.is_empty()) {
        let (token, is_bracket) = token(before, rest);
        at += token.len();
        match (token, open.last()) {
            _ if !is_bracket => output.push_str(if left_out == 0 { token } else { "" }),
            ("<", _) => {
                let is_kept = left_out == 0 && is_rust_type(before, rest);
                open.push(if is_kept { Open::Kept } else { Open::LeftOut });
                if is_kept {
                    output.push('<');
                    continue;
                }
                if left_out == 0 {
                    output.truncate(output.trim_end_matches([' ', ':']).len());
                }
                left_out += 1;
            }
            (">", Some(Open::LeftOut)) => {
                open.pop();
                left_out -= 1;
            }
            (")", Some(Open::Parenthesis)) | (">", Some(Open::Kept)) => {
                open.pop();
                output.push_str(if left_out == 0 { token } else { "" });
            }
            ("(", _) => {
                open.push(Open::Parenthesis);
                output.push_str(if left_out == 0 { token } else { "" });
            }
            _ => output.push_str(if left_out == 0 { token } else { "" }),
        }
    }
    output
}

/// The next bracket, or all that is before it; and whether it is one.
fn token<'a>(before: &str, rest: &'a str) -> (&'a str, bool) {
    let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
    let (length, is_bracket) = match operator {
        Some(operator) if before.ends_with("operator") => (operator.len(), false),
        // Of functions that are arguments, in Rust.
        Some(&"->") => (2, false),
        _ => match rest.find(['<', '>', '(', ')', '-']) {
            Some(0) => (1, true),
            Some(length) => (length, false),
            None => (rest.len(), false),
        },
    };
    (rest.get(..length).unwrap_or(rest), is_bracket)
}

/// Whether a bracket is none of arguments: it stands where a name begins.
fn is_rust_type(before: &str, rest: &str) -> bool {
    let is_of_operator = || {
        let name = before.trim_end();
        OPERATORS.iter().any(|operator| name.strip_suffix(operator).is_some_and(|name| name.ends_with("operator")))
    };
    let begins = before.is_empty() || before.ends_with(['(', '<', '&', '[']);
    begins || rest.starts_with("<impl ") || before.ends_with(' ') && !is_of_operator()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_says_as_much_as_it_should() {
        // The name, and what is left of it when it is simplified, with templates, and in full.
        let cases = [
            ("main", None),
            ("_ZN", None),
            ("_Z3fooi", Some(["foo", "foo", "foo(int)"])),
            ("_ZN3foo3barEv.constprop.0", Some(["foo::bar", "foo::bar", "foo::bar()"])),
            ("_Z3maxIiET_S0_S0_", Some(["max", "max<int>", "int max<int>(int, int)"])),
            (
                "_ZNSt6vectorIiSaIiEE9push_backERKi",
                Some([
                    "std::vector::push_back",
                    "std::vector<int, std::allocator<int> >::push_back",
                    "std::vector<int, std::allocator<int> >::push_back(int const&)",
                ]),
            ),
            (
                "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
                Some([
                    "std::operator<<",
                    "std::operator<< <std::char_traits<char> >",
                    "std::basic_ostream<char, std::char_traits<char> >& std::operator<< <std::char_traits<char> >(std::basic_ostream<char, std::char_traits<char> >&, char const*)",
                ]),
            ),
            (
                "_ZN12_GLOBAL__N_11fEv",
                Some(["(anonymous namespace)::f", "(anonymous namespace)::f", "(anonymous namespace)::f()"]),
            ),
            (
                "_ZZ3fooiENKUlvE_clEv",
                Some([
                    "foo::{lambda()#1}::operator()",
                    "foo::{lambda()#1}::operator()",
                    "foo(int)::{lambda()#1}::operator()() const",
                ]),
            ),
            (
                "_ZN4core3ptr18real_drop_in_place17h0123456789abcdefE.llvm.77",
                Some(["core::ptr::real_drop_in_place"; 3]),
            ),
            (
                "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
                Some([
                    "<Test + 'static as foo::Bar>::bar",
                    "<Test + 'static as foo::Bar<Test>>::bar",
                    "<Test + 'static as foo::Bar<Test>>::bar",
                ]),
            ),
            (
                "_RINvNtC3std3mem8align_ofjE",
                Some(["std::mem::align_of", "std::mem::align_of::<usize>", "std::mem::align_of::<usize>"]),
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(demangle(name, Demangle::None), None);
            let found = [Demangle::Simplified, Demangle::Templates, Demangle::Full].map(|mode| demangle(name, mode));
            let expected = expected.map_or([None; 3], |expected| expected.map(Some));
            assert_eq!(found.each_ref().map(Option::as_deref), expected, "{name}");
        }
    }

    #[test]
    fn brackets_that_are_no_arguments_stay() {
        let cases = [
            ("a::operator<", "a::operator<"),
            ("a::operator< <int>", "a::operator<"),
            ("a::operator<=><int>", "a::operator<=>"),
            ("a::operator->", "a::operator->"),
            ("a<(1)>(0)>::b", "a(0)>::b"),
            ("a<((1)>(0))>::b", "a::b"),
            ("<a::B<C> as d::E<F>>::g::<fn(u8) -> u8>", "<a::B as d::E>::g"),
            ("a::<impl b::C for d::E<F>>::g", "a::<impl b::C for d::E>::g"),
            ("a<b", "a"),
            ("a>b", "a>b"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_brackets(text), expected, "{text}");
        }
    }

    #[test]
    fn names_that_say_too_much_stay_as_they_are() {
        let deep = format!("_Z1f{}i", "P".repeat(MAX_INPUT - 10));
        assert_eq!(demangle(&deep, Demangle::Full), None);
        let long = format!("_Z{}", "1a".repeat(MAX_INPUT));
        assert_eq!(demangle(&long, Demangle::Full), None);
    }
}
