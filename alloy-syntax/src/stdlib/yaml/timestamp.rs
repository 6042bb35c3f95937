//! Dates and times in YAML.

/// A date, or a date and a time, as RFC 3339; `None` if the text is neither.
///
/// Read are `2006-1-2`, `2006-1-2 15:4:5.9` (which is UTC) and `2006-1-2T15:4:5.9` with `Z` or an offset.
pub(super) fn parse(text: &str) -> Option<String> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => {
            let (date, rest) = text.split_at(at);
            (date, Some((rest.get(..1)?, rest.get(1..)?)))
        }
        None => (text, None),
    };
    let date = parse_date(date)?;
    let time = match time {
        None => "00:00:00Z".to_owned(),
        Some((" ", time)) => format!("{}Z", parse_time(time)?),
        Some((_, time)) => {
            let (time, zone) = time.split_at(time.find(['Z', '+', '-'])?);
            format!("{}{}", parse_time(time)?, parse_zone(zone)?)
        }
    };
    Some(format!("{date}T{time}"))
}

fn parse_date(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || !all_digits(year) {
        return None;
    }
    let year: u32 = year.parse().ok()?;
    let month = number(month, 1, 12)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    let day = number(day, 1, days)?;
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn parse_time(text: &str) -> Option<String> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && all_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let mut parts = whole.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let time = format!("{:02}:{:02}:{:02}", number(hour, 0, 23)?, number(minute, 0, 59)?, number(second, 0, 59)?);
    // Nanoseconds are the finest.
    let fraction = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
    Some(if fraction.is_empty() { time } else { format!("{time}.{fraction}") })
}

fn parse_zone(text: &str) -> Option<String> {
    if text == "Z" {
        return Some(text.to_owned());
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours, 0, 23)?, number(minutes, 0, 59)?);
    Some(if hours == 0 && minutes == 0 { "Z".to_owned() } else { text.to_owned() })
}

fn number(text: &str, least: u32, most: u32) -> Option<u32> {
    if !(1..=2).contains(&text.len()) || !all_digits(text) {
        return None;
    }
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
