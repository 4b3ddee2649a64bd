//! The table of all that can be asked of the ports.

use super::AdminContext;
use super::api::{
    backends, config, control, endpoints, events, explain, health, listeners, picks, reloads,
    routes, status,
};
use super::{openapi, refusal};
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::sync::Arc;

/// A path, and what can be done with it.
pub(super) struct Path {
    /// As axum and OpenAPI write it: `{name}` stands for a segment.
    pub(super) path: &'static str,
    /// Whether the probes port has it, too.
    pub(super) on_probes: bool,
    pub(super) operations: &'static [Operation],
    /// What serves them.
    pub(super) serve: fn() -> MethodRouter<Arc<AdminContext>>,
}

/// One method of a path.
pub(super) struct Operation {
    pub(super) verb: Verb,
    /// What it does, in a few words.
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// What its body, a text, says.
    pub(super) body: Option<&'static str>,
    /// What it may answer, the usual first.
    pub(super) answers: &'static [Answer],
}

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Also HEAD.
    Get,
    Post,
    Put,
}

/// What a request may say besides its path.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) summary: &'static str,
    pub(super) example: &'static str,
    /// What it may be; anything if empty.
    pub(super) values: &'static [&'static str],
    pub(super) required: bool,
    /// Whether it may stand there several times.
    pub(super) repeats: bool,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// A possible answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) summary: &'static str,
    /// What it may consist of; nothing if empty.
    pub(super) contents: &'static [Content],
}

/// What an answer consists of.
pub(super) enum Content {
    Text,
    /// Server-sent events.
    Stream,
    Json(fn(&mut SchemaGenerator) -> Schema),
}

impl Verb {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// Whether it changes something, so that not everybody may.
    pub(super) const fn changes(self) -> bool {
        match self {
            Self::Get => false,
            Self::Post | Self::Put => true,
        }
    }
}

impl Path {
    /// The methods that it takes, as `Allow` lists them (RFC 9110, section 10.2.1).
    pub(super) fn allowed(&self) -> Vec<&'static str> {
        let methods = |operation: &Operation| match operation.verb {
            Verb::Get => &["GET", "HEAD"][..],
            Verb::Post => &["POST"],
            Verb::Put => &["PUT"],
        };
        self.operations.iter().flat_map(methods).copied().collect()
    }
}

impl Parameter {
    /// One in the query, that may be left out.
    pub(super) const fn query(name: &'static str, summary: &'static str) -> Self {
        let place = Place::Query;
        Self { name, place, summary, example: "", values: &[], required: false, repeats: false }
    }
}

const fn reads(summary: &'static str, answers: &'static [Answer]) -> Operation {
    Operation { verb: Verb::Get, summary, parameters: &[], body: None, answers }
}

