//! The scenarios of `compare`: a table.

use crate::Result;
use crate::exchange::{Exchange, Protocol};
use crate::load::{Pace, Shape};
use crate::peer::{Options, Peer, Program};
use crate::tls::Identity;
use std::sync::Arc;

/// Who takes part, and in which variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Every peer.
    Everyone,
    /// Every peer, and HAProxy once more with all of Outrigger's headers.
    WithHeaders,
    /// Those whose log we can configure, with and without it.
    AccessLog,
    /// Those that offer metrics by themselves: without, with, and with somebody who reads them.
    Metrics,
    /// Those that reload: never, and so many times per second.
    Reloads,
    /// Every peer with a post-quantum group offered, and Outrigger also without.
    PostQuantum,
    /// Outrigger without traces, with a trace of no request, and with one of each.
    Traces,
}

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Its name on the command line and in RESULTS.md.
    pub(crate) name: &'static str,
    /// Its heading.
    pub(crate) title: &'static str,
    /// What happens, in words.
    pub(crate) what: &'static str,
    pub(crate) field: Field,
    /// What the client speaks, and whether within TLS.
    pub(crate) protocol: Protocol,
    pub(crate) tls: bool,
    /// Outrigger's CPU time per request may be so many times that of these.
    pub(crate) limits: &'static [(Program, f64)],
    /// Bytes of the requests' and of the answers' bodies.
    pub(crate) upload: usize,
    pub(crate) download: usize,
    /// Connections that are open, and requests on their way at most: with HTTP/2 these may be more.
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) reconnect: bool,
    pub(crate) endpoints: usize,
    pub(crate) routes: usize,
    /// Rounds, and seconds measured per peer and round, by default.
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
}

const SMALL: Scenario = Scenario {
    name: "keep-alive",
    title: "Small requests, connections kept alive",
    what: "64 connections, each sends its next request as soon as it has its answer of 100 bytes",
    field: Field::WithHeaders,
    protocol: Protocol::Http1,
    tls: false,
    limits: &[],
    upload: 0,
    download: 100,
    connections: 64,
    in_flight: 64,
    reconnect: false,
    endpoints: 1,
    routes: 0,
    rounds: 5,
    seconds: 0.8,
};

const OTHERS: Scenario = Scenario { field: Field::Everyone, ..SMALL };

