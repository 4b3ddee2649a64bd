//! The manifests of the manual, with the images that the cluster has.

use crate::{images, repository};
use serde::Deserialize;
use serde_json::Value;

/// `docs/kubernetes/NAME`, unchanged but for the images.
///
/// # Panics
/// There is none, or one of its images is not known here.
pub fn manifest(name: &str) -> String {
    let text =
        std::fs::read_to_string(repository("docs/kubernetes").join(name)).expect("a manifest");
    let lines = text.lines().map(|line| match line.split_once("image: ") {
        Some((indent, image)) => format!("{indent}image: {}", own(image.trim())),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The documents of a text in YAML.
///
/// # Panics
/// It is none.
pub fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).expect("YAML")).collect()
}

fn own(image: &str) -> &'static str {
    let name = image.split(':').next().unwrap_or(image);
    match name {
        "outrigger" => &images().outrigger,
        "outrigger-testserver" => &images().testserver,
        "busybox" => &images().busybox,
        other => panic!("an image that the tests do not have: {other}"),
    }
}
