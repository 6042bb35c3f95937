//! Hides the names of functions: those that begin as the configuration says become `[redacted]`.
//!
//! Names stand in a table of their own, so neither samples nor stacks are looked at.

#[cfg(target_arch = "wasm32")]
mod component;

/// What stands in the place of a hidden name.
pub const REDACTED: &str = "[redacted]";

/// The beginnings of names to hide, one a line; blank lines and those that begin with `#` are skipped.
///
/// # Errors
/// There is none.
pub fn prefixes(config: &str) -> Result<Vec<String>, String> {
    let lines = config.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let prefixes: Vec<String> = lines.map(str::to_owned).collect();
    if prefixes.is_empty() {
        return Err("no names to hide: write the beginning of a function's name on each line".to_owned());
    }
    Ok(prefixes)
}

/// The places, from `first` on, of names that begin with one of these.
pub fn hidden<'a>(prefixes: &'a [String], first: u32, names: &'a [String]) -> impl Iterator<Item = u32> {
    let is_hidden = |name: &String| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
    (first..).zip(names).filter(move |(_, name)| is_hidden(name)).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_by_how_they_begin() {
        let prefixes = prefixes("# ours\n com.acme.\n\nsecret").unwrap_or_default();
        let names = ["main", "com.acme.Pay", "com.acmecorp", "secret"].map(str::to_owned);
        assert_eq!(hidden(&prefixes, 10, &names).collect::<Vec<_>>(), [11, 13]);
        assert!(super::prefixes("# nothing\n").is_err());
    }
}
