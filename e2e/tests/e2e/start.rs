//! A process that cannot start, or not with all that it was told, says what to do about it.

use crate::edit::serves;
use e2e::free_port;
use e2e::{Ended, Outrigger, PORTS, binary, eventually};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::process::Command;

/// A configuration whose listener has this address.
fn listening(address: SocketAddr) -> String {
    let listener = format!("name: http, address: \"{address}\"");
    format!(
        "{}backends: [{{ name: demo, endpoints: [http://127.0.0.1:1] }}]\n",
        PORTS.replace("name: http, address: 127.0.0.1:0", &listener)
    )
}

async fn refused(yaml: &str) -> Ended {
    let ended = Outrigger::try_launch(yaml).await.expect_err("it must not start");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    ended
}

/// Two that set SO_REUSEPORT share a port without a word, and each gets half of the connections.
#[tokio::test]
async fn a_port_that_another_process_would_share_is_refused() {
    let holder = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    holder.set_reuse_port(true).unwrap();
    holder.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    holder.listen(16).unwrap();
    let address = holder.local_addr().unwrap().as_socket().unwrap();
    let ended = refused(&listening(address)).await;
    let wanted = format!(
        "config.yaml: listener http (listeners[].address): cannot listen on {address}: the port is in use by "
    );
    assert!(ended.log.contains(&wanted), "{}", ended.log);
    let advice =
        format!("(pid {}); stop that, or choose another address or port", std::process::id());
    assert!(ended.log.contains(&advice), "{}", ended.log);
}

#[tokio::test]
async fn a_privileged_port_says_which_are_not_and_what_would_allow_it() {
    let first: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024);
    if first <= 1 {
        eprintln!("SKIPPED: no port is privileged here (net.ipv4.ip_unprivileged_port_start)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, listening(([127, 0, 0, 1], 1).into())).unwrap();
    let mut command = match rustix::process::getuid().is_root() {
        false => Command::new(binary()),
        // Root without the one capability that counts.
        true => {
            let mut command = Command::new("setpriv");
            let drop = ["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"];
            command.args(drop).arg("--").arg(binary());
            command
        }
    };
    let output = match command.arg("run").arg("--config").arg(&path).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(
                std::env::var_os("REQUIRE_TOOLS").is_none_or(|value| value != "1"),
                "setpriv (util-linux) is wanted: {error}"
            );
            eprintln!("SKIPPED: tests run as root, and setpriv cannot be run: {error}");
            return;
        }
    };
    let said = String::from_utf8(output.stderr).unwrap();
    if said.starts_with("setpriv:") {
        eprintln!("SKIPPED: tests run as root, and may not drop capabilities: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = format!(
        "{}: listener http (listeners[].address): cannot listen on 127.0.0.1:1: no permission; \
         ports below {first} are privileged here. Use one from {first} up, give the process the capability \
         CAP_NET_BIND_SERVICE, or lower net.ipv4.ip_unprivileged_port_start",
        path.display()
    );
    assert!(said.contains(&wanted), "{wanted} is missing in:\n{said}");
}

#[test]
fn a_missing_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.yaml");
    let output = Command::new(binary()).arg("run").arg("--config").arg(&path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("{} does not exist\n", path.display())), "{said}");
    assert!(
        said.contains("name another with --config FILE, or let `outrigger demo` write a first one"),
        "{said}"
    );
}

/// It never keeps a process from starting: names come and go.
#[tokio::test]
async fn an_endpoint_that_does_not_resolve_says_what_to_do_and_the_others_serve() {
    let server = testserver::Server::builder().start().await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let yaml = listening(address)
        .replace("http://127.0.0.1:1", &format!("http://nowhere.invalid:81, {}", server.url()));
    let outrigger = Outrigger::start(&yaml).await;
    let line = outrigger
        .logged("endpoint http://nowhere.invalid:81 of backend demo: nowhere.invalid does not resolve: ")
        .await;
    assert!(line.contains("WARN"), "{line}");
    let advice = "; check its spelling, and the name servers and search domains in /etc/resolv.conf (`getent hosts NAME` \
        asks them); a Service of another Kubernetes namespace is called NAME.NAMESPACE";
    assert!(line.ends_with(advice), "{line}");
    let status = outrigger.status().await;
    let told = status.backend("demo").endpoint("http://nowhere.invalid:81");
    assert!(told.resolve_error.is_some() && !told.eligible, "{told:?}");
    eventually("an answer", async || {
        serves(address).await;
        Some(())
    })
    .await;
    outrigger.stop().await;
}
