//! How a backend shares requests out: algorithm, hash, affinity, slow start.

use super::Validator;
use super::defaulted::{duration, share};
use crate::config::decode::Field;
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::tree::At;
use crate::model::{self, defaults};
use std::sync::Arc;

/// What a hash key may be, for messages.
const HASH_KEYS: &str = "`ClientAddress`, `Path`, or a map with `header`, `cookie` or `query`, such as \
                         `{ name: ConsistentHash, key: { header: x-user } }`";

impl Validator<'_> {
    pub(super) fn algorithm(
        &self,
        typed: &Field<file::Algorithm>,
        backend: &At<'_>,
    ) -> model::Algorithm {
        let name = typed.get().and_then(|algorithm| {
            let names = || model::Algorithm::ALL.map(model::Algorithm::name).join(", ");
            self.required(&algorithm.name, &backend.key("algorithm"), "name", names).copied()
        });
        name.map_or(model::Algorithm::RoundRobin, Into::into)
    }

    /// What `algorithm` hashes, if it does; nothing else may have the keys of a hash.
    pub(super) fn hashing(
        &self,
        algorithm: model::Algorithm,
        typed: &Field<file::Algorithm>,
        backend: &At<'_>,
    ) -> Option<model::Hashing> {
        let typed = typed.get()?;
        let at = backend.key("algorithm");
        if algorithm == model::Algorithm::ConsistentHash {
            let key = self.required(&typed.key, &at, "key", || HASH_KEYS.into())?;
            return Some(model::Hashing {
                key: self.hash_key(key, &at.key("key"))?,
                table: match typed.table.get() {
                    Some(file::HashTable::Ring) => model::HashTable::Ring,
                    Some(file::HashTable::Maglev) | None => model::HashTable::Maglev,
                },
                bounded_load: typed.bounded_load.get().map(|bound| bound.0),
            });
        }
        let keys = [
            ("key", typed.key.is_absent()),
            ("table", typed.table.is_absent()),
            ("boundedLoad", typed.bounded_load.is_absent()),
        ];
        // Without a valid name it is not known whose keys they are.
        for (key, _) in keys.iter().filter(|(_, absent)| !absent && typed.name.get().is_some()) {
            let why = match algorithm {
                model::Algorithm::SourceIpHash => ", which always hashes the client's address",
                _ => "",
            };
            let fault = Fault::new(format!("`{key}` has no meaning for {algorithm}{why}"));
            self.problems
                .key(&at.key(key), fault.allow(format!("`name: ConsistentHash`, or no `{key}`")));
        }
        (algorithm == model::Algorithm::SourceIpHash).then_some(model::Hashing::SOURCE_IP)
    }

    fn hash_key(&self, typed: &file::HashKey, at: &At<'_>) -> Option<model::HashKey> {
        let keys = [
            ("source", typed.source.is_absent()),
            ("header", typed.header.is_absent()),
            ("cookie", typed.cookie.is_absent()),
            ("query", typed.query.is_absent()),
        ];
        self.exactly_one(at, &keys)?;
        if let Some(header) = typed.header.get() {
            return Some(model::HashKey::Header(header.0.clone()));
        }
        if let Some(cookie) = typed.cookie.get() {
            return Some(model::HashKey::Cookie(Arc::from(&*cookie.0)));
        }
        if let Some(query) = typed.query.get() {
            return Some(model::HashKey::Query(Arc::from(&*query.0)));
        }
        match typed.source.get()? {
            file::HashSource::ClientAddress => Some(model::HashKey::ClientAddress),
            file::HashSource::Path => Some(model::HashKey::Path),
        }
    }

    pub(super) fn session_affinity(
        &self,
        typed: &Field<file::SessionAffinity>,
        backend: &At<'_>,
    ) -> Option<model::SessionAffinity> {
        let typed = typed.get()?;
        let at = backend.key("sessionAffinity");
        let allowed = || "a map with the keys name, ttl, path; `{}` for their defaults".into();
        let cookie = self.required(&typed.cookie, &at, "cookie", allowed)?;
        Some(model::SessionAffinity {
            cookie: cookie.name.get().map_or(defaults::AFFINITY_COOKIE, |name| &*name.0).into(),
            ttl: cookie.ttl.get().map(|ttl| ttl.0).filter(|ttl| !ttl.is_zero()),
            path: cookie.path.get().map_or(defaults::AFFINITY_PATH, |path| &*path.0).into(),
        })
    }

    pub(super) fn slow_start(
        &self,
        typed: &Field<file::SlowStart>,
        backend: &At<'_>,
    ) -> Option<model::SlowStart> {
        let typed = typed.get()?;
        let at = backend.key("slowStart").key("window");
        if duration(&typed.window, defaults::SLOW_START_WINDOW).is_zero() {
            let fault = Fault::new(format!("`{}` is out of range", at.shown()));
            self.problems
                .value(&at, fault.allow("more than `0s`; without `slowStart` there is none"));
        }
        Some(model::SlowStart {
            window: duration(&typed.window, defaults::SLOW_START_WINDOW),
            minimum_weight: share(&typed.minimum_weight, defaults::slow_start_minimum_weight()),
        })
    }
}
