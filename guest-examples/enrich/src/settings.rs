//! The filter's configuration.

/// Which label of a profile names its target, and which of the target's labels the profile gets.
///
/// ```
/// use flamegate_enrich::Settings;
///
/// let settings = Settings::parse("pod\nteam\nregion");
/// assert_eq!(settings.match_label(), "pod");
/// assert!(settings.copies("team", "shop") && !settings.copies("owner", "bob"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    match_label: String,
    /// None: all of them.
    labels_to_copy: Vec<String>,
}

impl Settings {
    /// A label's name a line: first the one by which a profile names its target, then those to copy.
    pub fn parse(config: &str) -> Self {
        // Not `lines`: an empty last line is a label to copy that no target has, and other than none.
        let mut names = config.split('\n').map(str::to_owned);
        Self { match_label: names.next().unwrap_or_default(), labels_to_copy: names.collect() }
    }

    /// The label of a profile that names its target.
    pub fn match_label(&self) -> &str {
        &self.match_label
    }

    /// Whether a target's label is for its profiles. Where all are, an empty one deletes what the profile has.
    pub fn copies(&self, name: &str, value: &str) -> bool {
        let is_named = || self.labels_to_copy.iter().any(|wanted| wanted == name);
        // A label without a name is none.
        !name.is_empty() && (self.labels_to_copy.is_empty() || (!value.is_empty() && is_named()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_names_all_labels_are_copied() {
        let all = Settings::parse("pod");
        assert!(all.copies("team", "shop") && all.copies("team", "") && !all.copies("", "nameless"));
        let nothing = Settings::parse("pod\n");
        assert!(!nothing.copies("team", "shop") && !nothing.copies("", "nameless"));
    }

    #[test]
    fn named_labels_are_copied_unless_they_are_empty() {
        let settings = Settings::parse("pod\nteam");
        assert!(settings.copies("team", "shop"));
        assert!(!settings.copies("team", "") && !settings.copies("region", "eu"));
    }
}
