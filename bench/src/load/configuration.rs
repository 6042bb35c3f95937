//! What the programs under load are told to do.

use std::net::SocketAddr;
use std::path::Path;

/// The pipeline of the load in Alloy's syntax: receive on `listen`, relabel with five rules, write to `sink`.
pub(crate) fn pipeline(listen: SocketAddr, sink: SocketAddr) -> String {
    let (address, port) = (listen.ip(), listen.port());
    format!(
        r#"pyroscope.receive_http "default" {{
  http {{
    listen_address = "{address}"
    listen_port    = {port}
  }}
  forward_to = [pyroscope.relabel.default.receiver]
}}

pyroscope.relabel "default" {{
  rule {{
    source_labels = ["namespace", "pod"]
    regex         = "(.+);(.+)-[0-9a-z]+-[0-9a-z]+"
    target_label  = "workload"
    replacement   = "$1/$2"
  }}
  rule {{
    target_label = "cluster"
    replacement  = "eu-west-1-a"
  }}
  rule {{
    action = "labelmap"
    regex  = "k8s_label_(.+)"
  }}
  rule {{
    action = "labeldrop"
    regex  = "k8s_label_.+|pod_template_hash"
  }}
  rule {{
    action        = "keep"
    source_labels = ["namespace"]
    regex         = "shop|billing-.*|dev"
  }}
  forward_to = [pyroscope.write.default.receiver]
}}

pyroscope.write "default" {{
  endpoint {{
    url = "http://{sink}"
  }}
}}
"#
    )
}

/// nginx as a pass-through that never writes a body to disk and never gives up a connection. Its files stay in `folder`.
pub(crate) fn nginx(listen: SocketAddr, sink: SocketAddr, connections: usize, folder: &Path) -> String {
    // A client and an upstream for each connection, and some for nginx itself.
    let worker_connections = 2 * connections + 128;
    let folder = folder.display();
    format!(
        r#"daemon off;
worker_processes 2;
pid "{folder}/nginx.pid";
error_log stderr warn;
events {{
  worker_connections {worker_connections};
}}
http {{
  access_log off;
  client_body_temp_path "{folder}/body";
  proxy_temp_path "{folder}/proxy";
  fastcgi_temp_path "{folder}/fastcgi";
  uwsgi_temp_path "{folder}/uwsgi";
  scgi_temp_path "{folder}/scgi";
  client_body_buffer_size 128k;
  keepalive_requests 1000000000;
  upstream sink {{
    server {sink};
    keepalive {connections};
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://sink;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"#
    )
}
