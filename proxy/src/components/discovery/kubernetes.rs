//! `discovery.kubernetes`: targets that are objects of a Kubernetes cluster.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::Invalid;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use kube::core::DynamicResourceScope;
use kube::{Api, Resource};
use profiler_core::labels::Labels;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use self::arguments::DiscoveryKubernetesArguments;
use self::cluster::{Cluster, Kind, News, Object, Part};
use self::connection::{Connection, ConnectionError, Way, own_namespace};
use self::transport::Heard;
use super::{Discovery, Found, Search};
use crate::component::Context;
use crate::upstream::Backoff;

mod arguments;
mod cluster;
mod connection;
mod meta;
mod objects;
mod reflector;
mod selector;
mod targets;
#[cfg(test)]
mod tests;
mod transport;

/// Most objects of a component. The largest clusters have 150,000 pods.
const MOST_OBJECTS: usize = 300_000;
/// As the reference: changes are told so often at most.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
/// Before the files that say how the server is reached are read again, where they cannot be used.
const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(30), attempts: 0 };

/// What is looked for in a cluster.
pub struct Kubernetes(Arc<Settings>);

struct Settings {
    arguments: DiscoveryKubernetesArguments,
    way: Way,
    /// What was told last.
    told: Mutex<Vec<Labels>>,
}

impl Settings {
    fn told(&self) -> MutexGuard<'_, Vec<Labels>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Discovery for Kubernetes {
    const NAME: &'static str = "discovery.kubernetes";
    const SUMMARY: &'static str =
        "Exports the targets that objects of a Kubernetes cluster stand for, and follows them.";
    type Arguments = DiscoveryKubernetesArguments;

    fn build(arguments: &Self::Arguments, _: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let told = previous.map(|previous| previous.0.told().clone()).unwrap_or_default();
        Ok(Self::new(arguments, arguments.way()?, told))
    }

    fn search(&self) -> impl Search {
        self.following()
    }
}

impl Kubernetes {
    fn new(arguments: &DiscoveryKubernetesArguments, way: Way, told: Vec<Labels>) -> Self {
        Self(Arc::new(Settings { arguments: arguments.clone(), way, told: Mutex::new(told) }))
    }

    fn following(&self) -> Following {
        Following { settings: self.0.clone(), failures: 0, watching: None }
    }
}

struct Following {
    settings: Arc<Settings>,
    /// How often the server could not even be asked.
    failures: u32,
    watching: Option<Watching>,
}

impl Search for Following {
    async fn next(&mut self) -> Found {
        if self.failures > 0 {
            sleep(BACKOFF.delay(self.failures)).await;
        }
        let (targets, problems) = match &mut self.watching {
            Some(watching) => watching.next().await,
            none => match Watching::begin(&self.settings).await {
                Ok(watching) => {
                    self.failures = 0;
                    none.insert(watching).next().await
                }
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    (self.settings.told().clone(), vec![error.to_string()])
                }
            },
        };
        self.settings.told().clone_from(&targets);
        Found { targets, problems }
    }
}

/// Follows all parts of the cluster that are asked for.
struct Watching {
    cluster: Cluster,
    news: SelectAll<BoxStream<'static, (usize, News)>>,
    /// Targets of the predecessor, until it is known which there are.
    before: Vec<Labels>,
    next_tell: Instant,
}

impl Watching {
    async fn begin(settings: &Settings) -> Result<Self, ConnectionError> {
        let Settings { arguments, way, .. } = settings;
        let connection = Connection::open(way, &arguments.http()).await?;
        let own = match way {
            Way::InCluster(surroundings) if arguments.own_namespace() => Some(own_namespace(surroundings).await?),
            _ => None,
        };
        Ok(Self::new(settings, &connection, own))
    }

    fn new(settings: &Settings, connection: &Connection, own_namespace: Option<String>) -> Self {
        let arguments = &settings.arguments;
        let parts = arguments.parts(own_namespace);
        let news = parts.iter().enumerate().map(|(index, part)| {
            let news = follow(connection, part, arguments);
            news.map(move |news| (index, news)).boxed()
        });
        Self {
            cluster: Cluster::new(arguments.role(), arguments.attached(), &parts, MOST_OBJECTS),
            news: news.collect(),
            before: settings.told().clone(),
            next_tell: Instant::now(),
        }
    }

    /// All targets and problems, once there is something to tell.
    async fn next(&mut self) -> (Vec<Labels>, Vec<String>) {
        loop {
            let has_news = self.cluster.has_news();
            tokio::select! {
                Some((part, news)) = self.news.next() => self.cluster.hear(part, news),
                () = sleep_until(self.next_tell), if has_news => {
                    self.next_tell = Instant::now() + TELL_INTERVAL;
                    return self.cluster.tell(&mut self.before);
                }
                else => std::future::pending().await,
            }
        }
    }
}

fn follow(connection: &Connection, part: &Part, arguments: &DiscoveryKubernetesArguments) -> BoxStream<'static, News> {
    let about = About { connection, part, arguments };
    match part.kind {
        Kind::Pod => about.follow(Object::Pod),
        Kind::Service => about.follow(Object::Service),
        Kind::Endpoints => about.follow(Object::Endpoints),
        Kind::EndpointSlice => about.follow(Object::EndpointSlice),
        Kind::Node => about.follow(Object::Node),
        Kind::Namespace => about.follow(Object::Namespace),
        Kind::Ingress => about.follow(Object::Ingress),
    }
}

struct About<'a> {
    connection: &'a Connection,
    part: &'a Part,
    arguments: &'a DiscoveryKubernetesArguments,
}

impl About<'_> {
    fn follow<K>(&self, object: fn(K) -> Object) -> BoxStream<'static, News>
    where
        K: Resource<DynamicType = (), Scope = DynamicResourceScope>,
        K: Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let heard = Arc::new(Heard::default());
        let client = self.connection.client(heard.clone());
        let api: Api<K> = match &self.part.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &()),
            None => Api::all(client),
        };
        reflector::news(api, self.arguments.watch(self.part.kind), heard, object)
    }
}
