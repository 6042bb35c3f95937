//! `import.http`: a module from a web server, asked again from time to time.

use std::sync::Arc;

use alloy_syntax::{Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Imported;
use crate::component::{Component, Context, Health};
use crate::config::Source;
use crate::latest::{Latest, Reread};
use crate::polled_url::{PollError, PolledUrl, PolledUrlArguments};

/// The import.
pub struct ImportHttp {
    server: Arc<Server>,
    latest: Latest<Imported>,
}

struct Server {
    url: PolledUrl,
    /// The import's own name, for whoever reads what is wrong in the module.
    name: String,
    module_path: Arc<str>,
}

impl Component for ImportHttp {
    const NAME: &'static str = "import.http";
    const SUMMARY: &'static str = "Brings custom components from a web server, and asks it again and again.";
    type Arguments = PolledUrlArguments;

    fn build(arguments: &PolledUrlArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let folder = arguments.url.rsplit_once('/').map_or("", |(folder, _)| folder);
        let server = Server {
            url: PolledUrl::new(arguments)?,
            name: context.component.to_string(),
            module_path: format!("{folder}/").into(),
        };
        let latest = Latest::new(server.imported(server.url.first("the module")?), context);
        Ok(Self { server: Arc::new(server), latest })
    }

    fn exports(&self) -> Value {
        self.latest.content().exports()
    }

    fn health(&self) -> Option<Health> {
        Some(self.latest.health())
    }

    fn activate(&self) {
        self.latest.follow(Polled(self.server.clone()));
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.latest.stop();
        futures_util::future::ready(()).boxed()
    }
}

struct Polled(Arc<Server>);

impl Reread for Polled {
    type Content = Imported;
    type Error = PollError;

    async fn next(&mut self) -> Result<Imported, PollError> {
        Ok(self.0.imported(self.0.url.next().await?))
    }
}

impl Server {
    fn imported(&self, text: String) -> Imported {
        let files = vec![Source { name: self.name.clone(), text }];
        Imported { files, module_path: self.module_path.clone(), remote: true }
    }
}
