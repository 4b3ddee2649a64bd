//! Numbers of bytes as Kubernetes writes them.

use super::{Word, range};
use crate::config::problem::Fault;

/// A number of bytes as Kubernetes writes it: `64Ki`, `10Mi`, `1k`, `512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity<const MIN: u64, const MAX: u64>(pub u64);

/// The suffixes of a quantity, greatest first within each family.
const SUFFIXES: &[(&str, u64)] = &[
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
    ("", 1),
];

impl<const MIN: u64, const MAX: u64> Word for Quantity<MIN, MAX> {
    fn expected() -> String {
        "a quantity such as `64Ki`, `10Mi`, `1k` or `512` (suffixes: Ki, Mi, Gi, Ti, k, M, G, T)"
            .into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a quantity: {why}"));
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        if number.is_empty() {
            return Err(wrong("a whole number is wanted"));
        }
        let Some((_, scale)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) else {
            let meant = match suffix.trim().to_lowercase().as_str() {
                "k" | "ki" | "kb" | "kib" => Some("Ki"),
                "m" | "mi" | "mb" | "mib" => Some("Mi"),
                "g" | "gi" | "gb" | "gib" => Some("Gi"),
                "t" | "ti" | "tb" | "tib" => Some("Ti"),
                _ => None,
            };
            let meant = meant.map(|suffix| format!("{number}{suffix}"));
            return Err(wrong("the suffix is unknown").suggest(meant));
        };
        let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale));
        match value {
            Some(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ => Err(Fault::new("is out of range").allow(range::<MIN, MAX>(quantity))),
        }
    }
}

/// `value` with the greatest binary suffix that leaves a whole number.
fn quantity(value: u64) -> String {
    let exact = |(_, scale): &&(&str, u64)| value != 0 && value.is_multiple_of(*scale);
    match SUFFIXES[..4].iter().find(exact) {
        Some((suffix, scale)) => format!("{}{suffix}", value / scale),
        None => value.to_string(),
    }
}
