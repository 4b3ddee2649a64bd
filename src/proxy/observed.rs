//! What the configuration says of requests that are traced or kept, at hand for each request.

use super::trace::Settings;
use crate::model::{Decisions, Model, Ratio};
use std::time::Duration;

/// What of the requests is kept, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// Traces, if there are any.
    pub traces: Option<Settings>,
    /// The share of requests that people may look at though nothing is special about them.
    sample: Ratio,
    /// From when on a request is slow.
    pub slower_than: Option<Duration>,
}

impl Observed {
    /// As `model` says.
    pub fn by(model: &Model) -> Self {
        let Decisions { sample, slower_than, debug_token: _ } = model.decisions;
        Self { traces: model.traces.as_ref().map(Settings::from), sample, slower_than }
    }

    /// Whether chance chooses a request.
    pub fn keeps(&self, rng: &mut fastrand::Rng) -> bool {
        self.sample > Ratio::ZERO && rng.f64() < self.sample.value()
    }
}
