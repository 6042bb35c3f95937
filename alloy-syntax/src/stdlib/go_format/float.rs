//! Floats.

use super::verb::Spec;

/// `None` if the verb is none for floats; of Go's verbs `%b`, `%x` and `%X` are not known here.
pub(super) fn print(number: f64, verb: char, spec: &Spec) -> Option<String> {
    let magnitude = number.abs();
    let text = match verb {
        _ if number.is_nan() => return Some(spec.pad_spaces("NaN")),
        _ if number.is_infinite() => {
            return Some(spec.pad_spaces(if number > 0.0 { "+Inf" } else { "-Inf" }));
        }
        'v' => general(magnitude, spec.precision),
        'g' => general(magnitude, spec.precision),
        'G' => general(magnitude, spec.precision).to_uppercase(),
        'e' => exponent(&format!("{:.*e}", spec.precision.unwrap_or(6), magnitude)),
        'E' => exponent(&format!("{:.*e}", spec.precision.unwrap_or(6), magnitude)).to_uppercase(),
        'f' | 'F' => format!("{:.*}", spec.precision.unwrap_or(6), magnitude),
        _ => return None,
    };
    let sign = match (number.is_sign_negative(), spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    let zeros = if spec.zero && !spec.minus {
        "0".repeat(spec.width.saturating_sub(sign.len() + text.len()))
    } else {
        String::new()
    };
    Some(spec.pad_spaces(&format!("{sign}{zeros}{text}")))
}

/// Rust's `1e-7` as Go's `1e-07`.
fn exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// As short as possible: with an exponent where it is very small or has more digits than are wanted.
fn general(number: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        Some(precision) => format!("{:.*e}", precision.max(1) - 1, number),
        None => format!("{number:e}"),
    };
    let Some((mantissa, power)) = scientific.split_once('e') else {
        return scientific;
    };
    let power: i64 = power.parse().unwrap_or(0);
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let count = i64::try_from(digits).unwrap_or(i64::MAX);
    let limit = match precision {
        None => 6,
        Some(precision) => {
            let wanted = i64::try_from(precision.max(1)).unwrap_or(i64::MAX);
            if wanted > count && count > power { count } else { wanted }
        }
    };
    if power < -4 || power >= limit {
        return exponent(&format!("{mantissa}e{power}"));
    }
    let places = usize::try_from(count - 1 - power).unwrap_or(0);
    format!("{number:.places$}")
}