/// All, in the order in which they run.
pub(crate) const ALL: [Scenario; 20] = [
    Scenario { rounds: 9, seconds: 1.0, ..SMALL },
    Scenario {
        name: "new-connections",
        title: "A new connection for every request",
        what: "64 clients open a connection, send a small request, read the answer and close (with a reset, so that no port \
               stays taken); connections to the endpoint are kept alive",
        reconnect: true,
        ..OTHERS
    },
    Scenario {
        name: "download-64k",
        title: "Answers of 64 KiB",
        what: "32 connections",
        download: 64 << 10,
        ..few(OTHERS, 32)
    },
    Scenario {
        name: "upload-64k",
        title: "Requests of 64 KiB",
        what: "32 connections",
        upload: 64 << 10,
        ..few(OTHERS, 32)
    },
    Scenario {
        name: "download-10m",
        title: "Answers of 10 MiB",
        what: "4 connections",
        download: 10 << 20,
        ..few(OTHERS, 4)
    },
    Scenario {
        name: "upload-10m",
        title: "Requests of 10 MiB",
        what: "4 connections",
        upload: 10 << 20,
        ..few(OTHERS, 4)
    },
    Scenario {
        name: "endpoints-1000",
        title: "A thousand endpoints",
        what: "one backend of 1,000 endpoints in turn, each at a loopback address of its own",
        endpoints: 1_000,
        ..OTHERS
    },
    Scenario {
        name: "routes-10000",
        title: "Ten thousand routes",
        what: "10,000 routes, each for a host and the prefix /api; the requests go to the hosts in turn",
        routes: 10_000,
        ..OTHERS
    },
    Scenario {
        name: "connections-10",
        title: "10 connections",
        what: "10 connections, all busy",
        ..few(OTHERS, 10)
    },
    Scenario {
        name: "connections-1000",
        title: "1,000 connections",
        what: "1,000 connections take turns, so that always 64 requests are on their way",
        connections: 1_000,
        ..OTHERS
    },
    Scenario {
        name: "connections-10000",
        title: "10,000 connections",
        what: "10,000 connections take turns, so that always 64 requests are on their way",
        connections: 10_000,
        ..OTHERS
    },
    Scenario {
        name: "access-log",
        title: "With an access log",
        what: "a line per request, written to a file: Outrigger's JSON, NGINX's combined format, HAProxy's httplog",
        field: Field::AccessLog,
        ..SMALL
    },
    Scenario {
        name: "metrics",
        title: "With metrics read",
        what: "offered, and read once a second meanwhile",
        field: Field::Metrics,
        seconds: 1.5,
        ..SMALL
    },
    Scenario {
        name: "traces",
        title: "With traces",
        what: "sent to a collector by OTLP over gRPC, which only counts spans: of no request (each endpoint is told of the trace, \
               and that nobody records it), and of every request: two spans, with the evidence of the pick",
        field: Field::Traces,
        rounds: 9,
        ..SMALL
    },
    Scenario {
        name: "reloads",
        title: "Reloads meanwhile",
        what: "Outrigger's file is edited (a new file renamed over it, the backend's algorithm switched), NGINX and HAProxy are \
               told to reload by signal",
        field: Field::Reloads,
        seconds: 1.5,
        ..SMALL
    },
    Scenario { rounds: 9, ..HANDSHAKES },
    Scenario {
        name: "tls-handshakes-pq",
        title: "TLS handshakes, post-quantum",
        what: "as in *TLS handshakes*, but the client offers X25519MLKEM768 before X25519, with a share for each, as browsers do; who does not \
               know it takes X25519. Outrigger is there with X25519 alone, too",
        field: Field::PostQuantum,
        limits: &[],
        ..HANDSHAKES
    },
    Scenario {
        name: "tls-keep-alive",
        title: "Small requests over TLS",
        what: "64 connections of TLS 1.3 (AES-128-GCM), each sends its next request as soon as it has its answer of 100 bytes; \
               connections to the endpoint are without TLS",
        tls: true,
        limits: &[(Program::Haproxy, 1.0)],
        rounds: 9,
        ..OTHERS
    },
    Scenario {
        name: "h2-tls",
        title: "HTTP/2 over TLS",
        what: "16 connections of TLS 1.3 (AES-128-GCM) with 16 streams each, each of which sends its next request as soon as it has \
               its answer of 100 bytes; the endpoint speaks HTTP/1.1 without TLS",
        tls: true,
        limits: &[(Program::Haproxy, 1.15)],
        rounds: 9,
        ..STREAMS
    },
    Scenario {
        name: "grpc-unary",
        title: "gRPC calls",
        what: "16 connections of HTTP/2 without TLS, 16 calls on each at a time, one message of 100 bytes there and one back; the \
               endpoint speaks HTTP/2, too, and ends each answer with trailers",
        protocol: Protocol::Grpc,
        ..STREAMS
    },
];

/// Sixteen clients that each have sixteen requests on their way.
const STREAMS: Scenario =
    Scenario { protocol: Protocol::Http2, connections: 16, in_flight: 256, ..OTHERS };

const HANDSHAKES: Scenario = Scenario {
    name: "tls-handshakes",
    title: "TLS handshakes",
    what: "a request is a handshake: 64 clients open a connection, agree on TLS 1.3 (ECDSA with P-256, X25519, AES-128-GCM; no \
           session is ever resumed, though tickets are given out as each proxy does by default), send a small request, read \
           the answer and close (with a reset); connections to the endpoint are kept alive, without TLS",
    tls: true,
    limits: &[(Program::Nginx, 0.9), (Program::Haproxy, 0.9)],
    reconnect: true,
    ..OTHERS
};

const fn few(scenario: Scenario, connections: usize) -> Scenario {
    Scenario { connections, in_flight: connections, ..scenario }
}

impl Scenario {
    /// The hosts of its routes.
    pub(crate) fn hosts(&self) -> Vec<String> {
        (0..self.routes).map(|index| format!("shop{index}.example.com")).collect()
    }

    pub(crate) fn exchange(&self) -> Exchange {
        match self.protocol {
            Protocol::Grpc => Exchange::grpc(),
            protocol => {
                Exchange { protocol, ..Exchange::new(self.upload, self.download, &self.hosts()) }
            }
        }
    }

