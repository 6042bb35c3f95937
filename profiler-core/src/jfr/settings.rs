//! How a recording was taken, as it says itself.

use std::time::Duration;

use super::events::WrittenSetting;
use super::kind::Kind;
use super::layout::Classes;
use super::pools::Pools;

/// What async-profiler does where it is told of no interval.
const CPU_PERIOD: u64 = 10_000_000;
const WALL_PERIOD: u64 = 50_000_000;

/// The settings of a recording that say what its samples mean. `None` is what nothing was said of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What async-profiler sampled by: `itimer`, `cpu`, `wall`; the label `jfr_event`.
    pub event: Option<String>,
    /// Nanoseconds between two samples of `event`, 0 for the usual ones.
    pub interval: Option<u64>,
    /// Nanoseconds between two samples of wall-clock time that was recorded beside another event, 0 for the usual ones.
    pub wall: Option<u64>,
    /// Bytes between two samples of allocations.
    pub alloc: Option<u64>,
    /// Nanoseconds between two samples of `jdk.ExecutionSample` of a JDK's own recording.
    pub jdk_period: Option<u64>,
}

impl Settings {
    /// Nanoseconds that a sample of time on a CPU stands for.
    pub fn cpu_period(&self) -> u64 {
        self.jdk_period.or(self.interval.filter(|interval| *interval > 0)).unwrap_or(CPU_PERIOD)
    }

    /// Nanoseconds that a sample of wall-clock time stands for.
    pub fn wall_period(&self) -> u64 {
        self.wall.or(self.interval).filter(|interval| *interval > 0).unwrap_or(WALL_PERIOD)
    }

    /// What lies between two samples, in the unit of the kind's period; 0 where nothing is known.
    pub(super) fn period(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Cpu => self.cpu_period(),
            Kind::Wall => self.wall_period(),
            Kind::AllocInNewTlab | Kind::AllocOutsideTlab | Kind::AllocSample => self.alloc.unwrap_or_default(),
            Kind::Live | Kind::Mutex | Kind::Block => 1,
            Kind::Malloc => 0,
        }
    }

    /// Whether wall-clock time is what was asked for in the first place.
    pub(super) fn is_wall(&self) -> bool {
        self.event.as_deref() == Some("wall")
    }

    /// Takes over what a chunk says. Later chunks of async-profiler say nothing.
    pub(super) fn update(&mut self, written: &[WrittenSetting], classes: &Classes, pools: &Pools) {
        for setting in written {
            let (Some(name), Some(value)) = (pools.text(&setting.name), pools.text(&setting.value)) else { continue };
            match name {
                "event" => self.event = Some(value.to_owned()),
                "interval" => self.interval = value.parse().ok(),
                "wall" => self.wall = value.parse().ok(),
                "alloc" => self.alloc = value.parse().ok(),
                "period" if classes.name(setting.class) == Some("jdk.ExecutionSample") => {
                    self.jdk_period = nanos(value);
                }
                _ => {}
            }
        }
    }
}

/// A time as the JDK writes it: `20 ms`.
fn nanos(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
    let unit = match unit.trim_start() {
        "ns" => Duration::from_nanos(1),
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "d" => Duration::from_hours(24),
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(u64::try_from(unit.as_nanos()).ok()?).filter(|nanos| *nanos > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_jdk_writes_them() {
        let times = [("20 ms", Some(20_000_000)), ("1 s", Some(1_000_000_000)), ("7us", Some(7_000)), ("0 ms", None)];
        for (text, expected) in times.into_iter().chain([("everyChunk", None), ("", None), ("20", None)]) {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }

    #[test]
    fn each_sample_stands_for_the_time_between_two() {
        let settings = |interval, wall| Settings { interval, wall, ..Settings::default() };
        let periods = |settings: Settings| (settings.cpu_period(), settings.wall_period());
        assert_eq!(periods(settings(None, None)), (10_000_000, 50_000_000));
        assert_eq!(periods(settings(Some(0), None)), (10_000_000, 50_000_000));
        assert_eq!(periods(settings(Some(7), None)), (7, 7));
        assert_eq!(periods(settings(Some(7), Some(9))), (7, 9));
        assert_eq!(periods(settings(Some(7), Some(0))), (7, 50_000_000));
        assert_eq!(Settings { jdk_period: Some(3), ..settings(None, None) }.cpu_period(), 3);
    }
}
