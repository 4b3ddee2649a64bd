//! The few numbers a table needs: median and range over rounds, percentiles over requests.

use std::fmt;

/// Median, least and greatest of one figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of `values`; `None` when there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        };
        Some(Spread { median, min, max })
    }

    /// The same without the outermost eighth of the values on either side: of nine rounds the least and the greatest, of
    /// five none.
    pub(crate) fn trimmed(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let out = sorted.len() / 8;
        Spread::of(sorted[out..sorted.len() - out].iter().copied())
    }
}

/// What a ratio of costs, round by round, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Faster,
    Slower,
    Unclear,
}

impl Verdict {
    /// Only a ratio whose whole spread lies on one side of 1, and whose median lies further from 1 than that of the same
    /// program to itself (`noise`) ever does, is more than noise. A single round says nothing.
    pub(crate) fn of(ratio: &Spread, noise: &Spread) -> Verdict {
        let noise = noise.max.max(1.0 / noise.min);
        if ratio.min == ratio.max {
            Verdict::Unclear
        } else if ratio.max < 1.0 && ratio.median * noise < 1.0 {
            Verdict::Faster
        } else if ratio.min > 1.0 && ratio.median > noise {
            Verdict::Slower
        } else {
            Verdict::Unclear
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::Unclear => "not distinguishable",
        })
    }
}

/// How a figure, round by round, stands to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In all rounds.
    Yes,
    /// In none.
    No,
    /// Now so, now so.
    Unclear,
}

impl Kept {
    pub(crate) fn of(figure: &Spread, limit: f64) -> Kept {
        if figure.max <= limit {
            Kept::Yes
        } else if figure.min > limit {
            Kept::No
        } else {
            Kept::Unclear
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kept::Yes => "kept",
            Kept::No => "not kept",
            Kept::Unclear => "within the spread",
        })
    }
}

/// `median (min–max)`; the formatter's precision counts for all three.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Spread { median, min, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

/// The smallest value that at least `share` (0 to 1) of `sorted` do not exceed (nearest rank); 0 when
/// there are no values.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(format!("{spread:.1}"), "2.5 (1.0–4.0)");
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn nothing_is_said_that_noise_could_say() {
        let spread = |values: &[f64]| Spread::trimmed(values.iter().copied()).unwrap();
        let noise = spread(&[0.95, 1.0, 1.02, 1.04, 0.99]);
        let of = |values: &[f64]| Verdict::of(&spread(values), &noise);
        assert_eq!(of(&[0.8, 0.85, 0.9, 0.82, 0.84]), Verdict::Faster);
        assert_eq!(of(&[1.2, 1.3, 1.1, 1.2, 1.15]), Verdict::Slower);
        assert_eq!(
            of(&[0.8, 0.85, 1.01, 0.82, 0.84]),
            Verdict::Unclear,
            "one of five rounds differs"
        );
        assert_eq!(
            of(&[0.96, 0.97, 0.98, 0.97, 0.96]),
            Verdict::Unclear,
            "the A/A pair differs as much"
        );
        assert_eq!(of(&[0.5]), Verdict::Unclear, "one round");
        assert_eq!(
            of(&[1.9, 0.8, 0.8, 0.8, 0.81, 0.8, 0.82, 0.8]),
            Verdict::Faster,
            "one of eight is left out"
        );
    }

    #[test]
    fn a_limit_is_kept_only_if_every_round_keeps_it() {
        let of = |values: &[f64]| Kept::of(&Spread::of(values.iter().copied()).unwrap(), 0.9);
        assert_eq!(of(&[0.5, 0.9]), Kept::Yes);
        assert_eq!(of(&[0.91, 1.2]), Kept::No);
        assert_eq!(of(&[0.5, 0.91]), Kept::Unclear);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 0.5), 100);
        assert_eq!(percentile(&values, 0.99), 198);
        assert_eq!(percentile(&values, 1.0), 200);
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[], 0.99), 0);
    }
}
