//! Durations as people type them.

use std::time::Duration;

/// Reads a duration such as `250ms`, `4s`, `1.5s` or `2m`.
///
/// # Errors
/// A sentence that says what was found and what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration; write for example 250ms, 4s or 2m");
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "" if number == "0" => 0.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_typed() {
        for (text, milliseconds) in
            [("4s", 4000), ("250ms", 250), ("1.5s", 1500), ("2m", 120_000), ("0", 0), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "4", "s", "-1s", "4 s", "4sec", "1e400s", "infs", "NaNs"] {
            assert!(parse_duration(text).unwrap_err().contains("for example"), "{text}");
        }
    }
}
