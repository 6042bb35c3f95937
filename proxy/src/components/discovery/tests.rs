//! What is found, kept and told.

use alloy_syntax::{DecodeValue, Scope, StdlibOptions};
use tokio::sync::mpsc;

use super::*;
use crate::component::Services;
use crate::components::targets::Targets;
use crate::filters::FilterHost;

pub(super) fn services() -> Services {
    Services::new(std::env::temp_dir(), FilterHost::default())
}

pub(super) fn context<'a>(services: &'a Services, name: &str) -> Context<'a> {
    Context { component: ComponentLabels::top_level(name.into()), services }
}

/// What the exports say, as texts.
pub(super) fn shown(exports: &Value) -> Vec<String> {
    let targets = exports.fields().unwrap()["targets"].clone();
    Targets::decode_value(&targets).unwrap().rows(None).targets().iter().map(ToString::to_string).collect()
}

fn target(address: &str) -> Labels {
    Labels::from_pairs([(ADDRESS, address)]).unwrap()
}

/// Finds what it is told.
struct Told(mpsc::Receiver<Found>);

impl Search for Told {
    async fn next(&mut self) -> Found {
        match self.0.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn only_what_changes_is_told_and_problems_are_shown() {
    let services = services();
    let discovered = Discovered::new(Found::default(), &context(&services, "discovery.test.a"));
    let (find, found) = mpsc::channel(1);
    discovered.follow(Told(found));
    let mut changes = Vec::new();
    for (targets, problems) in [
        (vec!["a:1"], vec![]),
        (vec!["a:1"], vec![]),
        (vec!["a:1"], vec!["a file is bad"]),
        (vec!["a:1", "b:1"], vec!["a file is bad", "and another"]),
        (vec![], vec![]),
    ] {
        let targets: Vec<Labels> = targets.into_iter().map(target).collect();
        let problems: Vec<String> = problems.into_iter().map(str::to_owned).collect();
        find.send(Found { targets: targets.clone(), problems: problems.clone() }).await.unwrap();
        // One more is taken when the one before was looked at.
        find.send(Found { targets, problems }).await.unwrap();
        changes.push((services.changes.take().len(), discovered.targets().len(), discovered.health().message));
    }
    let well = "targets are looked for".to_owned();
    let bad = "a file is bad; the targets of before stay".to_owned();
    let worse = "a file is bad, and 1 more; the targets of before stay".to_owned();
    let expected = [(1, 1, well.clone()), (0, 1, well.clone()), (0, 1, bad), (1, 2, worse), (1, 0, well)];
    assert_eq!(changes, expected);
}

#[test]
fn consumers_share_the_labels_of_targets() {
    let set = TargetSet::new(vec![target("a:1"), target("b:1")]);
    let [one, other] = [1, 2].map(|_| Targets::decode_value(&set.value).unwrap().rows(None));
    for (mine, theirs) in set.targets.iter().zip(one.targets().iter().zip(other.targets())) {
        assert!(std::ptr::eq(mine.text(), theirs.0.text()) && std::ptr::eq(mine.text(), theirs.1.text()));
    }
}

#[test]
fn targets_are_objects_to_expressions() {
    let set = TargetSet::new(vec![target("a:1"), target("b:1")]);
    let scope = Scope::stdlib(&StdlibOptions::default()).with("found", set.value);
    let evaluate = |text: &str| alloy_syntax::parse_expression("test", text).unwrap().evaluate(&scope).unwrap();
    assert_eq!(evaluate("found[1].__address__"), Value::from("b:1"));
    assert_eq!(evaluate("found[0][\"__address__\"]"), Value::from("a:1"));
    assert_eq!(evaluate("encoding.to_json(found[0])"), Value::from(r#"{"__address__":"a:1"}"#));
    assert!(matches!(evaluate("array.concat(found, found)"), Value::Array(all) if all.len() == 4));
}
