//! What is known of an endpoint's time to response head, and how far it is to be believed.
//!
//! The average decays by elapsed time, as in Finagle's and linkerd's peak EWMA: a sample weighs
//! `1 - exp(-elapsed / 2 s)`, so that a thousand requests and one probe per second forget equally fast. Beside it
//! stands the number of recent samples `n`. What algorithms compare is neither alone but
//!
//! ```text
//! estimate = median + (average - median) × n / (n + 16)
//! ```
//!
//! with the median of the peers (each counting as often as it has recent samples): an empirical Bayes (James–Stein) shrinkage with a prior worth 16 samples. An endpoint
//! without a sample counts as its peers do, one bad sample is doubted, many are believed, and as `n` decays without new
//! samples a starved endpoint drifts back to the median until it is tried again.

use crate::clock::Nanos;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Time constant of the average, in nanoseconds. Long enough that equal endpoints with few noisy answers look equal,
/// short enough that one that recovers from 4 s to 1 ms shares again after about 15 probes one second apart.
const AVERAGE_OVER: f64 = 2e9;

/// Time constant of the peak, in nanoseconds: Finagle's default.
const PEAK_OVER: f64 = 10e9;

/// Time constant of the number of samples, unless probes come more rarely or answers take longer.
const MEMORY: Duration = Duration::from_secs(5);

/// The longest that slow answers stretch it to, in nanoseconds: an endpoint without probes that failed for long is tried
/// again after minutes, not hours.
const LONGEST_MEMORY: f64 = 20e9;

/// How many samples the median of the peers is worth. First samples pay for connecting and cold caches, often several
/// milliseconds: sixteen keep them within half a millisecond of the others, and yet one sample of 300 ms among peers of
/// 1 ms stands out by 18 ms.
const PRIOR: f32 = 16.0;

/// More samples than this are not remembered longer.
const ENOUGH: f32 = 64.0;

/// What a failure counts as, at least: longer than nearly all good answers.
const PENALTY: f32 = 5e9;

/// What a failure counts as, at most, unless answers take longer still. Much, because an endpoint that fails at once has
/// nothing in flight, and must lose against peers with many slow requests each.
const MAX_PENALTY: f32 = 600e9;

/// An endpoint's time to response head.
///
/// The cells are independent hints: no other data is published through them, so that every access is relaxed, and a
/// reader between two stores of a writer sees a figure that is one sample old.
#[derive(Debug)]
pub struct ResponseTime {
    /// The moment of the last sample; 0 for never. Each writer gets the time since the one before for itself.
    last: AtomicU64,
    /// An [`Average`], packed.
    average: AtomicU64,
    /// The peak-sensitive average in nanoseconds, bits of an `f32`.
    peak: AtomicU32,
    /// The decayed average of answers alone, in nanoseconds, bits of an `f32`: for people, who want no penalty in it.
    answers: AtomicU32,
    /// Whether any sample was an answer, not a failure.
    answered: AtomicBool,
    /// Time constant of the number of samples, in nanoseconds.
    memory: AtomicU64,
}

/// Which of the two averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// The plain average.
    Average,
    /// The one that follows a slower sample at once.
    Peak,
}

/// The average and the number of recent samples; one word, so that they always belong together.
#[derive(Clone, Copy, Debug)]
struct Average {
    nanos: f32,
    samples: f32,
}

impl Average {
    fn unpack(word: u64) -> Self {
        Self { nanos: f32::from_bits(word as u32), samples: f32::from_bits((word >> 32) as u32) }
    }

    fn pack(self) -> u64 {
        u64::from(self.nanos.to_bits()) | u64::from(self.samples.to_bits()) << 32
    }

    fn with(self, sample: f32, elapsed: f64, memory: f64) -> Self {
        if self.samples == 0.0 {
            return Self { nanos: sample, samples: 1.0 };
        }
        let remembered = self.samples * (-elapsed / memory).exp() as f32;
        let samples = (remembered + 1.0).min(ENOUGH);
        // Answers slower than the time constant must not make the average their last one.
        let over = AVERAGE_OVER.max(f64::from(self.nanos.min(sample)));
        let by_time = -(-elapsed / over).exp_m1() as f32;
        // As long as there are few samples, each counts equally, or the first would weigh for seconds.
        let by_number = if samples < ENOUGH { 1.0 / samples } else { 0.0 };
        let nanos = self.nanos + (sample - self.nanos) * by_time.max(by_number);
        Self { nanos, samples }
    }
}