    /// The load on `peer`.
    pub(crate) fn shape(
        &self,
        peer: &Peer,
        pace: Pace,
        identity: Option<&Identity>,
    ) -> Result<Shape> {
        let client = |it: &Identity| it.client(self.protocol, peer.options.post_quantum);
        Ok(Shape {
            connections: self.connections,
            in_flight: self.in_flight,
            pace,
            reconnect: self.reconnect,
            may_close: peer.options.reloads.is_some(),
            tls: identity.map(client).transpose()?.map(Arc::new),
        })
    }

    /// Why it cannot be had at this pace.
    pub(crate) fn obstacle(&self, pace: Pace) -> Option<&'static str> {
        let closed = pace == Pace::Closed || self.protocol == Protocol::Http1;
        (!closed).then_some("the client of HTTP/2 has no open loop")
    }

    /// A smaller one of the same kind, for a look at whether it works.
    pub(crate) fn quick(self) -> Scenario {
        Scenario {
            connections: self.connections.min(500),
            endpoints: self.endpoints.min(100),
            routes: self.routes.min(200),
            ..self
        }
    }

    /// The rows of its table, of the peers that there are. One is there twice: how far the two differ is noise.
    pub(crate) fn rows(&self, peers: &[Peer]) -> Vec<Peer> {
        let none = Options::default();
        let is = |program| move |peer: &&Peer| peer.program == program;
        let mut rows = Vec::new();
        match self.field {
            Field::Everyone | Field::WithHeaders => {
                // Client and endpoint are one process, which would need twice as many descriptors.
                // The endpoint has no TLS, nor HTTP/2 but for gRPC.
                if self.connections <= 1_000 && !self.tls {
                    rows.push(Peer::direct());
                }
                rows.extend_from_slice(peers);
                if let Some(haproxy) = peers.iter().find(is(Program::Haproxy))
                    && self.field == Field::WithHeaders
                {
                    let options = Options { all_headers: true, ..none };
                    rows.push(haproxy.with("all of Outrigger's headers", options));
                }
            }
            Field::AccessLog => {
                for peer in programs(peers, &[Program::Nginx, Program::Haproxy, Program::Outrigger])
                {
                    rows.extend([
                        peer.clone(),
                        peer.with("access log", Options { access_log: true, ..none }),
                    ]);
                }
            }
            Field::Metrics => {
                for peer in programs(peers, &[Program::Haproxy, Program::Outrigger]) {
                    let offered = Options { metrics: true, ..none };
                    let scraped = Options { scraped: true, ..offered };
                    rows.extend([
                        peer.clone(),
                        peer.with("metrics", offered),
                        peer.with("metrics read", scraped),
                    ]);
                }
            }
            Field::Reloads => {
                for peer in programs(peers, &[Program::Nginx, Program::Haproxy, Program::Outrigger])
                {
                    let rates: &[u32] =
                        if peer.program == Program::Outrigger { &[0, 1, 10, 100] } else { &[0, 1] };
                    rows.extend(rates.iter().map(|&rate| {
                        peer.with(
                            &format!("{rate} reloads/s"),
                            Options { reloads: Some(rate), ..none },
                        )
                    }));
                }
            }
            Field::Traces => {
                for peer in programs(peers, &[Program::Outrigger]) {
                    let traced = |percent| Options { traces: Some(percent), ..none };
                    rows.extend([
                        peer.clone(),
                        peer.with("traces, none sampled", traced(0)),
                        peer.with("traces, all sampled", traced(100)),
                    ]);
                }
            }
            Field::PostQuantum => {
                let offered = Options { post_quantum: true, ..none };
                for peer in peers {
                    if peer.program == Program::Outrigger {
                        rows.push(peer.clone());
                    }
                    rows.push(peer.with("X25519MLKEM768 offered", offered));
                }
            }
        }
        // Where only Outrigger takes part, the plain one.
        let plain = rows.iter().find(|_| self.field == Field::Traces).or(rows.last());
        let twice = rows.iter().find(is(Program::Haproxy)).or(plain).map(Peer::again);
        rows.extend(twice);
        rows
    }
}

/// Of `peers` the first of each of `programs`, and every Outrigger.
fn programs<'a>(peers: &'a [Peer], programs: &[Program]) -> Vec<&'a Peer> {
    let mut chosen: Vec<&Peer> = Vec::new();
    for peer in peers.iter().filter(|peer| programs.contains(&peer.program)) {
        if peer.program == Program::Outrigger
            || chosen.iter().all(|other| other.program != peer.program)
        {
            chosen.push(peer);
        }
    }
    chosen
}
