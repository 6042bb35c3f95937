//! Flags that the reference's `run` takes and that mean nothing here: accepted, so that a command line can be taken over
//! as it is, and told of once.

use clap::Args;

macro_rules! reference_flags {
    ($($field:ident $flag:literal $kind:ident $why:expr;)*) => {
        /// See the module.
        #[derive(Debug, Args)]
        pub(super) struct ReferenceFlags {
            $(
                #[arg(long = $flag, hide = true, num_args = reference_flags!(@args $kind), default_missing_value = "true",
                    require_equals = reference_flags!(@equals $kind))]
                $field: Option<String>,
            )*
        }

        impl ReferenceFlags {
            /// Tells of each flag that was given and does nothing.
            pub(super) fn warn(&self) {
                for (flag, why) in self.given() {
                    tracing::warn!(flag, "flag accepted without effect: {why}");
                }
            }

            /// The flags that were given, each with why it does nothing.
            pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
                let all = [$((self.$field.is_some(), concat!("--", $flag), $why)),*];
                all.into_iter().filter_map(|(given, flag, why)| given.then_some((flag, why)))
            }
        }
    };
    // A flag alone means true; a value follows an equals sign, as in Go.
    (@args switch) => { 0..=1 };
    (@args value) => { 1 };
    (@equals switch) => { true };
    (@equals value) => { false };
}

const NO_STABILITY: &str = "every component is available whatever its stability level";
const NO_REPORTING: &str = "Flamegate reports to no one";
const ONLY_ALLOY: &str = "Flamegate reads the Alloy syntax only";

reference_flags! {
    memory_addr "server.http.memory-addr" value "there is no in-memory listener";
    ui_path_prefix "server.http.ui-path-prefix" value "the web UI is served at /";
    enable_pprof "server.http.enable-pprof" switch "there are no pprof endpoints in this version";
    enable_graphql "server.http.enable-graphql" switch "there is no GraphQL API";
    enable_graphql_playground "server.http.enable-graphql-playground" switch "there is no GraphQL API";
    stability_level "stability.level" value NO_STABILITY;
    disable_reporting "disable-reporting" switch NO_REPORTING;
    config_format "config.format" value ONLY_ALLOY;
    bypass_conversion_errors "config.bypass-conversion-errors" switch ONLY_ALLOY;
    extra_args "config.extra-args" value ONLY_ALLOY;
    community_components "feature.community-components.enabled" switch NO_STABILITY;
    shutdown_deadline "feature.component-shutdown-deadline" value "components have deadlines of their own";
    direct_fanout "feature.prometheus.direct-fanout.enabled" switch "there are no Prometheus components";
    metric_validation_scheme "feature.prometheus.metric-validation-scheme" value "there are no Prometheus components";
    cluster_use_discovery_v1 "cluster.use-discovery-v1" switch "names are looked up in one way";
    windows_priority "windows.priority" value "Flamegate does not run on Windows";
}