impl Default for ResponseTime {
    fn default() -> Self {
        Self {
            last: AtomicU64::new(0),
            average: AtomicU64::new(0),
            peak: AtomicU32::new(0),
            answers: AtomicU32::new(0),
            answered: AtomicBool::new(false),
            memory: AtomicU64::new(MEMORY.as_nanos() as u64),
        }
    }
}

impl ResponseTime {
    /// Remembers samples at least for the time in which one is to be expected, a latency probe's interval and timeout,
    /// so that an endpoint that is measured does not drift.
    pub fn expect_sample_every(&self, period: Option<Duration>) {
        let memory = period.unwrap_or_default().max(MEMORY);
        self.memory.store(u64::try_from(memory.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Takes note of `sample`, measured at `now`.
    pub fn record(&self, now: Nanos, sample: Duration) {
        // Never 0, which would make every load weigh nothing.
        let sample = (sample.as_nanos() as f32).max(1.0);
        let elapsed = self.add(now, sample);
        if self.answered.load(Relaxed) {
            let before = f32::from_bits(self.answers.load(Relaxed));
            let weight = -(-elapsed / AVERAGE_OVER).exp_m1() as f32;
            self.answers.store((before + (sample - before) * weight).to_bits(), Relaxed);
        } else {
            self.answers.store(sample.to_bits(), Relaxed);
            self.answered.store(true, Relaxed);
        }
    }

    /// Takes note of a failure at `now`: twice the average, but at least 5 s and at most 10 min. It grows with
    /// failures in a row, so that an endpoint that only ever fails is not the best of slow ones either.
    pub fn record_failure(&self, now: Nanos) {
        let average = Average::unpack(self.average.load(Relaxed));
        let known = if average.samples > 0.0 { average.nanos } else { 0.0 };
        self.add(now, (2.0 * known).clamp(PENALTY, MAX_PENALTY).max(known));
    }

    /// Forgets all samples: the endpoint counts as a new one.
    pub fn forget(&self) {
        self.answered.store(false, Relaxed);
        self.average.store(0, Relaxed);
    }

    /// Returns the time since the sample before, in nanoseconds.
    fn add(&self, now: Nanos, sample: f32) -> f64 {
        let before = self.last.fetch_max(now.0, Relaxed);
        let elapsed = if before == 0 { 0 } else { now.0.saturating_sub(before) } as f64;
        let memory = self.memory.load(Relaxed);
        let previous = self.average.fetch_update(Relaxed, Relaxed, |word| {
            let average = Average::unpack(word);
            Some(average.with(sample, elapsed, memory_of(memory, average)).pack())
        });
        let first = Average::unpack(previous.unwrap_or_else(|word| word)).samples == 0.0;
        let decay = -(-elapsed / PEAK_OVER).exp_m1() as f32;
        // The closure never declines, so that there is no error to look at.
        let _ = self.peak.fetch_update(Relaxed, Relaxed, |bits| {
            let peak = f32::from_bits(bits);
            let risen = first || sample >= peak;
            Some(if risen { sample } else { peak + (sample - peak) * decay }.to_bits())
        });
        elapsed
    }

    /// The average of answers alone, in nanoseconds; `None` before the first.
    pub fn answers(&self) -> Option<f32> {
        self.answered.load(Relaxed).then(|| f32::from_bits(self.answers.load(Relaxed)))
    }

    /// The average in nanoseconds, failures included; `None` before the first sample.
    #[cfg(test)]
    pub fn nanos(&self, sensitivity: Sensitivity) -> Option<f32> {
        let average = Average::unpack(self.average.load(Relaxed));
        (average.samples > 0.0).then(|| self.value(average, sensitivity))
    }

    /// The same and how many recent samples it rests on at `now`, as a measure for others: `None` also as long as the
    /// endpoint only ever failed.
    pub fn measured(&self, sensitivity: Sensitivity, now: Nanos) -> Option<(f32, f32)> {
        let average = Average::unpack(self.average.load(Relaxed));
        let answered = average.samples > 0.0 && self.answered.load(Relaxed);
        answered.then(|| (self.value(average, sensitivity), self.recent(average, now)))
    }

    /// What a request is expected to take at `now`, in nanoseconds, when the peers' median is `median`.
    #[inline]
    pub fn estimate(&self, sensitivity: Sensitivity, now: Nanos, median: f32) -> f32 {
        let average = Average::unpack(self.average.load(Relaxed));
        if average.samples == 0.0 {
            return median;
        }
        let samples = self.recent(average, now);
        median + (self.value(average, sensitivity) - median) * (samples / (samples + PRIOR))
    }

    /// The number of recent samples at `now`.
    #[inline]
    fn recent(&self, average: Average, now: Nanos) -> f32 {
        let idle = now.0.saturating_sub(self.last.load(Relaxed)) as f64;
        let memory = memory_of(self.memory.load(Relaxed), average);
        // Under traffic there is nothing to decay, and no exponential to pay for.
        if idle * 64.0 < memory {
            return average.samples;
        }
        average.samples * (-idle / memory).exp() as f32
    }

    fn value(&self, average: Average, sensitivity: Sensitivity) -> f32 {
        match sensitivity {
            Sensitivity::Average => average.nanos,
            Sensitivity::Peak => f32::from_bits(self.peak.load(Relaxed)),
        }
    }

    /// The moment of the last sample; `None` before the first.
    pub fn last_sample(&self) -> Option<Nanos> {
        Some(Nanos(self.last.load(Relaxed))).filter(|last| last.0 > 0)
    }
}

/// An endpoint that takes long can neither be measured as often as a quick one nor be tried again as cheaply.
fn memory_of(memory: u64, average: Average) -> f64 {
    (memory as f64).max((2.0 * f64::from(average.nanos)).min(LONGEST_MEMORY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f32 = 1e6;

    fn at(seconds: f64) -> Nanos {
        Nanos(1_000_000_000 + (seconds * 1e9) as u64)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn average(time: &ResponseTime) -> f32 {
        time.nanos(Sensitivity::Average).unwrap() / MS
    }

    fn estimate(time: &ResponseTime, seconds: f64) -> f32 {
        time.estimate(Sensitivity::Average, at(seconds), MS) / MS
    }

    #[test]
    fn the_first_sample_is_the_average() {
        let time = ResponseTime::default();
        assert_eq!(time.nanos(Sensitivity::Average), None);
        time.record(at(0.0), ms(4000));
        assert_eq!(average(&time), 4000.0);
        assert_eq!(time.nanos(Sensitivity::Peak), Some(4000.0 * MS));
    }

    /// What decays is time: ten thousand samples and one hundred forget the same past equally.
    #[test]
    fn the_average_decays_by_time_not_by_sample() {
        let after_two_seconds = |per_second: u32| {
            let time = ResponseTime::default();
            for i in 0..200 {
                time.record(at(f64::from(i) / 100.0), ms(100));
            }
            for i in 1..=2 * per_second {
                time.record(at(2.0 + f64::from(i) / f64::from(per_second)), ms(1));
            }
            average(&time)
        };
        let expected = 1.0 + 99.0 * (-1.0f32).exp();
        for per_second in [100, 10_000] {
            let found = after_two_seconds(per_second);
            assert!((found / expected - 1.0).abs() < 0.05, "{per_second}/s: {found} {expected}");
        }
    }

    #[test]
    fn a_new_endpoint_counts_as_the_median_of_its_peers() {
        assert_eq!(estimate(&ResponseTime::default(), 0.0), 1.0);
    }

    /// B1: the estimate of an endpoint that nobody asks comes back to the median, the slower the worse it was.
    #[test]
    fn without_samples_the_estimate_drifts_to_the_median() {
        let (bad, slow) = (ResponseTime::default(), ResponseTime::default());
        bad.record(at(0.0), ms(50));
        slow.record(at(0.0), ms(4000));
        assert!(estimate(&bad, 0.0) > 3.0 && estimate(&slow, 0.0) > 200.0);
        assert!(estimate(&bad, 15.0) < 1.5, "{}", estimate(&bad, 15.0));
        assert!(estimate(&slow, 30.0) > 2.0, "{}", estimate(&slow, 30.0));
        assert!(estimate(&slow, 80.0) < 1.5, "{}", estimate(&slow, 80.0));
    }

    /// The seed's slow endpoints: each latency probe takes 4 s, and they are known all the time.
    #[test]
    fn an_endpoint_that_its_probe_measures_does_not_drift() {
        for (latency, period) in [(4000, 5.0), (300, 60.0)] {
            let time = ResponseTime::default();
            time.expect_sample_every(Some(Duration::from_secs_f64(period)));
            let mut now = 0.0;
            for _ in 0..100 {
                time.record(at(now), ms(latency));
                now += period;
                assert!(estimate(&time, now) > 5.0, "{}", estimate(&time, now));
            }
        }
    }

    /// B3: a failure counts as slow, however quick it was and however slow good answers are.
    #[test]
    fn a_failure_never_makes_an_endpoint_look_faster() {
        for good in [0, 1, 1000, 20_000, 90_000] {
            let time = ResponseTime::default();
            if good > 0 {
                time.record(at(0.0), ms(good));
            }
            let before = time.nanos(Sensitivity::Average).unwrap_or(0.0);
            time.record_failure(at(1.0));
            assert!(time.nanos(Sensitivity::Average).unwrap() >= before.max(MS));
        }
        let only_failing = ResponseTime::default();
        (0..50).for_each(|i| only_failing.record_failure(at(f64::from(i))));
        assert!(average(&only_failing) > 30_000.0, "{}", average(&only_failing));
        assert!(average(&only_failing) <= 600_000.0);
    }

    #[test]
    fn the_peak_follows_a_slower_sample_at_once_and_decays() {
        let time = ResponseTime::default();
        (0..100).for_each(|i| time.record(at(f64::from(i) / 100.0), ms(1)));
        time.record(at(1.0), ms(500));
        let peak = |time: &ResponseTime| time.nanos(Sensitivity::Peak).unwrap() / MS;
        assert_eq!(peak(&time), 500.0);
        assert!(average(&time) < 10.0, "{}", average(&time));
        (1..=1000).for_each(|i| time.record(at(1.0 + f64::from(i) / 100.0), ms(1)));
        let expected = 1.0 + 499.0 * (-1.0f32).exp();
        assert!((peak(&time) / expected - 1.0).abs() < 0.05, "{} {expected}", peak(&time));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_does_no_harm() {
        let time = ResponseTime::default();
        for second in [5.0, 5.0, 4.0, 5.0] {
            time.record(at(second), ms(10));
            assert_eq!(average(&time), 10.0);
        }
        assert_eq!(time.last_sample(), Some(at(5.0)));
    }

    #[test]
    fn samples_of_many_threads_stay_within_their_range() {
        let time = ResponseTime::default();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let time = &time;
                scope.spawn(move || {
                    for i in 0..5000u64 {
                        time.record(Nanos(1_000_000_000 + i * 1000), ms(1 + (i + thread) % 10));
                    }
                });
            }
        });
        assert!((1.0..=10.0).contains(&average(&time)), "{}", average(&time));
        assert!((1.0..=10.0).contains(&(time.nanos(Sensitivity::Peak).unwrap() / MS)));
    }

    /// What people are shown is what was measured: a failure's penalty is for algorithms.
    #[test]
    fn failures_are_no_latency() {
        let time = ResponseTime::default();
        time.record_failure(Nanos(1));
        assert_eq!(time.answers(), None);
        for at in 1..=50 {
            time.record(Nanos(at * 1_000_000_000), Duration::from_millis(2));
            time.record_failure(Nanos(at * 1_000_000_000 + 1));
        }
        assert_eq!(time.answers(), Some(2.0 * MS));
        time.record(Nanos(100_000_000_000), Duration::from_millis(4));
        assert!((3.9..=4.0).contains(&(time.answers().unwrap() / MS)));
        time.forget();
        assert_eq!(time.answers(), None);
    }
}