/// The usual answer.
const fn ok(contents: &'static [Content]) -> Answer {
    Answer { status: 200, summary: "It is told.", contents }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const ERROR: &[Content] = &[Content::Json(schema::<refusal::Body>)];

const FORBIDDEN: Answer = Answer {
    status: 403,
    summary: "It comes from another machine, or without the header.",
    contents: &[Content::Text],
};

const BAD_QUERY: Answer =
    Answer { status: 400, summary: "A parameter is not understood.", contents: ERROR };

/// All of them, in the order in which they are listed.
pub(super) static PATHS: &[Path] = &[
    Path {
        path: "/livez",
        on_probes: true,
        operations: &[reads("whether the process runs", &[ok(&[Content::Text])])],
        serve: || get(health::livez),
    },
    Path {
        path: "/readyz",
        on_probes: true,
        operations: &[reads(
            "whether clients should be sent here, and why not",
            &[
                ok(&[Content::Text, Content::Json(schema::<health::Readiness>)]),
                Answer {
                    status: 503,
                    summary: "Clients should not be sent here.",
                    contents: &[Content::Text, Content::Json(schema::<health::Readiness>)],
                },
            ],
        )],
        serve: || get(health::readyz),
    },
    Path {
        path: "/metrics",
        on_probes: true,
        operations: &[reads("counters and gauges for Prometheus", &[ok(&[Content::Text])])],
        serve: || get(health::scrape),
    },
    Path {
        path: "/status",
        on_probes: false,
        operations: &[reads(
            "what runs, as JSON",
            &[ok(&[Content::Json(schema::<status::Status>)])],
        )],
        serve: || get(status::get),
    },
    Path {
        path: "/api/v1/config",
        on_probes: false,
        operations: &[reads(
            "the running configuration with every default, without secrets",
            &[ok(&[Content::Json(schema::<config::Config>)])],
        )],
        serve: || get(config::get),
    },
    Path {
        path: "/api/v1/listeners",
        on_probes: false,
        operations: &[reads(
            "where clients come in",
            &[ok(&[Content::Json(schema::<Vec<listeners::Listener>>)])],
        )],
        serve: || get(listeners::get),
    },
    Path {
        path: "/api/v1/routes",
        on_probes: false,
        operations: &[reads(
            "which requests go where",
            &[ok(&[Content::Json(schema::<Vec<routes::Route>>)])],
        )],
        serve: || get(routes::get),
    },
    Path {
        path: "/api/v1/backends",
        on_probes: false,
        operations: &[reads(
            "the sets of endpoints, and how they pick",
            &[ok(&[Content::Json(schema::<Vec<backends::Backend>>)])],
        )],
        serve: || get(backends::list),
    },
    Path {
        path: "/api/v1/backends/{name}",
        on_probes: false,
        operations: &[Operation {
            parameters: &[Parameter {
                place: Place::Path,
                required: true,
                example: "demo",
                ..Parameter::query("name", "the backend's name")
            }],
            ..reads(
                "one of them",
                &[
                    ok(&[Content::Json(schema::<backends::Backend>)]),
                    Answer { status: 404, summary: "There is no such backend.", contents: ERROR },
                ],
            )
        }],
        serve: || get(backends::one),
    },
    Path {
        path: "/api/v1/endpoints",
        on_probes: false,
        operations: &[Operation {
            parameters: &[
                Parameter {
                    example: "demo",
                    ..Parameter::query("backend", "only those of this backend")
                },
                Parameter {
                    example: "unhealthy",
                    values: &["unknown", "healthy", "unhealthy"],
                    ..Parameter::query("health", "only those that are so")
                },
            ],
            ..reads(
                "the live state of each endpoint",
                &[ok(&[Content::Json(schema::<Vec<endpoints::EndpointOfBackend>>)]), BAD_QUERY],
            )
        }],
        serve: || get(endpoints::list),
    },
    Path {
        path: "/api/v1/reloads",
        on_probes: false,
        operations: &[reads(
            "the last fifty looks at the configuration, and what each changed",
            &[ok(&[Content::Json(schema::<reloads::Reloads>)])],
        )],
        serve: || get(reloads::get),
    },
    Path {
        path: "/api/v1/events",
        on_probes: false,
        operations: &[Operation {
            parameters: &[
                Parameter {
                    example: "12",
                    ..Parameter::query("after", "only events with a number above this")
                },
                Parameter {
                    example: "1s",
                    ..Parameter::query(
                        "status",
                        "on a stream: how often /status is sent, too, from 250ms to 60s",
                    )
                },
                Parameter {
                    place: Place::Header,
                    example: "12",
                    ..Parameter::query("Last-Event-ID", "the same as after, as browsers send it")
                },
            ],
            ..reads(
                "what happened lately; as it happens with Accept: text/event-stream",
                &[
                    ok(&[Content::Json(schema::<events::Events>), Content::Stream]),
                    BAD_QUERY,
                    Answer { status: 503, summary: "Too many streams are open.", contents: ERROR },
                ],
            )
        }],
        serve: || get(events::get),
    },
    Path {
        path: "/api/v1/picks",
        on_probes: false,
        operations: &[reads(
            "requests worth a look, with the evidence of their picks",
            &[ok(&[Content::Json(schema::<picks::Picks>)])],
        )],
        serve: || get(picks::get),
    },
    Path {
        path: "/api/v1/explain",
        on_probes: false,
        operations: &[Operation {
            parameters: &[
                Parameter {
                    required: true,
                    example: "http://shop.example.com/cart",
                    ..Parameter::query("url", "the URL that the client asks for")
                },
                Parameter {
                    example: "GET",
                    ..Parameter::query("method", "the method; GET without it")
                },
                Parameter {
                    repeats: true,
                    example: "x-user: a",
                    ..Parameter::query("header", "a header field; may be given several times")
                },
                Parameter {
                    example: "http",
                    ..Parameter::query(
                        "listener",
                        "the listener that it comes by; without it that with the URL's port, or the only one",
                    )
                },
                Parameter {
                    example: "192.0.2.7",
                    ..Parameter::query("clientAddress", "the address that it comes from")
                },
            ],
            ..reads(
                "where a request would go, and why",
                &[ok(&[Content::Json(schema::<explain::Explanation>)]), BAD_QUERY],
            )
        }],
        serve: || get(explain::get),
    },
    Path {
        path: "/log-level",
        on_probes: false,
        operations: &[
            reads("what is logged", &[ok(&[Content::Text])]),
            Operation {
                verb: Verb::Put,
                summary: "log something else from now on",
                parameters: &[],
                body: Some("What is logged, as in --log-level."),
                answers: &[
                    Answer { status: 204, summary: "It is so.", contents: &[] },
                    Answer {
                        status: 400,
                        summary: "It is not understood.",
                        contents: &[Content::Text],
                    },
                    FORBIDDEN,
                ],
            },
        ],
        serve: || {
            let limit = DefaultBodyLimit::max(control::MAX_FILTER);
            get(control::log_level).put(control::set_log_level).layer(limit)
        },
    },
    Path {
        path: "/quitquitquit",
        on_probes: false,
        operations: &[Operation {
            verb: Verb::Post,
            summary: "stop as after SIGTERM: finish what is in flight, then end",
            parameters: &[],
            body: None,
            answers: &[
                Answer {
                    status: 202,
                    summary: "It stops, or stops already.",
                    contents: &[Content::Text],
                },
                FORBIDDEN,
            ],
        }],
        serve: || post(control::quit),
    },
    Path {
        path: "/openapi.json",
        on_probes: false,
        operations: &[reads(
            "this list for programs, as OpenAPI 3.1",
            &[ok(&[Content::Json(|_| schemars::json_schema!({ "type": "object" }))])],
        )],
        serve: || get(openapi::get),
    },
];
