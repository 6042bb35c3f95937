//! Floats.

use super::verb::Spec;

/// `None` if the verb is none for floats.
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
        'b' => binary(magnitude),
        'x' => hexadecimal(magnitude, spec.precision),
        'X' => hexadecimal(magnitude, spec.precision).to_uppercase(),
        _ => return None,
    };
    let text = if spec.sharp && verb != 'b' { with_point(&text, verb, spec.precision) } else { text };
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

/// With a point, and for `%g` with zeros up to the precision, as `#` asks for.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let (mantissa, exponent) = text.split_at(text.find(['e', 'E', 'p', 'P']).unwrap_or(text.len()));
    let wanted = if matches!(verb, 'g' | 'G' | 'v') { precision.unwrap_or(6) } else { 0 };
    let significant = mantissa.trim_start_matches(['0', '.']).chars().filter(char::is_ascii_alphanumeric).count();
    let significant = if mantissa == "0" { 1 } else { significant };
    let point = if mantissa.contains('.') { "" } else { "." };
    format!("{mantissa}{point}{}{exponent}", "0".repeat(wanted.saturating_sub(significant)))
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

/// The bits behind the point.
const FRACTION_BITS: u32 = 52;

/// The fraction with its leading one, as a whole number, and the exponent that goes with it.
fn parts(number: f64) -> (u64, i64) {
    let bits = number.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let exponent = i64::try_from((bits >> FRACTION_BITS) & 0x7ff).unwrap_or(0);
    // A number too small for a leading one has the smallest exponent.
    let mantissa = if exponent == 0 { fraction } else { fraction | (1 << FRACTION_BITS) };
    (mantissa, exponent.max(1) - 1023 - i64::from(FRACTION_BITS))
}

fn binary(number: f64) -> String {
    let (mantissa, exponent) = parts(number);
    format!("{mantissa}p{exponent:+}")
}

/// `0x1.8p+01`; rounded to `precision` digits, to the even one where both are equally near.
fn hexadecimal(number: f64, precision: Option<usize>) -> String {
    let (mut mantissa, exponent) = parts(number);
    let mut exponent = if mantissa == 0 { 0 } else { exponent + i64::from(FRACTION_BITS) };
    while mantissa != 0 && mantissa >> FRACTION_BITS == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    let digits = usize::try_from(FRACTION_BITS / 4).unwrap_or(0);
    if let Some(dropped) = precision.and_then(|precision| digits.checked_sub(precision)).filter(|&n| n > 0) {
        let unit = 1_u64 << (4 * dropped);
        let (kept, rest) = (mantissa / unit, mantissa % unit);
        let up = rest * 2 > unit || (rest * 2 == unit && kept % 2 == 1);
        mantissa = (kept + u64::from(up)) * unit;
        if mantissa >> (FRACTION_BITS + 1) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let fraction = format!("{:0digits$x}", mantissa & ((1 << FRACTION_BITS) - 1));
    let fraction = match precision {
        Some(precision) if precision <= digits => fraction.get(..precision).unwrap_or_default().to_owned(),
        Some(precision) => format!("{fraction:0<precision$}"),
        None => fraction.trim_end_matches('0').to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let (sign, power) = (if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
    format!("0x{}{point}{fraction}p{sign}{power:02}", mantissa >> FRACTION_BITS)
}
