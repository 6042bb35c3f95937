//! `remote.http`: the text behind a URL, for example of a password, for other components.

use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Invalid, OptionalSecret, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::component::{Component, Context, Health};
use crate::latest::{Latest, Reread};
use crate::polled_url::{PollError, PolledUrl, PolledUrlArguments};

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct RemoteHttpArguments {
    /// Who is asked.
    #[alloy(flatten)]
    polled: PolledUrlArguments,
    /// Whether the text must not be shown.
    #[alloy(attr, optional)]
    is_secret: bool,
}

/// The component.
pub struct RemoteHttp {
    url: Arc<PolledUrl>,
    is_secret: bool,
    latest: Latest<OptionalSecret>,
}

impl Component for RemoteHttp {
    const NAME: &'static str = "remote.http";
    const SUMMARY: &'static str = "Exports the text behind a URL, and asks for it again and again.";
    const EXPORTS: &'static [Export] = &[Export {
        name: "content",
        type_name: "string or secret",
        doc: "The text without white space around it; a secret if is_secret says so.",
    }];
    type Arguments = RemoteHttpArguments;

    fn build(arguments: &RemoteHttpArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let (url, is_secret) = (PolledUrl::new(&arguments.polled)?, arguments.is_secret);
        let latest = Latest::new(content(&url.first("the text")?, is_secret), context);
        Ok(Self { url: Arc::new(url), is_secret, latest })
    }

    fn exports(&self) -> Value {
        Value::object([("content", Value::from(self.latest.content()))])
    }

    fn health(&self) -> Option<Health> {
        Some(self.latest.health())
    }

    fn activate(&self) {
        self.latest.follow(Polled { url: self.url.clone(), is_secret: self.is_secret });
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.latest.stop();
        futures_util::future::ready(()).boxed()
    }
}

struct Polled {
    url: Arc<PolledUrl>,
    is_secret: bool,
}

impl Reread for Polled {
    type Content = OptionalSecret;
    type Error = PollError;

    async fn next(&mut self) -> Result<OptionalSecret, PollError> {
        Ok(content(&self.url.next().await?, self.is_secret))
    }
}

fn content(text: &str, is_secret: bool) -> OptionalSecret {
    if is_secret { OptionalSecret::secret(text) } else { OptionalSecret::plain(text) }
}
