//! A filter that logs a gigabyte.

use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::*;

/// The bytes of each line of a filter.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<usize>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(usize);

        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}").len();
                }
            }
        }

        let mut message = Message(0);
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }
}

#[test]
fn a_gigabyte_of_lines_becomes_a_few_short_ones() {
    let lines = Lines::default();
    let settings = FilterSettings { timeout: DEADLINE, ..settings("log=1000") };
    let filter = ConfiguredFilter::new(&MODULE, settings).unwrap();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let began = Instant::now();
    let verdict = tracing::subscriber::with_default(subscriber, || filter.apply(&labels(&[("a", "b")])));
    assert_eq!(verdict.unwrap(), Verdict::Unchanged);
    let written = lines.0.lock().unwrap().clone();
    // Ten at once, and then one a second.
    let most = 11 + began.elapsed().as_secs() as usize;
    assert!((10..=most).contains(&written.len()), "{}", written.len());
    assert!(written.iter().all(|bytes| *bytes == 1024), "{written:?}");
}
