//! The manifests that the chart makes.

use super::audit::faults;
use super::helm::{case, helm, is_here, template};
use super::manifest::{documents, list, of_kind, only, pods, text};
use super::{cases, hold_in_step, path, read};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

fn render(name: &str, arguments: &[&str]) -> Vec<Value> {
    documents(&case(name, arguments).unwrap_or_else(|said| panic!("{name}: {said}")))
}

/// The repository's files stand in the manifests word for word; there is no need of copies in the golden ones.
fn without_files(manifests: &str) -> String {
    let mut short = manifests.to_owned();
    for (name, indent) in [("dashboards/outrigger.json", 4), ("rules/outrigger.yaml", 2)] {
        let file = read(&format!("charts/outrigger/files/{name}"));
        let margin = " ".repeat(indent);
        let whole: Vec<_> = file.trim().lines().map(|line| format!("{margin}{line}\n")).collect();
        // Helm leaves no blanks in empty lines of block scalars, or it does: both are the file.
        let (found, bare) =
            (whole.concat(), whole.concat().replace(&format!("\n{margin}\n"), "\n\n"));
        let mark = format!("{margin}# the file {name}\n");
        short = short.replace(&found, &mark).replace(&bare, &mark);
    }
    short
}

/// See `UPDATE_GOLDEN` in the message of a failure.
#[test]
fn the_manifests_are_those_that_were_looked_at() {
    if !is_here() {
        return;
    }
    for name in cases() {
        let made = case(&name, &[]).unwrap_or_else(|said| panic!("{name}: {said}"));
        let golden = format!("tests/integration/chart/golden/{name}.yaml");
        hold_in_step(&golden, &without_files(&made), "UPDATE_GOLDEN");
    }
}

#[test]
fn the_board_and_the_alerts_are_the_files_of_the_repository() {
    if !is_here() {
        return;
    }
    let made = case("ingress", &[]).unwrap();
    for name in ["dashboards/outrigger.json", "rules/outrigger.yaml"] {
        let mark = format!("# the file {name}\n");
        assert_eq!(without_files(&made).matches(&mark).count(), 1, "{name}");
    }
    let made = documents(&made);
    let map = made.iter().find(|found| found["data"]["outrigger.json"].is_string()).unwrap();
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let board: Value = serde_json::from_str(text(&map["data"]["outrigger.json"])).unwrap();
    assert!(list(&board["panels"]).len() > 20);
    assert!(!list(&only(&made, "PrometheusRule")["spec"]["groups"]).is_empty());
}

#[test]
fn helm_finds_no_fault_with_the_chart() {
    if !is_here() {
        return;
    }
    for name in cases() {
        let values = format!("charts/outrigger/ci/{name}-values.yaml");
        let said = helm(&["lint", "charts/outrigger", "--strict", "--quiet", "--values", &values])
            .unwrap();
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{name}: {said}");
    }
}

/// K1, K2: an edit of the ConfigMap is seen. Its configuration is one that `outrigger check` accepts, ports and probes are those that it
/// names, and Pod Security `restricted` takes the pods.
#[test]
fn manifests_of_the_chart_hold_together() {
    if !is_here() {
        return;
    }
    for name in cases() {
        let found: Vec<_> = faults(&render(&name, &[]));
        assert_eq!(found, [""; 0], "{name}");
    }
}

#[test]
fn a_packed_chart_makes_the_same() {
    if !is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    helm(&["package", "charts/outrigger", "--destination", folder]).unwrap();
    let packed = format!("{folder}/outrigger-{}.tgz", yaml_version());
    let values = "charts/outrigger/ci/ingress-values.yaml";
    let made = template(&packed, &["--values", values]).unwrap();
    assert_eq!(made, case("ingress", &[]).unwrap());
}

fn yaml_version() -> String {
    let chart: Value = serde_yaml::from_str(&read("charts/outrigger/Chart.yaml")).unwrap();
    text(&chart["version"]).to_owned()
}

