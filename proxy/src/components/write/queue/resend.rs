//! Sends by hand what was rejected.

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use bytes::Bytes;

use super::record;
use crate::components::write::WriteArguments;
use crate::telemetry::traces::Trace;
use crate::upstream::{Client, Endpoint, Way};

/// Where to, with an endpoint's defaults and no credentials.
pub(crate) struct Resending {
    endpoint: Endpoint,
}

impl Resending {
    /// To this URL; what is wrong with it where it is none.
    pub(crate) fn to(url: &str) -> Result<Self, String> {
        let text = format!("write \"to\" {{\n  endpoint {{\n    url = {url:?}\n  }}\n}}\n");
        let file = parse_file("--to", &text).map_err(|error| error.to_string())?;
        let block = file.body.blocks().next().ok_or("no URL")?;
        let scope = Scope::stdlib(&StdlibOptions::default());
        let arguments: WriteArguments = decode_block(block, &scope).map_err(|error| error.to_string())?;
        let endpoint = arguments.endpoints.first().ok_or("no URL")?;
        let invalid = |invalid: alloy_syntax::Invalid| invalid.message;
        let client = Client::of(&endpoint.connections(), None).map_err(invalid)?;
        Ok(Self { endpoint: endpoint.build(Way::Direct(client), arguments.tracing.propagation()).map_err(invalid)? })
    }

    /// Sends the calls of a record one after the other; why the first that was not taken was not.
    pub(crate) async fn send(&self, payload: &Bytes) -> Result<(), String> {
        let request = record::decode(payload).map_err(|error| error.to_string())?;
        for queued in request.calls {
            let settled = self.endpoint.call(queued.call, &Trace::default(), |_| {}).await;
            settled.result.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
