//! Which request is due when, and of which method.

use std::time::Duration;

use fastrand::Rng;

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// May be repeated: idempotent (RFC 9110, section 9.2.2).
    Get,
    /// May not.
    Post,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// When, counted from the start.
    pub(crate) after: Duration,
    pub(crate) method: Method,
}

/// All requests to come, in order. It depends on nothing but its settings, so that every run asks for the same.
#[derive(Debug)]
pub(crate) struct Schedule {
    rate: f64,
    post_share: f64,
    /// How many there are in all; endless if not given.
    requests: Option<u64>,
    given: u64,
    /// By chance, not every tenth: that would always fall on the same endpoint of a round.
    chance: Rng,
}

impl Schedule {
    /// `rate` requests per second, of which `post_share`, from 0 to 1, are POSTs.
    pub(crate) fn new(rate: f64, post_share: f64, requests: Option<u64>) -> Self {
        Self { rate, post_share, requests, given: 0, chance: Rng::with_seed(1) }
    }

    /// How many there are in all; none if it is endless.
    pub(crate) fn requests(&self) -> Option<u64> {
        self.requests
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        if self.requests == Some(self.given) {
            return None;
        }
        // From the start each time, so that no error adds up.
        let after = Duration::from_secs_f64(self.given as f64 / self.rate);
        self.given += 1;
        let post = self.chance.f64() < self.post_share;
        Some(Due { after, method: if post { Method::Post } else { Method::Get } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_evenly_spaced_and_the_pace_is_kept_for_days() {
        let after: Vec<_> = Schedule::new(4.0, 0.0, Some(5)).map(|due| due.after).collect();
        assert_eq!(after, [0, 250, 500, 750, 1000].map(Duration::from_millis));
        let mut late = Schedule::new(300.0, 0.0, None);
        late.given = 300 * 86_400 * 7;
        assert_eq!(late.next().unwrap().after, Duration::from_secs(86_400 * 7));
    }

    #[test]
    fn posts_have_their_share_and_fall_on_no_fixed_place() {
        let posts = |share| {
            let due = Schedule::new(1.0, share, Some(10_000));
            due.enumerate().filter(|(_, due)| due.method == Method::Post).map(|(n, _)| n)
        };
        assert_eq!((posts(0.0).count(), posts(1.0).count()), (0, 10_000));
        assert!((900..1100).contains(&posts(0.1).count()), "{}", posts(0.1).count());
        for endpoints in 2..=10 {
            let mut each = vec![0; endpoints];
            posts(0.1).for_each(|number| each[number % endpoints] += 1);
            assert!(each.iter().all(|&n| n * endpoints > 600), "{each:?}");
        }
        assert!(posts(0.1).eq(posts(0.1)));
    }
}
