//! `profiles.view`: keeps the last profiles of each series in memory, for the web UI.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::size::Size;
use crate::component::{Component, Context, RECEIVER_EXPORT};
use crate::kept::{Limits, Store};
use crate::pipeline::{Batch, Outcome, Profile, ProfileOutcome, Receiver, Stage, Taken};
use crate::tap::{Point, Position};
use crate::telemetry::metrics::ComponentLabels;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ViewArguments::validate)]
pub struct ViewArguments {
    /// How long a profile is kept.
    #[alloy(attr, default = Duration::from_secs(15 * 60))]
    keep: Duration,
    /// Bytes of all that is kept; the eldest profiles make room for new ones.
    #[alloy(attr, default = Size(bytesize::ByteSize::mib(256)))]
    max_memory: Size,
}

impl ViewArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.keep.is_zero() {
            return Err(Invalid::attribute("keep", "must be longer than 0s"));
        }
        Ok(())
    }
}

/// The running component.
pub struct View {
    stage: Arc<ViewStage>,
    limits: Limits,
    component: ComponentLabels,
}

struct ViewStage {
    store: Arc<Store>,
    /// The component's path, by which profiles that come again are told.
    name: Arc<str>,
    point: Point,
}

impl Component for View {
    const NAME: &'static str = "profiles.view";
    const SUMMARY: &'static str = "Keeps the last profiles in memory, for the flame graphs of the web UI.";
    const EXPORTS: &'static [Export] = &[RECEIVER_EXPORT];
    type Arguments = ViewArguments;

    fn build(arguments: &ViewArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let limits = Limits { keep: arguments.keep, max_memory: arguments.max_memory.bytes() };
        let stage = match previous {
            Some(previous) => previous.stage.clone(),
            None => {
                let name = context.component.to_string().into();
                Arc::new(ViewStage { store: Arc::new(Store::new(limits)), name, point: context.point() })
            }
        };
        Ok(Self { stage, limits, component: context.component.clone() })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([("receiver", Value::Capsule(Capsule::new(receiver)))])
    }

    fn debug_info(&self) -> Option<Value> {
        let fill = self.stage.store.fill();
        let eldest = fill
            .eldest
            .map_or(Value::Null, |eldest| Value::string(humantime::format_rfc3339_seconds(eldest).to_string()));
        Some(Value::object([
            ("profiles", Value::from(fill.profiles as u64)),
            ("series", Value::from(fill.series as u64)),
            ("bytes", Value::from(fill.bytes as u64)),
            ("eldest", eldest),
            ("evicted", Value::from(fill.evicted)),
            ("too_large", Value::from(fill.too_large)),
        ]))
    }

    fn kept(&self) -> Option<Arc<Store>> {
        Some(self.stage.store.clone())
    }

    fn activate(&self) {
        self.stage.store.set_limits(self.limits);
    }
}

impl Stage for ViewStage {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        let now = SystemTime::now();
        let watch = self.point.watch(&batch, Position::Between);
        let outcome = Outcome { profiles: batch.profiles.iter().map(|profile| self.keep(profile, now)).collect() };
        if let Some(watch) = watch {
            watch.end(&outcome);
        }
        ready(outcome).boxed()
    }
}

impl ViewStage {
    fn keep(&self, profile: &Profile, now: SystemTime) -> ProfileOutcome {
        let taken = Taken { endpoint: self.name.clone(), series: profile.labels.clone() };
        // A sender that comes again for the sake of another receiver is not to be seen twice.
        if !profile.taken.as_ref().is_some_and(|before| before.contains(&taken)) {
            self.store.keep(profile, now);
        }
        ProfileOutcome { error: None, taken: vec![taken] }
    }
}
