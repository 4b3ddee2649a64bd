//! What must hold of every manifest with Outrigger in it, be it the chart's or the manual's.

use super::manifest::{Pod, list, of_kind, pods, text};
use crate::pki;
use outrigger::config::{self, Loaded, Surroundings};
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// The names of containers that are ours.
const OURS: [&str; 3] = ["outrigger", "check", "request"];

/// What Pod Security `restricted` allows without a question.
const VOLUMES: [&str; 7] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
];
const SYSCTLS: [&str; 2] = ["net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies"];

/// All that is wrong with the documents.
pub fn faults(documents: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for document in documents {
        let name = format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]));
        no_sub_path(&name, document, &mut faults);
    }
    let pods = pods(documents);
    for pod in &pods {
        let found = |fault: String| format!("{}: {fault}", pod.name);
        let mut of_pod = Vec::new();
        restricted(pod, &mut of_pod);
        mounts(pod, &mut of_pod);
        for container in pod.containers().filter(|container| is_ours(container)) {
            // What reads a configuration can read the one that it will get.
            if let Some(path) = config_path(container) {
                match loaded(documents, pod, container, &path) {
                    Ok(loaded) => serves(pod, container, &loaded, &mut of_pod),
                    Err(fault) => of_pod.push(format!("{}: {fault}", text(&container["name"]))),
                }
            }
        }
        faults.extend(of_pod.into_iter().map(found));
    }
    for service in of_kind(documents, "Service") {
        let name = text(&service["metadata"]["name"]);
        let selected: Vec<_> =
            pods.iter().filter(|pod| pod.is_selected(&service["spec"]["selector"])).collect();
        if selected.len() != 1 || selected[0].outrigger().is_none() {
            faults.push(format!("Service {name}: it selects {} kinds of pods", selected.len()));
            continue;
        }
        for port in list(&service["spec"]["ports"]) {
            let target = &port["targetPort"];
            let ports = selected[0].outrigger().map_or(&[][..], |found| list(&found["ports"]));
            if !ports.iter().any(|port| port["name"] == *target || port["containerPort"] == *target)
            {
                faults.push(format!("Service {name}: no container has the port {target}"));
            }
        }
    }
    faults
}

fn is_ours(container: &Value) -> bool {
    OURS.contains(&text(&container["name"]))
}

/// Kubelet never updates what is mounted so.
fn no_sub_path(name: &str, value: &Value, faults: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if key.starts_with("subPath") {
                    faults.push(format!("{name}: {key}"));
                }
                no_sub_path(name, value, faults);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| no_sub_path(name, value, faults)),
        _ => {}
    }
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>, of the containers that are ours.
fn restricted(pod: &Pod<'_>, faults: &mut Vec<String>) {
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("not restricted: {what}"));
        }
    };
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        hold(pod.spec[key] != true, key);
    }
    let context = &pod.spec["securityContext"];
    hold(context["runAsNonRoot"] == true, "runAsNonRoot");
    hold(context["runAsUser"].as_u64().is_some_and(|user| user > 0), "runAsUser");
    hold(context["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile");
    for sysctl in list(&context["sysctls"]) {
        hold(SYSCTLS.contains(&text(&sysctl["name"])), "sysctls");
    }
    for volume in list(&pod.spec["volumes"]) {
        let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
        for kind in kinds {
            hold(VOLUMES.contains(&kind.as_str()) || kind == "secret", kind);
        }
    }
    for container in pod.containers().filter(|container| is_ours(container)) {
        let context = &container["securityContext"];
        hold(context["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
        hold(context["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem");
        hold(context["capabilities"]["drop"] == serde_json::json!(["ALL"]), "capabilities.drop");
        hold(context["capabilities"]["add"].is_null(), "capabilities.add");
        hold(context["privileged"] != true, "privileged");
        hold(context["runAsNonRoot"] != false, "runAsNonRoot of a container");
    }
}

/// Every mount has its volume.
fn mounts(pod: &Pod<'_>, faults: &mut Vec<String>) {
    let volumes = list(&pod.spec["volumes"]);
    for container in pod.containers() {
        for mount in list(&container["volumeMounts"]) {
            if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
                faults.push(format!("there is no volume {}", mount["name"]));
            }
        }
    }
}

/// The configuration that a container is told to read.
fn config_path(container: &Value) -> Option<PathBuf> {
    let arguments: Vec<_> = list(&container["args"]).iter().map(text).collect();
    match arguments[..] {
        ["run", "--config", path, ..] | ["check", path] => Some(path.into()),
        // By the API it is the same ConfigMap, which is mounted all the same.
        ["run", "--config-map", _, ..] => Some("/etc/outrigger/config/config.yaml".into()),
        _ => None,
    }
}

/// The mount of a container in which a file is.
fn mount_of<'p>(container: &'p Value, file: &Path) -> Option<&'p Value> {
    let mounts = list(&container["volumeMounts"]).iter();
    mounts.into_iter().find(|mount| file.starts_with(text(&mount["mountPath"])))
}

