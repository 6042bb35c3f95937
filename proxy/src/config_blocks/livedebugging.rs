//! `livedebugging`: whether what passes may be looked at.

use std::sync::Arc;

use alloy_syntax::{Arguments, Invalid};

use crate::component::{Component, Context, LiveDebugging};

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct LiveDebuggingArguments {
    /// Whether it may.
    #[alloy(attr, optional)]
    enabled: bool,
}

/// The block.
pub struct LiveDebuggingBlock {
    enabled: bool,
    live_debugging: Arc<LiveDebugging>,
}

impl Component for LiveDebuggingBlock {
    const NAME: &'static str = "livedebugging";
    const SUMMARY: &'static str = "Whether what passes may be looked at.";
    type Arguments = LiveDebuggingArguments;

    fn build(arguments: &LiveDebuggingArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        Ok(Self { enabled: arguments.enabled, live_debugging: context.services.live_debugging.clone() })
    }

    fn activate(&self) {
        self.live_debugging.set(Some(self.enabled));
    }

    fn withdraw(&self) {
        self.live_debugging.set(None);
    }
}
