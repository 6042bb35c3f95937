//! Figures, and how they have changed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pipeline::Flow;
use crate::quoted::quoted;

/// Times at which figures are remembered: five minutes.
const MOST_TIMES: usize = 150;
/// Figures that are remembered, of the first so many series: 12 MB at most.
const MOST_SERIES: usize = 10_000;
/// Over so long a rate is told.
const RATE: Duration = Duration::from_secs(10);
/// The names of what components have sent on, in profiles and in their bytes.
const FLOW: &str = "flow";
const FLOW_BYTES: &str = "flow_bytes";

/// Figures of the last minutes. Clones share most of it.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct History {
    keys: Arc<Vec<Key>>,
    /// By how a series is written.
    places: Arc<HashMap<Box<str>, usize>>,
    times: VecDeque<Arc<Time>>,
}

/// Which figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Key {
    /// The metric's name.
    pub name: String,
    /// The path of the component whose it is; empty for the process'.
    pub component: String,
    /// Whether it only grows.
    pub is_counter: bool,
    labels: Vec<(String, String)>,
}

#[derive(Debug)]
struct Time {
    at: Instant,
    /// By the places of the keys.
    values: Vec<f64>,
}

impl Key {
    /// Its further labels.
    pub(in super::super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }

    /// The value of a further label; empty where it has none.
    pub(in super::super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

impl History {
    /// With the figures of another time: metrics in the text format, and what components have sent on.
    pub(in super::super) fn with(
        &self,
        at: Instant,
        metrics: &str,
        flows: impl IntoIterator<Item = (String, Flow)>,
    ) -> Self {
        let mut next = self.clone();
        let mut values = vec![f64::NAN; next.keys.len()];
        let mut is_counter = false;
        for line in metrics.lines() {
            if let Some(said) = line.strip_prefix('#') {
                // A histogram's sum and count grow, too.
                is_counter = if said.starts_with(" TYPE ") { !said.ends_with(" gauge") } else { is_counter };
                continue;
            }
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            next.set(&mut values, series, value, |series| Key::parse(series, is_counter));
        }
        for (component, flow) in flows {
            for (name, sent) in [(FLOW, flow.profiles), (FLOW_BYTES, flow.bytes)] {
                let key = |_: &str| {
                    let (name, component) = (name.to_owned(), component.clone());
                    Some(Key { name, component, is_counter: true, labels: Vec::new() })
                };
                next.set(&mut values, &format!("{name} {component}"), sent as f64, key);
            }
        }
        next.times.push_back(Arc::new(Time { at, values }));
        if next.times.len() > MOST_TIMES {
            next.times.pop_front();
        }
        next
    }

    fn set(&mut self, values: &mut Vec<f64>, series: &str, value: f64, key: impl Fn(&str) -> Option<Key>) {
        let place = match self.places.get(series) {
            Some(place) => *place,
            None if self.keys.len() >= MOST_SERIES => return,
            None => {
                let Some(key) = key(series) else { return };
                let place = self.keys.len();
                Arc::make_mut(&mut self.keys).push(key);
                Arc::make_mut(&mut self.places).insert(series.into(), place);
                values.push(f64::NAN);
                place
            }
        };
        if let Some(slot) = values.get_mut(place) {
            *slot = value;
        }
    }

    /// The figures of a name as they are now.
    pub(in super::super) fn now<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Key, f64)> {
        let of_name = move |(place, key): (usize, &'a Key)| {
            let value = *self.times.back()?.values.get(place)?;
            (key.name == name && !value.is_nan()).then_some((key, value))
        };
        self.keys.iter().enumerate().filter_map(of_name)
    }

    /// The figures of a component as they are now, and how they were from one look to the next: the rates of counters, and
    /// what the others were.
    pub(in super::super) fn of<'a>(&'a self, component: &'a str) -> impl Iterator<Item = (&'a Key, f64, Vec<f64>)> {
        let with_line = move |(place, key): (usize, &'a Key)| {
            let value = *self.times.back()?.values.get(place)?;
            if key.component != component || [FLOW, FLOW_BYTES].contains(&&*key.name) || value.is_nan() {
                return None;
            }
            let pairs = self.times.iter().zip(self.times.iter().skip(1));
            let was = |time: &Time| time.values.get(place).copied().filter(|value| !value.is_nan()).unwrap_or_default();
            let line = pairs.map(|(from, to)| if key.is_counter { self.growth(from, to, &[place]) } else { was(to) });
            Some((key, value, line.collect()))
        };
        self.keys.iter().enumerate().filter_map(with_line)
    }

    /// All figures of a name together.
    pub(in super::super) fn sum(&self, name: &str) -> f64 {
        self.now(name).map(|(_, value)| value).sum()
    }

    /// How fast the chosen counters of a name grow, a second; `None` where they were looked at only once.
    pub(in super::super) fn rate(&self, name: &str, chosen: impl Fn(&Key) -> bool) -> Option<f64> {
        let last = self.times.back()?;
        let since = self.times.iter().rev().skip(1).take_while(|time| last.at - time.at <= RATE + RATE / 10).last()?;
        Some(self.growth(since, last, &self.chosen(name, chosen)))
    }

    /// The rates of the chosen counters from one look to the next.
    pub(in super::super) fn rates(&self, name: &str, chosen: impl Fn(&Key) -> bool) -> Vec<f64> {
        let chosen = self.chosen(name, chosen);
        self.times.iter().zip(self.times.iter().skip(1)).map(|(from, to)| self.growth(from, to, &chosen)).collect()
    }

