//! A configuration of any size: chains of relabelling, each of which ends in an endpoint.

use std::fmt::Write as _;

/// Components of a chain: all but the last relabel.
pub(super) const CHAIN: u32 = 10;

/// The text of `chains` chains. A component refers to the one behind it, which stands before it in the text.
pub(super) fn chains(chains: u32) -> String {
    let mut text = String::new();
    for chain in 0..chains {
        write(&mut text, chain);
        let mut next = format!("pyroscope.write.chain_{chain}");
        for step in 1..CHAIN {
            relabel(&mut text, chain, step, &next);
            next = format!("pyroscope.relabel.chain_{chain}_{step}");
        }
    }
    text
}

fn write(text: &mut String, chain: u32) {
    // A String takes every text.
    let _infallible = write!(
        text,
        r#"pyroscope.write "chain_{chain}" {{
	external_labels = {{
		cluster = "eu-west-1-a",
		chain   = "{chain}",
	}}

	endpoint {{
		url                = "http://pyroscope-{chain}.profiles.svc:4040"
		remote_timeout     = "10s"
		max_backoff_period = "1m"
		headers            = {{"X-Scope-OrgID" = "tenant-{chain}"}}
	}}
}}

"#
    );
}

fn relabel(text: &mut String, chain: u32, step: u32, next: &str) {
    let _infallible = write!(
        text,
        r#"pyroscope.relabel "chain_{chain}_{step}" {{
	// The workload is what is left of the pod's name.
	rule {{
		source_labels = ["namespace", "pod"]
		regex         = "(.+);(.+)-[0-9a-z]+-[0-9a-z]+"
		target_label  = "workload_{step}"
		replacement   = "$1/$2"
	}}

	rule {{
		action        = "drop"
		source_labels = ["service_name"]
		regex         = string.format("test-%d-.*", {step})
	}}

	max_cache_size = 100 * {step}
	forward_to     = [{next}.receiver]
}}

"#
    );
}
