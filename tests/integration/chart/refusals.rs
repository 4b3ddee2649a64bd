//! Values of which nothing good could come are refused, in words that say what to do.

use super::helm::{case, is_here};

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    if !is_here() {
        return;
    }
    for (name, values, reason) in [
        ("default", "replicaz=2", "replicaz"),
        (
            "default",
            "service.ports.https=443",
            "service.ports.https: `config` has no such listener for others than the pod; it has: http",
        ),
        ("default", "hostPorts.https=443", "hostPorts.https: `config` has no such listener"),
        ("default", "config.probes=null", "config.probes.address: kubelet asks there"),
        (
            "default",
            "config.probes.address=127.0.0.1:9901",
            "config.probes.address: kubelet asks there",
        ),
        (
            "default",
            "config.listeners[0].name=a,config.listeners[0].address=0.0.0.0:${PORT}",
            "the chart has to know the port",
        ),
        ("default", "config.shutdown.drainDelay=${DELAY}", "set terminationGracePeriodSeconds"),
        (
            "default",
            "terminationGracePeriodSeconds=39",
            "too short for drainDelay + drainTimeout + 5 s, which is 40",
        ),
        (
            "default",
            "config.listeners[0].name=probes,config.listeners[0].address=0.0.0.0:8080",
            "both be the port \"probes\"",
        ),
        ("default", "configMap.create=false", "configMap.name"),
        ("daemonset", "updateStrategy.rollingUpdate.maxSurge=1", "maxSurge has to be 0, not 1"),
        (
            "daemonset",
            "kind=Deployment,updateStrategy.type=RollingUpdate",
            "maxSurge has to be 0, not 25%",
        ),
        ("daemonset", "autoscaling.enabled=true", "only a Deployment can be scaled"),
        (
            "default",
            "autoscaling.enabled=true,autoscaling.minReplicas=11",
            "minReplicas is 11, more than maxReplicas, which is 10",
        ),
        (
            "default",
            "autoscaling.enabled=true,resources.requests.cpu=null",
            "a percentage of resources.requests.cpu",
        ),
        (
            "default",
            "config.listeners[0].name=http,config.listeners[0].address=0.0.0.0:8080,config.listeners[1].name=b,config.listeners[1].address=0.0.0.0:80",
            "http and b would both be port 80 of the Service",
        ),
        ("default", "podDisruptionBudget.maxUnavailable=0", "would block the draining of nodes"),
        ("default", "podDisruptionBudget.maxUnavailable=0%", "would block the draining of nodes"),
        ("default", "podDisruptionBudget.minAvailable=2", "2 of 2 replicas would block"),
        ("default", "podDisruptionBudget.minAvailable=100%", "100% of 2 replicas would block"),
        (
            "default",
            "podDisruptionBudget.minAvailable=2,replicas=5,autoscaling.enabled=true",
            "2 of 2 replicas would block",
        ),
        (
            "sidecar-config",
            "metrics.podMonitor.selector=null",
            "metrics.podMonitor.selector: say which pods",
        ),
    ] {
        let said = case(name, &["--set", values]).expect_err(values);
        assert!(said.contains(reason), "{values}: {said}");
    }
}

#[test]
fn what_is_like_it_and_can_work_is_not_refused() {
    if !is_here() {
        return;
    }
    for (name, values) in [
        ("default", "service.ports.http=8080"),
        ("default", "config.shutdown.drainDelay=${DELAY},terminationGracePeriodSeconds=60"),
        ("default", "configMap.create=false,configMap.name=mine"),
        ("default", "global.anything=1,enabled=true"),
        ("default", "podDisruptionBudget.minAvailable=1"),
        (
            "default",
            "autoscaling.enabled=true,resources.requests.cpu=null,autoscaling.metrics[0].type=Pods",
        ),
        ("default", "podDisruptionBudget.minAvailable=2,replicas=3"),
        ("default", "podDisruptionBudget.minAvailable=2,podDisruptionBudget.enabled=false"),
        ("daemonset", "updateStrategy.type=OnDelete"),
        ("daemonset", "updateStrategy.rollingUpdate.maxUnavailable=2"),
        ("daemonset", "updateStrategy.rollingUpdate.maxSurge=0"),
        // What is wrong with the configuration is for `outrigger check` to tell.
        ("default", "config.listeners=7"),
        ("default", "config.listeners[0].name=a,config.listeners[0].address=null"),
        ("default", "config.backends={a,b}"),
        ("default", "config.shutdown=soon"),
        ("default", "config.shutdown.drainDelay=soon"),
    ] {
        case(name, &["--set", values]).unwrap_or_else(|said| panic!("{values}: {said}"));
    }
}

/// A broken configuration is told by the tool itself, before anything is installed, and before a pod starts.
#[test]
fn a_configuration_is_checked_before_it_is_installed() {
    use super::manifest::{documents, list, of_kind, only, text};
    if !is_here() {
        return;
    }
    let made = documents(&case("default", &[]).unwrap());
    let job = only(&made, "Job");
    let hook = |document: &serde_json::Value| {
        text(&document["metadata"]["annotations"]["helm.sh/hook"]).to_owned()
    };
    assert_eq!(hook(job), "pre-install,pre-upgrade");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"][0], "check");
    // It reads the new configuration, not the one that is there.
    let volume = &job["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"];
    let maps = of_kind(&made, "ConfigMap");
    let map = maps.iter().find(|map| map["metadata"]["name"] == *volume).unwrap();
    assert_eq!(hook(map), hook(job));
    // Each pod may check it, too.
    let with = documents(
        &case("default", &["--set", "check.hook=false,check.initContainer=true"]).unwrap(),
    );
    let init = &only(&with, "Deployment")["spec"]["template"]["spec"]["initContainers"];
    assert_eq!(list(init)[0]["args"][0], "check");
    assert!(of_kind(&with, "Job").is_empty());
}
