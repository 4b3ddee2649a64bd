//! An explanation for programs.

use super::text::mismatch_words;
use super::{Case, decided};
use crate::model::Answer;
use crate::model::path::NormalPath;
use crate::model::words::share;
use crate::router::{Considered, Mismatch, Route};
use serde_json::{Value, json};

/// What is told of `case`.
pub(super) fn tell(case: &Case<'_>) -> Value {
    let request = case.request;
    let mut told = json!({
        "method": request.method.as_str(),
        "url": request.url.to_string(),
        "listener": &*case.listener.name,
        "host": case.explanation.as_ref().map(|explanation| &explanation.host),
        "path": request.path.as_ref().ok().map(NormalPath::sent),
        "comparedPath": request.path.as_ref().ok().map(NormalPath::compared),
        "client": case.client().map(|client| client.to_string()),
        "route": null,
        "match": null,
        "filters": [],
        "answer": null,
        "sent": null,
        "backends": [],
        "others": case.others().into_iter().map(|other| considered(case, other)).collect::<Value>(),
    });
    let Some(won) = case.won() else {
        let refusal = case.refusal();
        told["answer"] =
            json!({ "status": refusal.verdict().status.as_u16(), "reason": refusal.to_string() });
        return told;
    };
    let route = &won.route.model;
    told["route"] = json!(&*route.name);
    told["match"] = json!({ "position": won.at, "words": won.wanted().to_string() });
    told["filters"] = json!(route.filters.phrases());
    told["answer"] = match &route.filters.answer {
        Some(Answer::Redirect(redirect)) => match case.location(redirect) {
            Ok(location) => json!({ "status": redirect.status, "location": location }),
            Err(error) => {
                json!({ "status": error.verdict().status.as_u16(), "reason": error.to_string() })
            }
        },
        Some(Answer::Fixed(response)) => {
            json!({ "status": response.status, "body": &*response.body })
        }
        None => Value::Null,
    };
    if route.filters.answer.is_none() {
        told["sent"] = json!(case.sent(&route.filters.rewrite));
    }
    told["backends"] = backends(won.route);
    told
}

fn backends(route: &Route) -> Value {
    let total = route.targets.iter().map(|target| u64::from(target.weight)).sum();
    let backends = route.targets.iter().map(|target| {
        let model = target.backend.model();
        let endpoints = model.endpoints.iter().map(|endpoint| {
            let has_weight = endpoint.weight > 0;
            json!({ "url": endpoint.url.to_string(), "weight": endpoint.weight, "hasWeight": has_weight })
        });
        json!({
            "name": &*model.name,
            "weight": target.weight,
            "share": share(target.weight, total),
            "algorithm": model.algorithm.name(),
            "algorithmHow": model.algorithm.how(),
            "hashing": model.hashing.as_ref().map(ToString::to_string),
            "endpoints": endpoints.collect::<Value>(),
        })
    });
    backends.collect()
}

fn considered(case: &Case<'_>, other: &Considered<'_>) -> Value {
    let mut told = json!({
        "route": &*other.route.model.name,
        "position": other.at,
        "words": other.wanted().to_string(),
        "fits": other.verdict.is_ok(),
        "mismatches": [],
        "decided": null,
    });
    match (&other.verdict, case.won().map(|won| &won.verdict)) {
        (Ok(rank), Some(Ok(own))) => told["decided"] = json!(decided(own, rank)),
        (Ok(_), _) => {}
        (Err(mismatches), _) => {
            told["mismatches"] = mismatches
                .iter()
                .map(|mismatch| {
                    json!({ "kind": kind(*mismatch), "words": mismatch_words(case, other, *mismatch) })
                })
                .collect();
        }
    }
    told
}

const fn kind(mismatch: Mismatch<'_>) -> &'static str {
    match mismatch {
        Mismatch::Host => "host",
        Mismatch::Path => "path",
        Mismatch::Method => "method",
        Mismatch::Header(_) => "header",
        Mismatch::Query(_) => "query",
    }
}
