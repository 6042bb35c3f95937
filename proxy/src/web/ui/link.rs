//! What the page of flame graphs shows, as the query of its address: whoever has the address sees the same.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use form_urlencoded::{Serializer, parse};
use maud::{Escaper, Render};
use profiler_core::flame::Order;

use crate::kept::{Selector, SelectorError};

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Under `/`.
    pub path: &'static str,
    /// The component that keeps the profiles; empty for the first.
    pub view: String,
    /// A group of series; none for the busiest.
    pub series: Option<Selector>,
    /// Which of them.
    pub labels: Selector,
    /// The kind of values; empty for the usual one.
    pub kind: String,
    /// When the profiles came.
    pub range: Range,
    /// With what they are compared.
    pub compare: Compare,
    /// The function that fills the width.
    pub focus: Option<u64>,
    /// What is searched for.
    pub find: String,
    /// Whether the outermost functions stand at the bottom.
    pub up: bool,
    /// What the table is sorted by.
    pub order: Order,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Up to now.
    Last(Duration),
    /// Milliseconds since 1970.
    Between(u64, u64),
}

/// What something is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compare {
    Nothing,
    /// The same series in the time before, as long.
    Before,
    /// Other series of the group in the same time.
    With(Selector),
}

impl Default for Link {
    fn default() -> Self {
        Self {
            path: "/profiles",
            view: String::new(),
            series: None,
            labels: Selector::default(),
            kind: String::new(),
            range: Range::Last(Duration::from_secs(5 * 60)),
            compare: Compare::Nothing,
            focus: None,
            find: String::new(),
            up: false,
            order: Order::Own,
        }
    }
}

impl Link {
    /// To series that a component keeps.
    pub(super) fn of(view: &str, series: &Selector) -> Self {
        Self { view: view.to_owned(), series: Some(series.clone()), ..Self::default() }
    }

    /// Reads a query. What is no number, or not known, counts as not given.
    ///
    /// # Errors
    /// Selectors that cannot be read.
    pub(super) fn parse(query: &str) -> Result<Self, SelectorError> {
        let mut link = Self::default();
        let (mut from, mut until): (Option<u64>, Option<u64>) = (None, None);
        let mut with = Selector::default();
        for (name, value) in parse(query.as_bytes()) {
            match &*name {
                "view" => link.view = value.into_owned(),
                "series" if !value.is_empty() => link.series = Some(value.parse()?),
                "labels" => link.labels = value.parse()?,
                "type" => link.kind = value.into_owned(),
                "last" => link.range = value.parse().map_or(link.range, |s| Range::Last(Duration::from_secs(s))),
                "from" => from = value.parse().ok(),
                "until" => until = value.parse().ok(),
                "compare" if value == "before" => link.compare = Compare::Before,
                "compare" if value == "with" => link.compare = Compare::With(Selector::default()),
                "with" => with = value.parse()?,
                "focus" => link.focus = u64::from_str_radix(&value, 16).ok(),
                "find" => link.find = value.into_owned(),
                "up" => link.up = value == "1",
                "sort" => link.order = order(&value),
                _ => {}
            }
        }
        if let Compare::With(selector) = &mut link.compare {
            *selector = with;
        }
        if let (Some(from), Some(until)) = (from, until) {
            link.range = Range::Between(from, until.max(from));
        }
        Ok(link)
    }

    fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        };
        add("view", &self.view);
        add("series", &self.series.as_ref().map(ToString::to_string).unwrap_or_default());
        add("labels", &text(&self.labels));
        add("type", &self.kind);
        match self.range {
            Range::Last(last) => add("last", &last.as_secs().to_string()),
            Range::Between(from, until) => {
                add("from", &from.to_string());
                add("until", &until.to_string());
            }
        }
        match &self.compare {
            Compare::Nothing => {}
            Compare::Before => add("compare", "before"),
            Compare::With(selector) => {
                add("compare", "with");
                add("with", &text(selector));
            }
        }
        add("sort", if self.order == Order::Own { "" } else { order_name(self.order) });
        add("up", if self.up { "1" } else { "" });
        add("find", &self.find);
        // Last: links that differ in it alone have all the rest in common, and compress well.
        add("focus", &self.focus.map(|focus| format!("{focus:x}")).unwrap_or_default());
        query.finish()
    }
}

/// Without conditions it is not written.
pub(super) fn text(selector: &Selector) -> String {
    if *selector == Selector::default() { String::new() } else { selector.to_string() }
}

impl Range {
    /// From when to when.
    pub(super) fn times(self) -> (SystemTime, SystemTime) {
        match self {
            Self::Last(last) => {
                let now = SystemTime::now();
                (now.checked_sub(last).unwrap_or(UNIX_EPOCH), now)
            }
            Self::Between(from, until) => (time(from), time(until)),
        }
    }

    /// The same time, also later on.
    pub(super) fn fixed(self) -> Self {
        match self {
            // With what came within this very millisecond.
            Self::Last(_) => Self::Between(millis(self.times().0), millis(self.times().1) + 1),
            Self::Between(..) => self,
        }
    }
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn order(name: &str) -> Order {
    [Order::Total, Order::Change, Order::Name]
        .into_iter()
        .find(|order| order_name(*order) == name)
        .unwrap_or(Order::Own)
}

/// As it stands in a query.
pub(super) fn order_name(order: Order) -> &'static str {
    match order {
        Order::Own => "self",
        Order::Total => "total",
        Order::Change => "change",
        Order::Name => "name",
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}?{}", self.path, self.query())
    }
}

impl Render for Link {
    fn render_to(&self, buffer: &mut String) {
        use fmt::Write as _;
        // Writing to a String does not fail.
        let _ = write!(Escaper::new(buffer), "{self}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_what_it_was_made_of() {
        let selector = |text: &str| text.parse::<Selector>().unwrap();
        let link = Link {
            view: "profiles.view.a".to_owned(),
            series: Some(selector(r#"{service_name="a&b=<script>"}"#)),
            labels: selector(r#"{pod!="x"}"#),
            kind: "cpu".to_owned(),
            range: Range::Between(5, 70),
            compare: Compare::With(selector(r#"{pod="y"}"#)),
            focus: Some(0xabc),
            find: "main+ ü".to_owned(),
            up: true,
            order: Order::Change,
            ..Link::default()
        };
        for link in [
            link.clone(),
            Link::default(),
            Link { compare: Compare::Before, range: Range::Last(Duration::from_secs(9)), ..link },
        ] {
            assert_eq!(Link::parse(&link.query()), Ok(link));
        }
        assert!(Link::parse("series=%7Ba").is_err());
        assert_eq!(Link::parse("focus=zz&last=x&sort=x&other=1&from=3"), Ok(Link::default()));
    }
}
