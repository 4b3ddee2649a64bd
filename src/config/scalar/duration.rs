//! Durations as Go writes them.

use super::Word;
use crate::config::problem::Fault;
use std::time;

/// The longest duration: a year. Timers overflow on what is much longer.
const LONGEST: time::Duration = time::Duration::from_secs(365 * 24 * 60 * 60);

/// A duration as Go writes it: `250ms`, `5s`, `1m30s`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub time::Duration);

impl Duration {
    /// Reads a duration that stands elsewhere than in a configuration; `None` if it is none.
    pub fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

/// The units of a duration, in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Word for Duration {
    fn expected() -> String {
        "a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a duration: {why}"));
        if text == "0" {
            return Ok(Self(time::Duration::ZERO));
        }
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.starts_with('-') {
            return Err(wrong("it is negative"));
        }
        let mut rest = text;
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            if number.is_empty() || number == "." || number.matches('.').count() > 1 {
                return Err(wrong("a number and a unit are wanted"));
            }
            if unit.is_empty() {
                let whole = rest == text && !number.contains('.');
                return Err(
                    wrong("the unit is missing").suggest(whole.then(|| format!("{number}s")))
                );
            }
            let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(
                    wrong("the unit is unknown").suggest(with_known_unit(text, number, unit))
                );
            };
            nanos = nanos.saturating_add(scaled(number, *scale));
            rest = tail;
        }
        if nanos > LONGEST.as_nanos() {
            return Err(Fault::new("is out of range").allow("at most a year, which is `8760h`"));
        }
        // At most a year, which is far below 2^64 ns.
        Ok(Self(time::Duration::from_nanos(nanos as u64)))
    }
}

/// A decimal number times `scale`; digits below a unit of the result are cut off, as Go does.
fn scaled(number: &str, scale: u64) -> u128 {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| {
        text.bytes().fold(0u128, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u128::from(digit - b'0'))
        })
    };
    // Digits beyond the eighteenth are below a nanosecond of any unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let below = digits(fraction) * u128::from(scale) / 10u128.pow(fraction.len() as u32);
    digits(whole).saturating_mul(u128::from(scale)).saturating_add(below)
}

/// What a duration of one number with a unit of other languages was meant to be.
fn with_known_unit(text: &str, number: &str, unit: &str) -> Option<String> {
    let single = text.len() == number.len() + unit.len();
    let known = match unit.trim().to_lowercase().as_str() {
        "d" | "day" | "days" => {
            let days: u32 = number.parse().ok().filter(|days| *days <= 365)?;
            return single.then(|| format!("{}h", days * 24));
        }
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        _ => return None,
    };
    single.then(|| format!("{number}{known}"))
}
