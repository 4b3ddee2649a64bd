//! The manifests of the manual.

use super::audit::faults;
use super::helm::{self, template};
use super::manifest::{Pod, documents, list, pods, text};
use super::{hold_in_step, path, read};
use serde_json::{Value, json};

/// The manifests by the names of their files.
fn manifests() -> Vec<(String, Vec<Value>)> {
    let mut found: Vec<_> = path("docs/kubernetes")
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| (name.clone(), documents(&read(&format!("docs/kubernetes/{name}")))))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() >= 4);
    found
}

#[test]
fn the_manual_shows_its_manifests_as_they_are() {
    let page = read("docs/kubernetes.md");
    let mut shown = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        shown.push_str(line);
        shown.push('\n');
        let file = line.strip_prefix("<!-- kubernetes/").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(file) = file else { continue };
        let manifest = read(&format!("docs/kubernetes/{file}"));
        shown.push_str(&format!("```yaml\n{manifest}```\n"));
        if lines.next_if_eq(&"```yaml").is_some() {
            lines.find(|line| *line == "```").expect("the block ends");
        }
    }
    hold_in_step("docs/kubernetes.md", &shown, "UPDATE_DOCS");
    for (name, _) in manifests() {
        assert!(shown.contains(&format!("<!-- kubernetes/{name} -->")), "{name} is not shown");
    }
}

#[test]
fn manifests_of_the_manual_hold_together() {
    for (name, manifest) in manifests() {
        assert_eq!(faults(&manifest), [""; 0], "{name}");
        assert!(pods(&manifest).iter().any(|pod| pod.outrigger().is_some()), "{name}");
    }
}

#[test]
fn values_that_the_pages_show_make_manifests_that_hold_together() {
    if !helm::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    let mut tried = 0;
    for page in ["README.md", "docs/kubernetes.md"] {
        let text = read(page);
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if !block.starts_with("config:") {
                continue;
            }
            std::fs::write(&file, block).unwrap();
            let made = template("charts/outrigger", &["--values", file.to_str().unwrap()]);
            let made = made.unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
            assert_eq!(faults(&documents(&made)), [""; 0], "{page}:\n{block}");
            tried += 1;
        }
    }
    assert!(tried >= 2);
}

/// K5: a Job with an ordinary container beside it never ends by itself.
#[test]
fn a_job_of_the_manual_is_not_kept_from_completing() {
    let mut jobs = 0;
    for (name, manifest) in manifests() {
        for Pod { spec, .. } in pods(&manifest).iter().filter(|pod| pod.name.starts_with("Job ")) {
            let app =
                list(&spec["containers"]).iter().find(|found| found["name"] == "app").unwrap();
            let is_sidecar = list(&spec["initContainers"])
                .iter()
                .any(|found| found["name"] == "outrigger" && found["restartPolicy"] == "Always");
            let script = list(&app["args"]).iter().map(text).collect::<String>();
            let ends_it =
                script.contains("X-Outrigger-Admin") && script.contains("9900/quitquitquit");
            assert!(is_sidecar != ends_it, "{name}");
            assert_eq!(spec["restartPolicy"], "Never", "{name}");
            jobs += 1;
        }
    }
    assert_eq!(jobs, 2);
}

// The checks above are worth what these are worth.

#[test]
fn what_is_wrong_with_a_manifest_is_seen() {
    let manifest = documents(&read("docs/kubernetes/native-sidecar.yaml"));
    let sidecar = "/1/spec/template/spec/initContainers/0";
    let pod = "/1/spec/template/spec";
    for (place, value, fault) in [
        (
            format!("{sidecar}/volumeMounts/0"),
            json!({ "name": "outrigger-config", "mountPath": "/etc/outrigger/config", "subPath": "x" }),
            "subPath",
        ),
        (
            format!("{sidecar}/volumeMounts/0/mountPath"),
            json!("/etc/outrigger"),
            "not in the folder",
        ),
        (format!("{sidecar}/volumeMounts/0/name"), json!("other"), "no volume"),
        (format!("{sidecar}/ports/1/containerPort"), json!(9900), "probes port is another"),
        (format!("{sidecar}/ports/0/containerPort"), json!(8081), "no port 8080"),
        (format!("{sidecar}/startupProbe/httpGet/path"), json!("/readyz"), "startupProbe"),
        (format!("{sidecar}/readinessProbe/httpGet/port"), json!(9900), "readinessProbe"),
        (format!("{sidecar}/restartPolicy"), json!(null), "waits for the sidecar's end"),
        (
            format!("{sidecar}/securityContext/allowPrivilegeEscalation"),
            json!(true),
            "allowPrivilegeEscalation",
        ),
        (format!("{sidecar}/securityContext/capabilities/drop"), json!([]), "capabilities"),
        (format!("{pod}/securityContext/runAsNonRoot"), json!(null), "runAsNonRoot"),
        (format!("{pod}/securityContext/seccompProfile"), json!(null), "seccomp"),
        (format!("{pod}/hostNetwork"), json!(true), "hostNetwork"),
        (format!("{pod}/terminationGracePeriodSeconds"), json!(24), "killed before"),
        (
            format!("{pod}/volumes/0"),
            json!({ "name": "outrigger-config", "hostPath": { "path": "/" } }),
            "hostPath",
        ),
        ("/0/data/config.yaml".to_owned(), json!("listenerz: []\n"), "listenerz"),
        ("/2/spec/ports/0/targetPort".to_owned(), json!("https"), "no container has the port"),
        ("/2/spec/selector/app".to_owned(), json!("other"), "selects 0"),
    ] {
        let mut changed = manifest.clone();
        let (document, rest) = place[1..].split_at(1);
        let document = &mut changed[document.parse::<usize>().unwrap()];
        let (parent, key) = rest.rsplit_once('/').unwrap();
        match document.pointer_mut(parent).unwrap() {
            Value::Object(map) => {
                map.insert(key.to_owned(), value);
            }
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            other => panic!("{place}: {other}"),
        }
        let found = faults(&changed);
        assert!(found.iter().any(|found| found.contains(fault)), "{place}: {found:?}");
    }
}
