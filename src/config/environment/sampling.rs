//! Which requests are traced, and how traces are passed on.

use super::{Draft, Environment};
use crate::config::scalar::Share;
use crate::model::Ratio;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";

impl Environment<'_> {
    pub(super) fn sampling(&self, traces: &mut Draft) {
        let Some(text) = self.get(SAMPLER) else { return };
        let (parents, sampler) = match text.strip_prefix("parentbased_") {
            Some(sampler) => ("Follow", sampler),
            None => ("Ignore", &*text),
        };
        let mut typed = SAMPLER;
        let share = match sampler {
            "always_on" => Share(Ratio::ONE),
            "always_off" => Share(Ratio::ZERO),
            "traceidratio" => {
                typed = ARGUMENT;
                let share = self.get(ARGUMENT).and_then(|text| self.word::<Share>(ARGUMENT, &text));
                share.unwrap_or(Share(Ratio::ONE))
            }
            _ => {
                let allowed = "`always_on`, `always_off`, `traceidratio`, or one of these behind `parentbased_`";
                return self.ignore(SAMPLER, "is not a sampler that there is", allowed);
            }
        };
        let typed = format!("${{{typed}}}");
        if !traces.has("sample") {
            traces.put("sample", traces.word(share, &typed));
        }
        let typed = format!("${{{SAMPLER}}}");
        if !traces.has("parents") {
            traces.put("parents", traces.word(parents, &typed));
        }
        // Who wants none wants no exceptions either.
        if sampler == "always_off"
            && let Some(mut keep) = traces.within("keep")
        {
            for (key, none) in [("errors", "false"), ("retries", "false"), ("slowerThan", "0s")] {
                if !keep.has(key) {
                    keep.put(key, keep.word(none, &typed));
                }
            }
            traces.put("keep", keep.node());
        }
    }

    pub(super) fn propagation(&self, traces: &mut Draft) {
        if traces.has("propagation") {
            return;
        }
        let Some(text) = self.get(PROPAGATORS) else { return };
        let mut found = Vec::new();
        let mut known = false;
        for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let propagator = match one {
                "tracecontext" => "TraceContext",
                "b3" => "B3",
                "b3multi" => "B3Multi",
                // Baggage is a header field like any other: it passes.
                "baggage" | "none" => {
                    known = true;
                    continue;
                }
                _ => {
                    let allowed = "`tracecontext`, `baggage`, `b3`, `b3multi` or `none`";
                    self.warn(PROPAGATORS, "names a propagator that there is not", allowed);
                    continue;
                }
            };
            known = true;
            if !found.contains(&propagator) {
                found.push(propagator);
            }
        }
        if known {
            let typed = format!("${{{PROPAGATORS}}}");
            let items = found.iter().map(|one| traces.word(one, &typed)).collect();
            traces.put("propagation", traces.list(items));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scalar::Word;

    #[test]
    fn what_a_ratio_may_be_is_what_a_share_may_be() {
        for (text, value) in [("0", 0.0), ("0.25", 0.25), ("1", 1.0), ("1.0", 1.0), (".5", 0.5)] {
            assert_eq!(Share::parse(text).unwrap(), Share(Ratio::new(value)), "{text}");
        }
        for text in ["", "-1", "1.1", "half", "NaN", "inf", "1e-1"] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }
}