/// A checksum on the pods would restart them for every edit, which Outrigger does not need.
#[test]
fn another_configuration_does_not_change_the_pods() {
    if !is_here() {
        return;
    }
    let edit = ["--set", "config.backends[0].algorithm=LeastConnections"];
    let (before, after) = (render("default", &[]), render("default", &edit));
    assert_ne!(only(&before, "Deployment"), &Value::Null);
    assert_eq!(only(&before, "Deployment"), only(&after, "Deployment"));
    let data = |made: &[Value]| {
        let map = of_kind(made, "ConfigMap")
            .into_iter()
            .find(|map| map["metadata"]["name"] == "demo-outrigger");
        map.unwrap()["data"]["config.yaml"].clone()
    };
    assert_ne!(data(&before), data(&after));
    // Unless one wants it.
    let restart = ["--set", "configMap.restartOnChange=true"];
    let (before, after) =
        (render("default", &restart), render("default", &[restart, edit].concat()));
    assert_ne!(only(&before, "Deployment"), only(&after, "Deployment"));
}

/// The configuration in the ConfigMap is that of the values, key by key, whatever YAML makes of its numbers and words.
#[test]
fn a_configuration_arrives_as_it_was_written() {
    if !is_here() {
        return;
    }
    let config: Value = serde_yaml::from_str(&read("docs/full.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    std::fs::write(&values, json!({ "config": config }).to_string()).unwrap();
    let made = template(
        "charts/outrigger",
        &["--values", values.to_str().unwrap(), "--set", "mode=sidecar-config"],
    );
    let made = documents(&made.unwrap());
    let maps = of_kind(&made, "ConfigMap");
    // The ConfigMap, and the one that the check before the installation reads.
    assert_eq!(maps.len(), 2);
    for map in maps {
        let arrived: Value = serde_yaml::from_str(text(&map["data"]["config.yaml"])).unwrap();
        assert_eq!(arrived, config);
    }
}

/// K4: whoever is killed before he has drained cuts requests.
#[test]
fn the_time_to_end_is_that_of_the_configuration() {
    if !is_here() {
        return;
    }
    for (delay, timeout, seconds) in [
        ("5s", "30s", 40),
        ("0s", "0s", 5),
        ("0", "1ms", 6),
        ("250ms", "1.5s", 7),
        ("1m30s", "1h", 90 + 3600 + 5),
        (".5s", "500000us", 6),
        ("1s", "1001ms", 8),
        ("100h", "0s", 360_005),
    ] {
        let values =
            format!("config.shutdown.drainDelay={delay},config.shutdown.drainTimeout={timeout}");
        let made = render("default", &["--set-string", &values]);
        let grace = &pods(&made).iter().find(|pod| pod.outrigger().is_some()).unwrap().spec["terminationGracePeriodSeconds"];
        assert_eq!(*grace, seconds, "{delay} + {timeout}");
        assert_eq!(faults(&made), [""; 0], "{delay} + {timeout}");
    }
    let longer = render("default", &["--set", "terminationGracePeriodSeconds=300"]);
    assert_eq!(
        only(&longer, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
        300
    );
}

/// An autoscaler and `helm upgrade` would fight about it.
#[test]
fn there_are_no_replicas_beside_an_autoscaler() {
    if !is_here() {
        return;
    }
    let replicas = |made: &[Value]| only(made, "Deployment")["spec"]["replicas"].clone();
    assert_eq!(replicas(&render("default", &[])), 2);
    let scaled = render("default", &["--set", "autoscaling.enabled=true"]);
    assert!(replicas(&scaled).is_null());
    let target = &only(&scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!(target["name"], only(&scaled, "Deployment")["metadata"]["name"]);
}

#[test]
fn a_single_replica_does_not_block_the_draining_of_its_node() {
    if !is_here() {
        return;
    }
    for (values, budgets) in [
        ("replicas=1", 0),
        ("replicas=2", 1),
        ("replicas=5,podDisruptionBudget.enabled=false", 0),
        ("replicas=1,autoscaling.enabled=true,autoscaling.minReplicas=2", 1),
        ("replicas=5,autoscaling.enabled=true,autoscaling.minReplicas=1", 0),
        ("kind=DaemonSet", 0),
    ] {
        let made = render("default", &["--set", values]);
        assert_eq!(of_kind(&made, "PodDisruptionBudget").len(), budgets, "{values}");
    }
}

/// A new pod would wait for the port of the old one, and the old one for the new one to be ready.
#[test]
fn pods_with_ports_of_their_node_go_before_others_come() {
    if !is_here() {
        return;
    }
    for (kind, key) in [("DaemonSet", "updateStrategy"), ("Deployment", "strategy")] {
        let kind_is = format!("kind={kind}");
        let strategy = |more: &str| {
            let made = render("default", &["--set", &kind_is, "--set", more]);
            only(&made, kind)["spec"][key]["rollingUpdate"].clone()
        };
        let on_node = strategy("hostPorts.http=80");
        assert_eq!(on_node, json!({ "maxSurge": 0, "maxUnavailable": 1 }), "{kind}");
        assert_eq!(strategy("replicas=2")["maxUnavailable"], 0, "{kind}");
    }
}

#[test]
fn rights_are_given_for_what_the_configuration_needs() {
    if !is_here() {
        return;
    }
    let token = |made: &[Value]| {
        only(made, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"].clone()
    };
    let can_follow = |role: &Value| {
        list(&role["rules"]).iter().any(|rule| rule["resources"] == json!(["endpointslices"]))
    };
    let none = render("default", &["--set", "rbac.events=false"]);
    assert!(of_kind(&none, "Role").is_empty() && of_kind(&none, "ClusterRole").is_empty());
    assert_eq!(token(&none), false);

    let events = render("default", &[]);
    assert!(!can_follow(only(&events, "Role")));
    assert_eq!(token(&events), true);
    // Whoever makes the Roles himself.
    let without = render("default", &["--set", "rbac.create=false"]);
    assert!(of_kind(&without, "Role").is_empty() && token(&without) == true);

    let backend = |service: Value| json!({ "name": "a", "service": service });
    let backends = json!([
        backend(json!({ "namespace": "shop", "name": "a", "port": 80 })),
        backend(json!({ "namespace": "shop", "name": "b", "port": 80 })),
        backend(json!({ "namespace": "${POD_NAMESPACE}", "name": "c", "port": 80 })),
        backend(json!({ "namespace": "${OTHER}", "name": "d", "port": 80 })),
        backend(json!({ "namespace": "blog", "name": "e", "port": 80, "mode": "ClusterIP" })),
    ]);
    let named = format!("config.backends={backends}");
    let named = render("default", &["--set-json", &named]);
    let roles = of_kind(&named, "Role");
    let namespaces: Vec<_> = roles
        .iter()
        .filter(|role| can_follow(role))
        .map(|role| &role["metadata"]["namespace"])
        .collect();
    assert_eq!(namespaces, ["shop", "shop-system"]);
    // Elsewhere, a release of the same name in another namespace has one, too.
    let names: Vec<_> = roles.iter().map(|role| &role["metadata"]["name"]).collect();
    assert_eq!(names, ["shop-system-demo-outrigger", "demo-outrigger"]);
    let bound: Vec<_> = of_kind(&named, "RoleBinding")
        .iter()
        .map(|found| found["roleRef"]["name"].clone())
        .collect();
    assert_eq!(bound, ["shop-system-demo-outrigger", "demo-outrigger"]);
    for binding in of_kind(&named, "RoleBinding") {
        assert_eq!(binding["subjects"][0]["namespace"], "shop-system");
        assert_eq!(
            binding["subjects"][0]["name"],
            only(&named, "ServiceAccount")["metadata"]["name"]
        );
    }
    assert!(of_kind(&named, "ClusterRole").is_empty());

    let cluster = render("cluster-wide", &[]);
    assert!(can_follow(only(&cluster, "ClusterRole")));
    // The one ConfigMap by the API.
    let rules = &only(&cluster, "Role")["rules"];
    assert_eq!(rules[0]["resourceNames"], json!(["demo-gateway"]));
    assert!(!can_follow(only(&cluster, "Role")) && list(rules).len() == 1);
    // Nobody may write anything but Events, unless the values say so; nobody may read Secrets.
    for name in cases() {
        for role in ["Role", "ClusterRole"] {
            for role in of_kind(&render(&name, &["--set", "rbac.podAnnotation=false"]), role) {
                for rule in list(&role["rules"]) {
                    let writes = list(&rule["verbs"])
                        .iter()
                        .any(|verb| !["get", "list", "watch"].contains(&text(verb)));
                    assert!(!writes || rule["resources"] == json!(["events"]), "{name}: {rule}");
                    assert!(
                        !rule.to_string().contains("secrets") && !rule.to_string().contains('*')
                    );
                }
            }
        }
    }
}

/// One line in the pod of another chart. K5: a Job with it completes.
#[test]
fn another_chart_takes_the_sidecar_with_one_line() {
    if !is_here() {
        return;
    }
    let folder = shop();
    let shop = folder.path().to_str().unwrap();
    let made = template(shop, &[]).unwrap_or_else(|said| panic!("{said}"));
    hold_in_step("tests/integration/chart/golden/shop.yaml", &made, "UPDATE_GOLDEN");
    let made = documents(&made);
    assert_eq!(faults(&made), [""; 0]);
    assert_eq!(pods(&made).iter().filter(|pod| pod.has_sidecar()).count(), 2);
    // What the dependency brings of its own is the ConfigMap, and its check before the installation.
    assert!(of_kind(&made, "Service").iter().all(|found| found["metadata"]["name"] == "shop"));
    assert_eq!(of_kind(&made, "Deployment").len(), 1);
    let lint = helm(&["lint", shop, "--strict", "--quiet"]).unwrap();
    assert!(!lint.contains("[WARNING]") && !lint.contains("[ERROR]"), "{lint}");
}

/// The files of a Secret are for those who read them: for our group in pods of our own, for all of a pod whose group is not ours to choose.
#[test]
fn a_sidecar_can_read_its_certificates_whatever_groups_its_pod_has() {
    if !is_here() {
        return;
    }
    let folder = shop();
    let shop = folder.path().to_str().unwrap();
    let mode_of = |made: &[Value]| {
        let deployment = only(made, "Deployment");
        let volumes = list(&deployment["spec"]["template"]["spec"]["volumes"]);
        let volume = volumes.iter().find(|volume| volume["secret"]["secretName"] == "shop-tls");
        volume.unwrap()["secret"]["defaultMode"].clone()
    };
    let in_shop =
        documents(&template(shop, &["--set", "outrigger.tls.secrets={shop-tls}"]).unwrap());
    assert!(mode_of(&in_shop).is_null());
    assert!(!mode_of(&render("default", &["--set", "tls.secrets={shop-tls}"])).is_null());
    let without = ["--set", "tls.secrets={shop-tls},podSecurityContext.fsGroup=null"];
    assert!(mode_of(&render("default", &without)).is_null());
}

/// Words and numbers of YAML are names all the same.
#[test]
fn names_that_look_like_something_else_stay_names() {
    if !is_here() {
        return;
    }
    let listeners = json!([
        { "name": "on", "address": "0.0.0.0:8080" },
        { "name": "1e3", "address": "0.0.0.0:8081" },
    ]);
    let made = render(
        "ingress",
        &[
            "--namespace",
            "123",
            "--set",
            "nameOverride=on,service.ports=null,config.routes=null",
            "--set-json",
            &format!("config.listeners={listeners}"),
        ],
    );
    for document in &made {
        let metadata = &document["metadata"];
        // The further manifest is the user's.
        let is_extra = text(&metadata["name"]).ends_with("-extra");
        assert!(is_extra || metadata["namespace"].is_string(), "{metadata}");
        let labels = metadata["labels"].as_object().into_iter().flatten();
        assert!(labels.into_iter().all(|(_, value)| value.is_string()), "{metadata}");
    }
    let container = &only(&made, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let names: Vec<_> = list(&container["ports"]).iter().map(|port| &port["name"]).collect();
    assert_eq!(names, ["on", "1e3", "probes"]);
    let allowed = &only(&made, "NetworkPolicy")["spec"]["ingress"][0]["ports"];
    assert_eq!((&allowed[0]["port"], &allowed[1]["port"]), (&json!("on"), &json!("1e3")));
}

/// An account that is there already may have the secrets for the registry; one of the chart is made only after the check.
#[test]
fn the_check_before_the_installation_has_the_account_that_there_is() {
    if !is_here() {
        return;
    }
    let account = |name: &str| {
        let made = render(name, &[]);
        only(&made, "Job")["spec"]["template"]["spec"]["serviceAccountName"].clone()
    };
    assert_eq!(account("services"), "existing");
    assert!(account("default").is_null());
}

/// A chart of somebody else, with ours in it.
fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&path("tests/integration/chart/shop"), folder.path());
    copy(&path("charts/outrigger"), &folder.path().join("charts/outrigger"));
    folder
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