/// The configuration at `path` in a container, as the library reads it.
fn loaded(
    documents: &[Value],
    pod: &Pod<'_>,
    container: &Value,
    path: &Path,
) -> Result<Loaded, String> {
    let mount = mount_of(container, path).ok_or("the configuration is in no mount")?;
    if path.parent() != Some(Path::new(text(&mount["mountPath"]))) {
        return Err("the configuration is not in the folder that is mounted".to_owned());
    }
    let volumes = list(&pod.spec["volumes"]).iter();
    let volume = volumes.into_iter().find(|volume| volume["name"] == mount["name"]);
    let wanted = &volume.ok_or("no volume")?["configMap"]["name"];
    let maps = of_kind(documents, "ConfigMap");
    let map = maps.iter().find(|map| map["metadata"]["name"] == *wanted);
    let map = map.ok_or_else(|| format!("there is no ConfigMap {wanted}"))?;
    let key = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let source = text(&map["data"][key]);
    let surroundings = Surroundings {
        files: &pki::read,
        folder: path.parent().unwrap_or(path),
        ..Surroundings::none()
    };
    let loaded = config::load(source.as_bytes(), key, &surroundings)
        .map_err(|problems| format!("{problems}\n{source}"))?;
    if !loaded.warnings.list().is_empty() {
        return Err(loaded.warnings.to_string());
    }
    Ok(loaded)
}

/// Holds a container to the configuration that it serves or checks.
fn serves(pod: &Pod<'_>, container: &Value, loaded: &Loaded, faults: &mut Vec<String>) {
    let model = &loaded.model;
    for file in &loaded.files {
        if mount_of(container, &without_dots(file)).is_none() {
            faults.push(format!("{} is in no mount of {}", file.display(), container["name"]));
        }
    }
    if container["name"] != "outrigger" {
        return;
    }
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    let ports = list(&container["ports"]);
    let probes = model.probes.map(|address| (address.port(), address.ip().is_loopback()));
    let Some((probes, false)) = probes else {
        return hold(false, "kubelet cannot reach the probes port");
    };
    hold(
        ports.iter().any(|port| port["name"] == "probes" && port["containerPort"] == probes),
        "the probes port is another than that of the configuration",
    );
    hold(
        model.admin.is_none_or(|address| address.ip().is_loopback()),
        "the admin port can be reached from outside the pod",
    );
    let reached: Vec<_> =
        model.listeners.iter().filter(|listener| !listener.address.ip().is_loopback()).collect();
    for listener in &reached {
        let port = listener.address.port();
        hold(
            ports.iter().any(|found| found["containerPort"] == port),
            &format!("the container has no port {port}"),
        );
    }
    hold(ports.len() == reached.len() + 1, "the container has a port that nobody listens on");
    for (probe, paths) in [
        ("startupProbe", &["/livez"][..]),
        ("livenessProbe", &["/livez"]),
        ("readinessProbe", &["/readyz"]),
    ] {
        let http = &container[probe]["httpGet"];
        let is_right = http["port"] == "probes" && paths.contains(&text(&http["path"]));
        hold(container[probe].is_null() || is_right, probe);
    }
    hold(container["lifecycle"].is_null(), "a preStop, though Outrigger drains by itself");
    let drain = model.shutdown.drain_delay + model.shutdown.drain_timeout;
    let grace = pod.spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    hold(grace as f64 >= drain.as_secs_f64() + 5.0, "it is killed before it has drained");
    if pod.has_sidecar() {
        hold(pod.init_containers()[0]["name"] == "outrigger", "the sidecar is not the first");
        hold(container["restartPolicy"] == "Always", "the pod waits for the sidecar's end");
        hold(!container["startupProbe"].is_null(), "the application may start before the sidecar");
        hold(model.shutdown.drain_delay.is_zero(), "the sidecar waits for nobody");
    }
}

/// A path without `..` and `.`.
fn without_dots(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => found.push(part),
        }
    }
    found
}
