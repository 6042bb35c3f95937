//! The connections of all endpoints of a component.

use alloy_syntax::Invalid;

use crate::upstream::Client;
use crate::upstream::http_client::HttpClientArguments;

/// Clients, each with the options that its connections are made with. Endpoints of equal options share one.
#[derive(Default)]
pub(super) struct Clients(Vec<(HttpClientArguments, Client)>);

impl Clients {
    /// The client of these options: one that is here, that of the predecessor, whose connections are open, or a new one.
    ///
    /// # Errors
    /// Options that exclude each other, and files that cannot be used.
    pub(super) fn client(&mut self, options: HttpClientArguments, previous: Option<&Self>) -> Result<Client, Invalid> {
        let known =
            |clients: &Self| clients.0.iter().find(|(known, _)| *known == options).map(|(_, client)| client.clone());
        if let Some(client) = known(self) {
            return Ok(client);
        }
        let client = match previous.and_then(known) {
            Some(client) => client,
            None => Client::of(&options)?,
        };
        self.0.push((options, client.clone()));
        Ok(client)
    }
}
