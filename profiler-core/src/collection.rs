//! Stacks that were collected, as pprof messages.

mod names;
mod style;
mod tables;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;

use crate::kernel::{Frame, FrameKind, Stop};
use crate::pprof::{Label, Profile, Sample, ValueType};
use crate::sampler::Trace;
use crate::symbolizer::address_of_call;
pub use names::{Known, Names, UNKNOWN};
pub use style::{Kind, Style};
use tables::{Place, Tables};

/// Stacks of one kind on their way to a profile.
pub struct ProfileBuilder<'n> {
    names: &'n dyn Names,
    style: Style,
    kind: Kind,
    tables: Tables,
    samples: IndexMap<Stack, u64, rapidhash::fast::RandomState>,
    /// Kept from one stack to the next for its memory.
    locations: Vec<u64>,
}

/// What samples have in common that are one in the profile.
#[derive(PartialEq, Eq, Hash)]
struct Stack {
    locations: Box<[u64]>,
    labels: Box<[Label]>,
}

impl<'n> ProfileBuilder<'n> {
    /// A profile without samples.
    #[must_use]
    pub fn new(kind: Kind, style: Style, names: &'n dyn Names) -> Self {
        Self {
            names,
            style,
            kind,
            tables: Tables::new(style.stubs),
            samples: IndexMap::default(),
            locations: Vec::new(),
        }
    }

    /// Adds a stack. One of which nothing is to be shown is left out.
    pub fn add(&mut self, trace: &Trace) {
        self.locations.clear();
        if self.style.kernel_frames {
            self.add_kernel(&trace.kernel);
        }
        for frame in &trace.user {
            self.add_user(trace.pid, frame);
        }
        if !matches!(trace.stop, Stop::Complete | Stop::KernelThread) {
            self.locations.push(self.tables.location(&Place::Lost, self.names));
        }
        if self.locations.is_empty() {
            return;
        }
        let comm = trace.comm.text();
        let mut labels = Vec::new();
        if !comm.is_empty() && self.style.comm_frame {
            let comm = self.tables.text(&comm);
            self.locations.push(self.tables.location(&Place::Comm(comm), self.names));
        }
        if !comm.is_empty() && self.style.comm_label {
            labels.push(self.tables.label("comm", &comm));
        }
        if self.style.pid_label {
            labels.push(self.tables.label("pid", &trace.pid.to_string()));
        }
        for (key, value) in &trace.labels {
            // Those above were asked for.
            let key = self.tables.text(key);
            if labels.iter().all(|label| label.key != key) {
                labels.push(Label { key, str: self.tables.text(value), num: 0, num_unit: 0 });
            }
        }
        let stack = Stack { locations: self.locations.as_slice().into(), labels: labels.into() };
        *self.samples.entry(stack).or_default() += trace.value;
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The profile of a time that ends at `end`. What its samples count adds up.
    #[must_use]
    pub fn finish(mut self, end: SystemTime, duration: Duration) -> Profile {
        let (kind, unit) = self.kind.names();
        let value_type = ValueType { kind: self.tables.text(kind), unit: self.tables.text(unit) };
        let period = self.kind.period();
        let sample = self
            .samples
            .into_iter()
            .map(|(Stack { locations, labels }, value)| Sample {
                location_id: locations.into_vec(),
                value: vec![i64::try_from(value).unwrap_or(i64::MAX).saturating_mul(period)],
                label: labels.into_vec(),
            })
            .collect();
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Profile {
            sample_type: vec![value_type],
            period_type: self.kind.has_period().then_some(value_type),
            period,
            time_nanos: nanos(end.duration_since(UNIX_EPOCH).unwrap_or_default()),
            duration_nanos: nanos(duration),
            sample,
            ..self.tables.into_profile()
        }
    }

    fn add_kernel(&mut self, addresses: &[u64]) {
        for (depth, address) in addresses.iter().enumerate() {
            // All but the innermost are where calls return to.
            let address = if depth == 0 { *address } else { address.saturating_sub(1) };
            self.locations.push(self.tables.location(&Place::Kernel(address), self.names));
        }
    }

    fn add_user(&mut self, pid: u32, frame: &Frame) {
        let address = address_of_call(frame);
        let place = match frame.kind {
            FrameKind::Native => Place::File(frame.file, address),
            FrameKind::Anonymous => Place::Memory(pid, address),
            FrameKind::Unmapped => Place::Unmapped(address),
            FrameKind::Python
            | FrameKind::HotSpot
            | FrameKind::V8
            | FrameKind::Ruby
            | FrameKind::Perl
            | FrameKind::Php
            | FrameKind::DotNet => Place::Runtime(pid, *frame),
        };
        self.locations.push(self.tables.location(&place, self.names));
    }
}

#[cfg(test)]
mod tests;
