//! Selectors, as the API server reads them. It is what selects; here they are only looked at, before anything runs.

/// Whether it is a list of `field=value`, `field==value` and `field!=value`.
pub(super) fn check_field_selector(text: &str) -> Result<(), String> {
    let mut rest = text;
    while !rest.is_empty() {
        let end = unescaped(rest, ',').unwrap_or(rest.len());
        let (term, behind) = rest.split_at(end);
        if !term.is_empty() && unescaped(term, '=').is_none() {
            return Err(format!(
                "invalid selector: {term:?}: a field, one of =, == and !=, and its value were expected"
            ));
        }
        rest = behind.strip_prefix(',').unwrap_or_default();
    }
    Ok(())
}

/// Where a character stands that no backslash stands before.
fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(place, c)| {
        let found = c == wanted && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        found.then_some(place)
    })
}

/// Whether it is a list of requirements of labels: `a`, `!a`, `a=b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a>1`, `a<1`.
pub(super) fn check_label_selector(text: &str) -> Result<(), String> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let left = requirement(rest).ok_or_else(|| {
            format!(
                "unable to parse requirement {rest:?}: write for example a=b, a!=b, a in (b, c), a notin (b), a or !a"
            )
        })?;
        rest = match left.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            _ if left.is_empty() => left,
            _ => return Err(format!("unable to parse requirement {left:?}: a comma and another one were expected")),
        };
    }
    Ok(())
}

/// What stands behind a requirement; `None` where there is none.
fn requirement(text: &str) -> Option<&str> {
    if let Some(absent) = text.strip_prefix('!') {
        return word(absent.trim_start()).map(|(_, rest)| rest);
    }
    let (_, rest) = word(text)?;
    if rest.is_empty() || rest.starts_with(',') {
        return Some(rest);
    }
    for operator in ["==", "!=", "=", ">", "<"] {
        if let Some(behind) = rest.strip_prefix(operator) {
            // An empty value is one.
            let behind = behind.trim_start();
            return Some(word(behind).map_or(behind, |(_, rest)| rest));
        }
    }
    let (operator, rest) = word(rest)?;
    let mut rest = rest.strip_prefix('(').filter(|_| matches!(operator, "in" | "notin"))?.trim_start();
    loop {
        rest = word(rest).map_or(rest, |(_, rest)| rest);
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return Some(rest.strip_prefix(')')?.trim_start()),
        }
    }
}

/// A name or value, and what stands behind it and the space.
fn word(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (!word.is_empty()).then_some((word, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_selectors() {
        for good in ["", "a=b", "spec.nodeName==n,status.phase!=Failed", r"a=b\,c", "a=", "a=b,"] {
            check_field_selector(good).unwrap();
        }
        for bad in ["a", "a=b,c", r"a\=b"] {
            let error = check_field_selector(bad).unwrap_err();
            assert!(error.starts_with("invalid selector"), "{bad}: {error}");
        }
    }

    #[test]
    fn label_selectors() {
        for good in [
            "",
            "a",
            "!a",
            "a=b",
            "a == b",
            "a!=b,c",
            "a in (b, c)",
            "a notin(b),c=d",
            "a in ()",
            "a>1, b<2",
            "a=",
            "a=,b=c",
            "app.kubernetes.io/name=x-y_z.1",
        ] {
            check_label_selector(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in ["=", ",", "a b", "a in b", "a in (b", "a=b c", "a=b,", "a is (b)", "!", "a=$", "a,,b"] {
            let error = check_label_selector(bad).unwrap_err();
            assert!(error.starts_with("unable to parse"), "{bad}: {error}");
        }
    }
}
