//! An API server for tests: lists, watches, conflicts of versions, refusals and broken connections, over real sockets.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// An API server.
#[derive(Clone, Debug)]
pub struct FakeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Store>,
    /// Told of every change.
    changed: watch::Sender<u64>,
}

/// What it knows.
#[derive(Debug, Default)]
struct Store {
    version: u64,
    /// By collection (`namespaces/shop/endpointslices`) and name.
    objects: BTreeMap<(String, String), Value>,
    /// What became of objects: version, collection, kind of event, object.
    log: Vec<(u64, String, &'static str, Value)>,
    /// What happened up to here is forgotten.
    forgotten: u64,
    /// Answered instead of anything else.
    refusal: Option<(u16, &'static str)>,
    /// Answered instead of a watch.
    watch_refusal: Option<(u16, &'static str)>,
    /// Watches of an older one break off.
    cut: u64,
    /// Whether connections break before an answer.
    away: bool,
    /// What was asked for: method, path and query.
    requests: Vec<String>,
    /// What was written: path and body.
    written: Vec<(String, Value)>,
}

impl FakeApi {
    /// Starts one on a free port, for as long as the runtime lives.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates or changes an object of `collection`, as `namespaces/shop/endpointslices`.
    pub fn put(&self, collection: &str, name: &str, mut object: Value) {
        self.change(|store| {
            let key = (collection.to_owned(), name.to_owned());
            let kind = if store.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
            object["metadata"]["name"] = name.into();
            object["metadata"]["resourceVersion"] = store.version.to_string().into();
            store.log.push((store.version, collection.to_owned(), kind, object.clone()));
            store.objects.insert(key, object);
        });
    }

    /// Deletes an object.
    pub fn delete(&self, collection: &str, name: &str) {
        self.change(|store| {
            let mut object =
                store.objects.remove(&(collection.to_owned(), name.to_owned())).unwrap();
            object["metadata"]["resourceVersion"] = store.version.to_string().into();
            store.log.push((store.version, collection.to_owned(), "DELETED", object));
        });
    }

    /// Changes an object, or deletes it with `None`, so that no watch will ever tell of it.
    pub fn put_unseen(&self, collection: &str, name: &str, object: Option<Value>) {
        match object {
            Some(object) => self.put(collection, name, object),
            None => self.delete(collection, name),
        }
        self.change(|store| {
            store.log.clear();
            store.forgotten = store.version;
        });
    }

    /// Refuses everything with this status and reason, or nothing any more.
    pub fn refuse(&self, refusal: Option<(u16, &'static str)>) {
        self.change(|store| store.refusal = refusal);
    }

    /// Refuses watches with this status and reason, and breaks those off that there are; lists are answered.
    pub fn refuse_watches(&self, refusal: (u16, &'static str)) {
        self.change(|store| {
            store.watch_refusal = Some(refusal);
            store.cut += 1;
        });
    }

    /// Breaks all watches off in the middle.
    pub fn cut(&self) {
        self.change(|store| store.cut += 1);
    }

    /// Breaks every connection before an answer, and all watches; or does so no more.
    pub fn go_away(&self, away: bool) {
        self.change(|store| {
            store.away = away;
            store.cut += 1;
        });
    }

    /// What was asked for so far: method, path and query.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// What was written so far: path and body.
    pub fn written(&self) -> Vec<(String, Value)> {
        self.lock().written.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.shared.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        let mut store = self.lock();
        store.version += 1;
        change(&mut store);
        let version = store.version;
        drop(store);
        self.shared.changed.send_replace(version);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&shared), request));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

/// An error closes the connection before an answer.
async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let path = parts.uri.path().to_owned();
    {
        let mut store = shared.state.lock().unwrap();
        store.requests.push(format!("{} {path}?{query}", parts.method));
        if store.away {
            return Err(io::Error::other("away"));
        }
        if let Some((code, reason)) = store.refusal {
            return Ok(status(code, reason));
        }
        if let Some((code, reason)) = store.watch_refusal.filter(|_| query.contains("watch=")) {
            return Ok(status(code, reason));
        }
    }
    if parts.method != Method::GET {
        let bytes = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let mut object = body.clone();
        object["metadata"]["name"] = "written".into();
        shared.state.lock().unwrap().written.push((path, body));
        return Ok(axum::Json(object).into_response());
    }
    // Behind `/apis/GROUP/VERSION/` or `/api/v1/`.
    let start = path.find("namespaces/").unwrap();
    let asked = Asked { collection: path[start..].to_owned(), query };
    Ok(match asked.value("watch") {
        Some(_) => watch(shared, asked),
        None => list(&shared, &asked),
    })
}

/// What is asked for.
struct Asked {
    collection: String,
    query: String,
}

impl Asked {
    fn value(&self, key: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next()
    }

    fn takes(&self, collection: &str, object: &Value) -> bool {
        let selected = |selector: Option<&str>, is: &dyn Fn(&str, &str) -> bool| {
            let (key, value) = selector?.split_once("%3D")?;
            Some(is(&key.replace("%2F", "/"), value))
        };
        let label = |key: &str, value: &str| object["metadata"]["labels"][key] == value;
        let name = |_: &str, value: &str| object["metadata"]["name"] == value;
        collection == self.collection
            && selected(self.value("labelSelector"), &label).unwrap_or(true)
            && selected(self.value("fieldSelector"), &name).unwrap_or(true)
    }
}

fn list(shared: &Shared, asked: &Asked) -> Response {
    let store = shared.state.lock().unwrap();
    let objects = store.objects.iter();
    let items: Vec<_> = objects
        .filter(|((collection, _), object)| asked.takes(collection, object))
        .map(|(_, object)| object.clone())
        .collect();
    let version = store.version.to_string();
    axum::Json(json!({ "metadata": { "resourceVersion": version }, "items": items }))
        .into_response()
}

fn watch(shared: Arc<Shared>, asked: Asked) -> Response {
    let from = asked.value("resourceVersion").and_then(|from| from.parse().ok()).unwrap_or(0);
    let cut = shared.state.lock().unwrap().cut;
    let changes = shared.changed.subscribe();
    let state = (shared, asked, changes, from);
    let events = stream::unfold(Some(state), move |state| async move {
        let (shared, asked, mut changes, from) = state?;
        loop {
            {
                let store = shared.state.lock().unwrap();
                if store.cut != cut {
                    return Some((Err(io::Error::other("cut")), None));
                }
                if from < store.forgotten {
                    let status = json!({ "kind": "Status", "code": 410, "reason": "Expired", "message": "too old" });
                    return Some((Ok(line("ERROR", &status)), None));
                }
                let next = store.log.iter().find(|(version, collection, _, object)| {
                    *version > from && asked.takes(collection, object)
                });
                if let Some((version, _, kind, object)) = next {
                    let (line, version) = (line(kind, object), *version);
                    drop(store);
                    return Some((Ok(line), Some((shared, asked, changes, version))));
                }
            }
            changes.changed().await.ok()?;
        }
    });
    Response::new(Body::from_stream(events))
}

fn line(kind: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({ "type": kind, "object": object })).into()
}

fn status(code: u16, reason: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the API server says {reason}"), "reason": reason, "code": code,
    });
    (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
}
