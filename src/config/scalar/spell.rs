//! The words that have more than one spelling, as we write them ourselves: in the schema, in messages, in files.

use super::{Duration, LoadBound, Quantity, Share, Statuses};
use crate::model::Ratio;
use serde::{Serialize, Serializer};
use std::fmt;

impl fmt::Display for Duration {
    /// As Go writes it: `1m30s`, `250ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        const UNITS: [(u128, &str); 6] = [
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        for (scale, unit) in UNITS {
            if rest >= scale {
                write!(f, "{}{unit}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Quantity<MIN, MAX> {
    /// With the greatest binary suffix that leaves a whole number: `64Ki`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SUFFIXES: [(u32, &str); 4] = [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")];
        let fits = |(bits, _): &&(u32, &str)| self.0 != 0 && self.0.trailing_zeros() >= *bits;
        match SUFFIXES.iter().find(fits) {
            Some((bits, suffix)) => write!(f, "{}{suffix}", self.0 >> bits),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Share {
    /// As a percentage: `20%`, `0.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", decimal(self.0, 4))
    }
}

impl fmt::Display for LoadBound {
    /// As a decimal number: `1.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0, 6))
    }
}

impl fmt::Display for Statuses {
    /// `200`, or `200-299`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 == self.1 {
            true => write!(f, "{}", self.0),
            false => write!(f, "{}-{}", self.0, self.1),
        }
    }
}

/// The millionths of `ratio`, as a decimal number with the point before the last `places` digits.
fn decimal(ratio: Ratio, places: u32) -> String {
    // At most 2^32 millionths.
    let millionths = (ratio.value() * 1e6).round() as u64;
    let scale = 10u64.pow(places);
    let (whole, rest) = (millionths / scale, millionths % scale);
    let text = format!("{whole}.{rest:0width$}", width = places as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

macro_rules! serialize_as_spelt {
    ($type:ty $(, $($bounds:tt)+)?) => {
        impl<$($($bounds)+)?> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

serialize_as_spelt!(Duration);
serialize_as_spelt!(Quantity<MIN, MAX>, const MIN: u64, const MAX: u64);
serialize_as_spelt!(Share);
serialize_as_spelt!(Statuses);

#[cfg(test)]
mod tests {
    use super::super::Word;
    use super::*;
    use proptest::prelude::*;
    use std::time;

    #[test]
    fn the_usual_values_are_spelt_as_people_do() {
        let duration = |millis| Duration(time::Duration::from_millis(millis)).to_string();
        assert_eq!(
            [0, 250, 5000, 90_000, 3_600_000, 86_400_000].map(duration),
            ["0s", "250ms", "5s", "1m30s", "1h", "24h"]
        );
        let share = |value| Share(Ratio::new(value)).to_string();
        assert_eq!([0.0, 0.2, 0.005, 1.0].map(share), ["0%", "20%", "0.5%", "100%"]);
        let quantity = |value| Quantity::<0, { u64::MAX }>(value).to_string();
        assert_eq!(
            [0, 512, 1000, 65_536, 10 << 20].map(quantity),
            ["0", "512", "1000", "64Ki", "10Mi"]
        );
        assert_eq!(LoadBound(Ratio::new(1.25)).to_string(), "1.25");
        assert_eq!(LoadBound(Ratio::new(2.0)).to_string(), "2");
    }

    proptest! {
        #[test]
        fn what_is_spelt_reads_back_to_the_same(nanos in 0..=31_536_000_000_000_000u64, bytes: u64, share in 0..=1_000_000u32, bound in 1_000_000..=100_000_000u32) {
            let duration = Duration(time::Duration::from_nanos(nanos));
            prop_assert_eq!(Duration::parse(&duration.to_string()).ok(), Some(duration));
            let quantity = Quantity::<0, { u64::MAX }>(bytes);
            prop_assert_eq!(Quantity::parse(&quantity.to_string()).ok(), Some(quantity));
            let share = Share(Ratio::new(f64::from(share) / 1e6));
            prop_assert_eq!(Share::parse(&share.to_string()).ok(), Some(share));
            let bound = LoadBound(Ratio::new(f64::from(bound) / 1e6));
            prop_assert_eq!(LoadBound::parse(&bound.to_string()).ok(), Some(bound));
        }
    }
}
