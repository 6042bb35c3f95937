//! Many backends in the place of one address.

use super::{Place, Variant};
use crate::load::configuration::Pipeline;
use crate::load::goal::{Bound, Figure, Goal};
use crate::load::program::FLAMEGATE;

pub(super) const BACKENDS: Variant = Variant {
    name: "backends",
    flamegate: "flamegate-backends",
    configuration: pipeline,
    nginx: None,
    tls_in: false,
    tls_out: false,
    sinks: 3,
    goals: &[Goal { program: "flamegate-backends", over: FLAMEGATE, figure: Figure::Cpu, bound: Bound::AtMost(1.05) }],
};

/// With health checks, as anyone would have it.
fn pipeline(place: &Place<'_>) -> String {
    let targets: Vec<String> = place.sinks.iter().map(|sink| format!("{{ __address__ = \"{sink}\" }}")).collect();
    let targets = targets.join(", ");
    let endpoint = format!(
        "    backends {{\n      targets = [{targets}]\n      health_check {{\n        type = \"tcp\"\n      }}\n    }}\n"
    );
    let sink = format!("http://{}", place.sink());
    Pipeline { listen: place.listen, http: String::new(), sink, endpoint }.with_rules()
}
