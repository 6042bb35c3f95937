//! The label sets and the rules of the benchmark, and the rules without a sandbox.

use flamegate::filters::Verdict;
use flamegate_relabel::{Action, Rule, RuleSet, Verdict as NativeVerdict};
use profiler_core::labels::{LabelError, Labels};

/// 15 labels, as a Kubernetes discovery and an agent make them.
pub(crate) fn label_set(index: usize) -> Result<Labels, LabelError> {
    let pod = format!("payments-api-6c9d8f7b5-{index:05}");
    Labels::from_pairs([
        ("__address__", "10.4.17.32:6060"),
        ("__meta_kubernetes_namespace", "prod-payments"),
        ("__meta_kubernetes_node_name", "ip-10-4-17-2.eu-west-1.compute.internal"),
        ("__meta_kubernetes_pod_container_name", "server"),
        ("__meta_kubernetes_pod_label_app", "payments-api"),
        ("__meta_kubernetes_pod_label_pod_template_hash", "6c9d8f7b5"),
        ("__meta_kubernetes_pod_label_version", "v1.42.0"),
        ("__meta_kubernetes_pod_name", pod.as_str()),
        ("__name__", "process_cpu"),
        ("__period_type__", "cpu"),
        ("__profile_type__", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
        ("cluster", "eu-west-1-a"),
        ("job", "kubernetes-pods"),
        ("namespace", "prod-payments"),
        ("region", "eu-west-1"),
    ])
}

/// Five, each of another action.
pub(super) fn rules() -> Vec<Rule> {
    let rule = |action, source_labels: &[&str], regex: &str, target_label: &str, replacement: &str| Rule {
        action,
        source_labels: source_labels.iter().map(|label| (*label).to_owned()).collect(),
        regex: regex.to_owned(),
        target_label: target_label.to_owned(),
        replacement: replacement.to_owned(),
        ..Rule::default()
    };
    let from = ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_container_name"];
    vec![
        rule(Action::Replace, &from, "(.+);(.+)", "service_name", "$1/$2"),
        rule(Action::LabelMap, &[], "__meta_kubernetes_pod_label_(.+)", "", "$1"),
        rule(Action::Keep, &["namespace"], "prod-.*|staging-.*|dev", "", "$1"),
        rule(Action::Drop, &["service_name"], ".*canary.*", "", "$1"),
        rule(Action::LabelDrop, &[], "__meta_.*|pod_template_hash", "", "$1"),
    ]
}

/// The verdict as the host needs it: with a label set that can be sent on.
pub(super) fn apply_natively(rules: &RuleSet, labels: &Labels) -> anyhow::Result<Verdict> {
    let borrowed: Vec<(&str, &str)> = labels.iter().collect();
    Ok(match rules.apply(&borrowed) {
        NativeVerdict::Unchanged => Verdict::Unchanged,
        NativeVerdict::Drop(reason) => Verdict::Drop(reason.into()),
        NativeVerdict::Change(change) => {
            let mut changed = labels.to_builder();
            let removed = change.removed.iter().filter_map(|index| borrowed.get(*index));
            removed.for_each(|(name, _)| changed.remove(*name));
            change.set.into_iter().for_each(|(name, value)| changed.set(name, value));
            Verdict::Replace(changed.build()?)
        }
    })
}
