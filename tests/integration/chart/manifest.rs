//! Manifests of Kubernetes, as far as the tests look into them.

use serde::Deserialize;
use serde_json::Value;

/// All documents of a text.
pub fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            Value::deserialize(document).unwrap_or_else(|error| panic!("{error}:\n{text}"))
        })
        .filter(|document| !document.is_null())
        .collect()
}

/// The items of a list; none where there is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The documents of a kind.
pub fn of_kind<'d>(documents: &'d [Value], kind: &str) -> Vec<&'d Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// The only document of a kind.
pub fn only<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    let found = of_kind(documents, kind);
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// A pod, or what makes pods.
pub struct Pod<'d> {
    /// The kind and name of what it is in.
    pub name: String,
    pub metadata: &'d Value,
    pub spec: &'d Value,
}

impl<'d> Pod<'d> {
    pub fn init_containers(&self) -> &'d [Value] {
        list(&self.spec["initContainers"])
    }

    /// All containers.
    pub fn containers(&self) -> impl Iterator<Item = &'d Value> {
        self.init_containers().iter().chain(list(&self.spec["containers"]))
    }

    /// The container in which Outrigger serves.
    pub fn outrigger(&self) -> Option<&'d Value> {
        self.containers().find(|container| container["name"] == "outrigger")
    }

    /// Whether Outrigger is a native sidecar in it.
    pub fn has_sidecar(&self) -> bool {
        self.init_containers().iter().any(|container| container["name"] == "outrigger")
    }

    /// Whether it has all labels of a selector.
    pub fn is_selected(&self, selector: &Value) -> bool {
        let labels = &self.metadata["labels"];
        selector.as_object().is_some_and(|wanted| {
            !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
        })
    }
}

/// All pods of the documents.
pub fn pods(documents: &[Value]) -> Vec<Pod<'_>> {
    documents
        .iter()
        .filter_map(|document| {
            let (metadata, spec) = match text(&document["kind"]) {
                "Deployment" | "DaemonSet" | "Job" => {
                    let template = &document["spec"]["template"];
                    (&template["metadata"], &template["spec"])
                }
                "Pod" => (&document["metadata"], &document["spec"]),
                _ => return None,
            };
            let name =
                format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]));
            Some(Pod { name, metadata, spec })
        })
        .collect()
}