    /// All figures of a name together, at each look but the first.
    pub(in super::super) fn gauge(&self, name: &str) -> Vec<f64> {
        let chosen = self.chosen(name, |_| true);
        let value = |time: &Time, place: &usize| time.values.get(*place).copied().filter(|value| !value.is_nan());
        self.times.iter().skip(1).map(|time| chosen.iter().filter_map(|place| value(time, place)).sum()).collect()
    }

    /// What a component has sent on, in profiles a second.
    pub(in super::super) fn flow(&self, component: &str) -> Option<f64> {
        self.rate(FLOW, |key| key.component == component)
    }

    /// The bytes of it, a second.
    pub(in super::super) fn flow_bytes(&self, component: &str) -> Option<f64> {
        self.rate(FLOW_BYTES, |key| key.component == component)
    }

    /// What several components send on, from one look to the next.
    pub(in super::super) fn flows(&self, components: &[String]) -> Vec<f64> {
        self.rates(FLOW, |key| components.contains(&key.component))
    }

    /// What several components have sent on.
    pub(in super::super) fn sent_on(&self, components: &[String]) -> f64 {
        self.now(FLOW).filter(|(key, _)| components.contains(&key.component)).map(|(_, value)| value).sum()
    }

    fn chosen(&self, name: &str, chosen: impl Fn(&Key) -> bool) -> Vec<usize> {
        let keys = self.keys.iter().enumerate();
        keys.filter(|(_, key)| key.name == name && chosen(key)).map(|(place, _)| place).collect()
    }

    fn growth(&self, from: &Time, to: &Time, places: &[usize]) -> f64 {
        let seconds = (to.at - from.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let value = |time: &Time, place: usize| time.values.get(place).copied().filter(|value| !value.is_nan());
        let growth = |place: &usize| {
            let after = value(to, *place).unwrap_or_default();
            // A counter that fell, or was not there, counts from nothing.
            value(from, *place).filter(|before| *before <= after).map_or(after, |before| after - before)
        };
        places.iter().map(growth).sum::<f64>() / seconds
    }
}

impl Key {
    /// `name{label="value",…}`; none of those that are many and not shown.
    fn parse(series: &str, is_counter: bool) -> Option<Self> {
        let (name, mut rest) = series.split_once('{').unwrap_or((series, ""));
        if name.ends_with("_bucket") {
            return None;
        }
        let (mut id, mut path, mut labels) = (String::new(), String::new(), Vec::new());
        while let Some((label, after)) = rest.split_once('=') {
            let (value, after) = quoted(after)?;
            match label {
                "component_id" => id = value,
                "component_path" => path = value,
                label => labels.push((label.to_owned(), value)),
            }
            rest = after.trim_start_matches(',');
        }
        let component = match path.trim_matches('/') {
            "" => id,
            path => format!("{path}/{id}"),
        };
        Some(Self { name: name.to_owned(), component, is_counter, labels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seconds_and_texts: &[(u64, &str)]) -> History {
        let begin = Instant::now();
        let add = |history: History, (seconds, text): &(u64, &str)| {
            let flow = Flow { to: Vec::new(), profiles: seconds * 3, bytes: seconds * 30 };
            history.with(begin + Duration::from_secs(*seconds), text, [("a".to_owned(), flow)])
        };
        seconds_and_texts.iter().fold(History::default(), add)
    }

    #[test]
    fn series_are_read_with_their_labels() {
        let text = "# HELP x y\nx{component_id=\"a.b\",component_path=\"/m\",url=\"q\\\"\\n,}\"} 7\ny 0.5\nx_bucket{le=\"1\"} 3\n";
        let history = history(&[(0, text)]);
        let (key, value) = history.now("x").next().unwrap();
        assert_eq!((key.component.as_str(), key.label("url"), value), ("m/a.b", "q\"\n,}", 7.0));
        assert_eq!(history.sum("y"), 0.5);
        assert_eq!(history.now("x_bucket").count(), 0);
        assert_eq!(history.rate("x", |_| true), None);
    }

    #[test]
    fn rates_are_of_the_last_seconds() {
        let history = history(&[(0, "x 0"), (2, "x 100"), (10, "x 108"), (12, "x 110")]);
        assert_eq!(history.rate("x", |_| true), Some(1.0));
        assert_eq!(history.rates("x", |_| true), [50.0, 1.0, 1.0]);
        assert_eq!((history.flow("a"), history.flow_bytes("a")), (Some(3.0), Some(30.0)));
        assert_eq!(history.flows(&["a".to_owned()]), [3.0; 3]);
    }

    #[test]
    fn a_counter_that_begins_again_counts_from_nothing() {
        let history = history(&[(0, "x 100"), (2, "x 4"), (4, "x 6\nz 2")]);
        assert_eq!(history.rates("x", |_| true), [2.0, 1.0]);
        assert_eq!(history.rates("z", |_| true), [0.0, 1.0]);
    }

    #[test]
    fn five_minutes_are_remembered() {
        let times: Vec<(u64, &str)> = (0..MOST_TIMES as u64 + 9).map(|second| (second, "x 1")).collect();
        assert_eq!(history(&times).times.len(), MOST_TIMES);
    }
}
