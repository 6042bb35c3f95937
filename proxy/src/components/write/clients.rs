//! The connections of all endpoints of a component.

use std::sync::Arc;

use alloy_syntax::Invalid;

use crate::telemetry::metrics::DialerMetrics;
use crate::upstream::Client;
use crate::upstream::http_client::HttpClientArguments;

/// Clients, each with the options that its connections are made with, and the name under which these are counted.
/// Endpoints of equal options and names share one.
#[derive(Default)]
pub(super) struct Clients(Vec<(Made, Client)>);

type Made = (HttpClientArguments, Arc<str>);

impl Clients {
    /// The client of these options: one that is here, that of the predecessor, whose connections are open, or a new one.
    ///
    /// # Errors
    /// Options that exclude each other, and files that cannot be used.
    pub(super) fn client(
        &mut self,
        made: Made,
        dialer: DialerMetrics,
        previous: Option<&Self>,
    ) -> Result<Client, Invalid> {
        let known =
            |clients: &Self| clients.0.iter().find(|(known, _)| *known == made).map(|(_, client)| client.clone());
        if let Some(client) = known(self) {
            return Ok(client);
        }
        let client = match previous.and_then(known) {
            Some(client) => client,
            None => Client::of(&made.0, Some(dialer))?,
        };
        self.0.push((made, client.clone()));
        Ok(client)
    }
}
