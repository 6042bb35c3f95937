use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent};

use super::*;
use crate::overview::{
    Backend, BackendState, Component, Condition, Endpoint, First, Flow, Loss, Overview, Queue, Series, Stream, Waiting,
    Wrong,
};

fn all<T>(list: Vec<T>) -> First<T> {
    First { of: list.len(), first: list }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn series(service: &str, pod: &str) -> Series {
    let labels = labels(&[("service_name", service), ("__name__", "cpu"), ("pod", pod), ("region", "eu")]);
    Series { labels, bytes_per_minute: 2048.0, profiles_per_minute: 12.0, seconds_ago: 3 }
}

fn component(path: &str, wrong: Option<(Condition, &str)>, to: &[&str]) -> Component {
    Component {
        path: path.to_owned(),
        condition: wrong.map_or(Condition::Healthy, |(condition, _)| condition),
        wrong: wrong.map(|(_, reason)| Wrong { reason: reason.to_owned(), for_seconds: 75 }),
        profiles_per_second: (!to.is_empty()).then_some(12.5),
        sends: !to.is_empty(),
        sends_to: to.iter().map(ToString::to_string).collect(),
    }
}

fn overview() -> Overview {
    let write = component("pyroscope.write.eu", Some((Condition::Failing, "connection refused")), &[]);
    let stream = |per_second, total| Stream {
        per_second: Some(per_second),
        bytes_per_second: Some(1536.0),
        total,
        line: (0..20).map(f64::from).collect(),
    };
    let backend = |backend: &str, state| Backend { backend: backend.to_owned(), state };
    let view = crate::overview::View {
        component: "profiles.view.default".to_owned(),
        series: First { of: 40, first: (0..12).map(|pod| series("shop", &format!("shop-{pod}"))).collect() },
    };
    Overview {
        failing: all(vec![write.clone(), write.clone()]),
        flow: Flow {
            came: stream(12.5, 3000),
            sent: stream(11.0, 2900),
            waiting: Waiting { records: 7, bytes: 4096, line: vec![0.0, 7.0] },
            dropped: Stream { per_second: Some(0.5), bytes_per_second: None, total: 31, line: Vec::new() },
        },
        busiest: Some(vec![view]),
        losses: all(vec![Loss {
            component: "pyroscope.write.eu".to_owned(),
            why: "given up by the endpoint".to_owned(),
            detail: "http://backend:4040".to_owned(),
            wanted: false,
            per_second: Some(0.5),
            total: 31,
        }]),
        endpoints: all(vec![Endpoint {
            component: "pyroscope.write.eu".to_owned(),
            endpoint: "http://backend:4040".to_owned(),
            sent_per_second: Some(11.0),
            retries_per_second: Some(0.25),
            given_up: 31,
            queue: Some(Queue { records: 7, bytes: 4096, oldest_seconds: 180 }),
            backends: vec![backend("10.0.0.1:4040", BackendState::Up), backend("10.0.0.2:4040", BackendState::Down)],
        }]),
        components: all(vec![
            component("pyroscope.receive_http.default", None, &["pyroscope.write.eu", "profiles.view.default"]),
            write,
            component("profiles.view.default", None, &[]),
        ]),
    }
}

fn drawn(view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(view, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let cell = |row, column| buffer.cell((column, row)).unwrap().symbol();
    (0..height)
        .map(|row| (0..width).map(|column| cell(row, column)).collect::<String>().trim_end().to_owned())
        .collect()
}

fn view() -> View {
    View::new("http://127.0.0.1:12345".to_owned(), overview())
}

#[test]
fn all_is_there_at_80_columns_and_24_rows() {
    let lines = drawn(&mut view(), 80, 24);
    let expected = [
        "http://127.0.0.1:12345                                              live  ? help",
        "● pyroscope.write.eu is failing for 75 s, and 1 other fail too",
        "  connection refused",
        "In                  Out                 Waiting             Dropped",
        "12.5 profiles/s     11 profiles/s       7 in queues         0.50 /s",
        " ▁▁▁▂▂▃▃▃▄▄▄▅▅▆▆▆▇▇    ▁▁▁▂▂▃▃▃▄▄▄▅▅▆▆▆▇▇                █",
        "1.50 KiB/s, 3k so…  1.50 KiB/s, 2.90k…  4 KiB on disk       31 so far",
        "",
        "Busiest series 1–7 of 40                           Bytes/min  Profiles/min  Last",
        "shop · cpu  pod=shop-0                                 2 KiB            12   3 s",
    ];
    for (line, expected) in lines.iter().zip(expected).filter(|(_, expected)| !expected.contains('▁')) {
        assert_eq!(line, expected, "{lines:#?}");
    }
    for part in [
        "given up by the endpoint: http://backend:4040   pyroscope.write.eu  0.50      31",
        "7 waiting, 4 KiB,…",
        "1 of 2 up",
        "pyroscope.receive_http.default  healthy        12.5  pyroscope.write.eu, profil",
        "pyroscope.write.eu              failing           –",
        "profiles.view.default           healthy           –",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part} is missing in {lines:#?}");
    }
    assert!(lines[5].contains('█') || lines[5].contains('▇'), "{lines:#?}");
    // What all have in common tells none from another.
    assert!(!lines.concat().contains("region"), "{lines:#?}");
}

#[test]
fn of_the_columns_the_most_telling_stay() {
    let narrow = drawn(&mut view(), 40, 30);
    for part in ["● pyroscope.write.eu is failing for 75 …", "In       12.5 profiles/s", "Dropped  0.50 /s, 31 so far"]
    {
        assert!(narrow.iter().any(|line| line.starts_with(part)), "{part} is missing in {narrow:#?}");
    }
    let head = narrow.iter().find(|line| line.starts_with("Busiest")).unwrap();
    assert!(head.ends_with("Profiles/min") && !head.contains("Last"), "{head}");
    for line in &narrow {
        assert!(columns(line) <= 40, "{line}");
    }
}

#[test]
fn any_size_is_drawn() {
    for (width, height) in (0..90).step_by(3).flat_map(|width| (0..30).map(move |height| (width, height))) {
        for focus in 0..TABLES {
            let mut view = View { focus, shows_help: focus == 1, is_paused: focus == 2, ..view() };
            drawn(&mut view, width, height);
        }
    }
    let mut empty = View::new(String::new(), Overview::default());
    assert!(drawn(&mut empty, 80, 24).iter().any(|line| line.contains("All is well: 0 components running")));
}

#[test]
fn a_table_scrolls_to_its_end_and_no_further() {
    let mut view = view();
    for _ in 0..100 {
        view.event(&Event::Key(KeyEvent::from(KeyCode::Down)));
    }
    let lines = drawn(&mut view, 80, 24);
    assert!(lines.iter().any(|line| line.starts_with("Busiest series 6–12 of 40")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("pod=shop-11")), "{lines:#?}");
    view.event(&Event::Key(KeyEvent::from(KeyCode::Up)));
    assert!(drawn(&mut view, 80, 24).iter().any(|line| line.starts_with("Busiest series 5–11 of 40")));
}

#[test]
fn what_was_seen_last_stays_while_nobody_answers() {
    let mut view = view();
    view.trouble("no Flamegate answers at http://x: connection refused");
    let lines = drawn(&mut view, 100, 24);
    assert!(
        lines[0].contains("connection refused") && lines[0].contains("not reached, as it was 1 s ago"),
        "{lines:#?}"
    );
    assert!(lines.concat().contains("pod=shop-0"));
    view.show(overview());
    assert!(drawn(&mut view, 100, 24)[0].contains("live"));
}

#[test]
fn hostile_texts_touch_nothing() {
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}שלום\u{9b}31m日本\u{301}\n\r\u{8}";
    let mut overview = overview();
    let long = hostile.repeat(300);
    overview.busiest.as_mut().unwrap()[0].series.first[0].labels = labels(&[("service_name", hostile), (&long, &long)]);
    for component in &mut overview.components.first {
        component.path = hostile.to_owned();
        component.sends_to = vec![long.clone()];
    }
    overview.failing.first[0].wrong = Some(Wrong { reason: hostile.to_owned(), for_seconds: 1 });
    overview.losses.first[0].detail = hostile.to_owned();
    overview.endpoints.first[0].endpoint = hostile.to_owned();
    overview.endpoints.first[0].backends[1].backend = hostile.to_owned();
    let mut view = View::new("http://x".to_owned(), overview.clone());
    view.trouble(hostile);
    let text = drawn(&mut view, 200, 40).join("\n") + &super::super::once::text("http://x", &overview);
    let is_bad = |letter: char| letter.is_control() && letter != '\n' || "\u{202e}ש\u{301}".contains(letter);
    assert!(!text.contains(is_bad), "{text:?}");
    assert!(text.contains("<U+1B>]0;owned<U+7>"), "{text}");
}

#[test]
fn as_text_no_name_is_cut() {
    let mut overview = overview();
    let long = "x".repeat(150);
    overview.endpoints.first[0].endpoint = long.clone();
    let text = super::super::once::text("http://127.0.0.1:12345", &overview);
    for part in [
        "http://127.0.0.1:12345\npyroscope.write.eu is failing for 75 s, and 1 other fail too\n  connection refused\n",
        "In        12.5 profiles/s         1.50 KiB/s, 3k so far\n",
        "Waiting   7 in queues             4 KiB on disk\n",
        "and 28 more\n",
        "1 of 2 up: 10.0.0.2:4040 is down by its health check\n",
        &long,
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    let nothing = super::super::once::text("x", &Overview::default());
    assert!(nothing.contains("Dropped: nothing so far\n"), "{nothing}");
}

#[test]
fn rows_go_to_the_table_that_is_looked_at() {
    assert_eq!(shares(7, [9, 9, 9, 9], 2), [0, 0, 7, 0]);
    assert_eq!(shares(16, [9, 2, 2, 9], 3), [4, 2, 2, 8]);
    assert_eq!(shares(16, [9, 2, 2, 9], 0), [8, 2, 2, 4]);
    assert_eq!(shares(40, [9, 2, 2, 9], 0), [9, 2, 2, 9]);
}
