//! TLS on the way to the sink, and on both sides.

use super::{Nginx, Place, Variant};
use crate::load::configuration::{self, NginxServer, Pipeline};
use crate::load::goal::{Bound, Figure, Goal};

pub(super) const UPSTREAM: Variant = Variant {
    name: "tls-upstream",
    flamegate: "flamegate-tls-upstream",
    configuration: |place| pipeline(place, String::new()),
    nginx: Some(Nginx { name: "nginx-tls-upstream", configuration: |place| nginx(place, String::new()) }),
    tls_in: false,
    tls_out: true,
    sinks: 1,
    goals: &[Goal {
        program: "flamegate-tls-upstream",
        over: "nginx-tls-upstream",
        figure: Figure::Cpu,
        bound: Bound::Printed,
    }],
};

pub(super) const BOTH: Variant = Variant {
    name: "tls",
    flamegate: "flamegate-tls",
    configuration: |place| pipeline(place, receiver(place)),
    nginx: Some(Nginx { name: "nginx-tls", configuration: |place| nginx(place, listener(place)) }),
    tls_in: true,
    tls_out: true,
    sinks: 1,
    goals: &[Goal { program: "flamegate-tls", over: "nginx-tls", figure: Figure::Cpu, bound: Bound::AtMost(1.3) }],
};

/// The receiver's half.
fn receiver(place: &Place<'_>) -> String {
    let (file, key) = (&place.certificate.file, &place.certificate.key);
    format!("    tls {{\n      cert_file = {file:?}\n      key_file  = {key:?}\n    }}\n")
}

fn pipeline(place: &Place<'_>, http: String) -> String {
    let endpoint = format!("    tls_config {{\n      ca_file = {:?}\n    }}\n", place.certificate.file);
    Pipeline { listen: place.listen, http, sink: format!("https://{}", place.sink()), endpoint }.with_rules()
}

fn listener(place: &Place<'_>) -> String {
    let (file, key) = (place.certificate.file.display(), place.certificate.key.display());
    format!("    ssl_certificate \"{file}\";\n    ssl_certificate_key \"{key}\";\n")
}

/// With a certificate in `server`, it takes TLS alone.
fn nginx(place: &Place<'_>, server: String) -> String {
    let tls_in = !server.is_empty();
    configuration::nginx(&NginxServer {
        listen: place.listen,
        listen_as: if tls_in { "ssl" } else { "" },
        server,
        sink: place.sink(),
        scheme: "https",
        connections: place.connections,
        folder: place.folder,
    })
}
