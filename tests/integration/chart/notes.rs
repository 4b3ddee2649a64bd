//! What the chart says after an installation is so.

use super::helm::{is_here, template};
use super::manifest::{documents, only, text};
use super::path;
use super::rendered::copy;
use serde_json::json;

/// The notes of the chart with these values.
fn notes(values: &serde_json::Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(&path("charts/outrigger"), folder.path());
    // `helm template` shows manifests only.
    std::fs::write(
        folder.path().join("templates/said.yaml"),
        "kind: Notes\nsaid: {{ include (print .Template.BasePath \"/NOTES.txt\") . | toJson }}\n",
    )
    .unwrap();
    let file = folder.path().join("of-test.json");
    std::fs::write(&file, values.to_string()).unwrap();
    let made = template(folder.path().to_str().unwrap(), &["--values", file.to_str().unwrap()]);
    let made = documents(&made.unwrap_or_else(|said| panic!("{values}: {said}")));
    text(&only(&made, "Notes")["said"]).to_owned()
}

#[test]
fn notes_say_what_is_so_with_these_values() {
    if !is_here() {
        return;
    }
    let tls = json!({ "certificates": [{ "certFile": "a", "keyFile": "b" }] });
    let listener = |address: &str| json!([{ "name": "https", "address": address, "tls": tls }]);
    let dual = |address: &str| json!({ "config": { "listeners": listener(address) }, "service": { "ipFamilyPolicy": "PreferDualStack" } });
    let deaf = "NOTE: the Service may have an IPv6 address, but nobody listens there";
    for (values, said, unsaid) in [
        (json!({}), "9900      then http://127.0.0.1:9900/", "IPv6"),
        (json!({}), "then http://127.0.0.1:8080/", "https://"),
        (json!({}), "refused before anything changes", "WARNING"),
        (json!({ "check": { "hook": false } }), "goes the same way.", "refused before"),
        (
            json!({ "config": { "admin": { "address": "127.0.0.1:9990" } } }),
            "9990      then http://127.0.0.1:9990/",
            "9900",
        ),
        (json!({ "config": { "admin": { "address": "" } } }), "has turned it off", "WARNING"),
        (
            json!({ "config": { "admin": { "address": "0.0.0.0:9900" } } }),
            "WARNING: `config.admin.address` is 0.0.0.0:9900",
            "turned it off",
        ),
        (
            json!({ "config": { "listeners": listener("0.0.0.0:8443") } }),
            "then https://127.0.0.1:8080/",
            "then http://127.0.0.1:8080/",
        ),
        (dual("0.0.0.0:8443"), deaf, "app:8080"),
        (dual("[::]:8443"), "8080:443", deaf),
        (json!({ "config": { "listeners": [] } }), "so there is no Service", "8080:"),
        (json!({ "mode": "sidecar-config" }), "a Job takes that much longer", "port-forward"),
    ] {
        let notes = notes(&values);
        assert!(notes.contains(said), "{values}: {said} is not in\n{notes}");
        assert!(!notes.contains(unsaid), "{values}: {unsaid} is in\n{notes}");
    }
}
