//! Adds a `team` label by the beginning of a service's name, and drops the series of some namespaces.

use std::cell::RefCell;

use exports::flamegate::filter::{filter_labels, lifecycle};
use flamegate::filter::log::{self, Level};
use flamegate::filter::types::{Info, Label, Patch, Verdict};

wit_bindgen::generate!({ path: "../../../wit", world: "labels-filter" });

const RULES: &str = r#"write "team PREFIX TEAM" or "drop NAMESPACE""#;

#[derive(Default)]
struct Rules {
    /// Beginning of a service's name, and its team; the first that fits decides.
    teams: Vec<(String, String)>,
    dropped: Vec<String>,
}

thread_local!(static CONFIGURED: RefCell<Rules> = RefCell::default());

struct TeamLabel;

export!(TeamLabel);

impl lifecycle::Guest for TeamLabel {
    fn describe() -> Info {
        Info { name: "team-label".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), deterministic: true }
    }

    fn configure(config: String) -> Result<(), String> {
        // What a panic says would go nowhere else.
        std::panic::set_hook(Box::new(|panic| log::log(Level::Error, &panic.to_string())));
        CONFIGURED.set(parse(&config)?);
        Ok(())
    }
}

impl filter_labels::Guest for TeamLabel {
    fn apply(labels: Vec<Label>) -> Verdict {
        CONFIGURED.with_borrow(|rules| rules.decide(&labels))
    }
}

impl Rules {
    fn decide(&self, labels: &[Label]) -> Verdict {
        let value = |name: &str| labels.iter().find(|label| label.name == name).map(|label| label.value.as_str());
        if value("namespace").is_some_and(|namespace| self.dropped.iter().any(|dropped| dropped == namespace)) {
            return Verdict::Drop("namespace".to_owned());
        }
        if value("team").is_some() {
            return Verdict::Unchanged;
        }
        let service = value("service_name").unwrap_or_default();
        match self.teams.iter().find(|(prefix, _)| service.starts_with(prefix)) {
            Some((_, team)) => {
                let team = Label { name: "team".to_owned(), value: team.clone() };
                Verdict::Patch(Patch { set: vec![team], remove: Vec::new() })
            }
            None => Verdict::Unchanged,
        }
    }
}

fn parse(config: &str) -> Result<Rules, String> {
    let blank = [' ', '\t', '\r'];
    let mut rules = Rules::default();
    for (number, line) in (1..).zip(config.split('\n')) {
        let line = line.trim_matches(blank);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split(blank).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["team", prefix, team] => rules.teams.push((prefix.to_owned(), team.to_owned())),
            ["drop", namespace] => rules.dropped.push(namespace.to_owned()),
            _ => return Err(format!(r#"line {number}: {RULES}, not "{line}""#)),
        }
    }
    if rules.teams.is_empty() && rules.dropped.is_empty() {
        return Err(format!("no rules: {RULES}"));
    }
    Ok(rules)
}
