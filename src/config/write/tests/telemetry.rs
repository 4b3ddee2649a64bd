//! Random traces and decisions.

use super::Random;
use crate::model::{
    Decisions, Keep, OtlpProtocol, Parents, Propagation, Sampling, SecretField, SecretText,
    TraceExporter, Traces,
};
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Random {
    pub(super) fn decisions(&mut self) -> Decisions {
        Decisions {
            sample: self.share(),
            slower_than: self.limit(),
            debug_token: self.maybe(|random| {
                let text = [random.token(), Arc::from("0123456789abcdef")].concat();
                SecretText(Arc::from(text))
            }),
        }
    }

    pub(super) fn traces(&mut self) -> Traces {
        let protocol = match self.0.bool() {
            true => OtlpProtocol::Grpc,
            false => OtlpProtocol::HttpProtobuf,
        };
        let paths = match protocol {
            OtlpProtocol::Grpc => [""; 4],
            OtlpProtocol::HttpProtobuf => {
                ["/", "/v1/traces", "/a//b/../%c3%a4/", "/otlp/v1/traces/"]
            }
        };
        let origin = self.0.choice(["http://[::1]:4317", "https://otel.example", "http://a:8080"]);
        let origin = origin.unwrap().to_owned();
        let max_queue_size = self.0.usize(1..=1_000_000);
        let mut resource = BTreeMap::from([
            (Arc::from("service.name"), self.text()),
            (Arc::from("service.version"), self.text()),
            (Arc::from("service.instance.id"), self.text()),
        ]);
        resource.extend(self.some(0, 2, |random, _| {
            (random.text(), if random.0.bool() { random.text() } else { Arc::from("") })
        }));
        Traces {
            exporter: TraceExporter {
                endpoint: Arc::from(origin + self.0.choice(paths).unwrap()),
                protocol,
                headers: self.some(0, 2, |random, index| SecretField {
                    name: HeaderName::try_from(format!("x-{index}")).unwrap(),
                    value: HeaderValue::from_str(&random.characters("aZ09\"'\\#:-${}[],&*!|>%@`~"))
                        .unwrap(),
                }),
                gzip: self.0.bool(),
                timeout: self.time(10_000_000),
                ca: self.maybe(|random| random.file("ca.crt")),
                client_certificate: self.maybe(|random| random.key_pair(0)),
                max_queue_size,
                max_batch_size: self.0.usize(1..=max_queue_size),
                batch_delay: self.time(10_000_000),
                resource: resource.into_iter().collect(),
            },
            sampling: Sampling {
                ratio: self.share(),
                parents: if self.0.bool() { Parents::Follow } else { Parents::Ignore },
                keep: Keep {
                    errors: self.0.bool(),
                    retries: self.0.bool(),
                    slower_than: self.limit(),
                },
            },
            propagation: Propagation {
                trace_context: self.0.bool(),
                b3: self.0.bool(),
                b3_multi: self.0.bool(),
            },
        }
    }
}
