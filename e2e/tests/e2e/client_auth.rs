//! Clients that show certificates.

use crate::secure::{HOST, with_tls};
use e2e::{Authority, Connection, Dial, Leaf, Outrigger, Request, Tls, eventually};
use http_body_util::Full;
use testserver::Server;

struct Scene {
    servers: Authority,
    clients: Authority,
    good: Leaf,
    revoked: Leaf,
    server: Server,
    outrigger: Outrigger,
}

fn yaml(server: &Server, client_auth: &str) -> String {
    let tls = format!("certificates: [{{ certFile: a.crt, keyFile: a.key }}]{client_auth}");
    with_tls(&tls, "", &[server.url()], "")
}

impl Scene {
    /// With this `clientAuth`, as flow style after a comma; the authority's file is `ca.crt`, its list `crl.pem`.
    async fn start(client_auth: &str) -> Self {
        let server = Server::builder().start().await.unwrap();
        let (servers, clients) = (Authority::new("of servers"), Authority::new("of clients"));
        let leaf = servers.leaf(&[HOST]);
        let [good, revoked] = ["good.example", "revoked.example"].map(|name| clients.leaf(&[name]));
        let (ca, crl) = (clients.pem(), clients.crl(&[&revoked]));
        let files =
            [("a.crt", &*leaf.cert), ("a.key", &*leaf.key), ("ca.crt", &*ca), ("crl.pem", &*crl)];
        let outrigger = Outrigger::start_with(&files, &yaml(&server, client_auth)).await;
        Self { servers, clients, good, revoked, server, outrigger }
    }

    fn tls(&self) -> Tls {
        Tls::new(&self.servers, HOST)
    }

    fn versions(&self) -> [Tls; 2] {
        [&rustls::version::TLS12, &rustls::version::TLS13]
            .map(|version| Tls::versions(&self.servers, HOST, &[version]))
    }

    /// Whether a request is answered with 200 by this client.
    async fn serves(&self, tls: &Tls) -> bool {
        tls.handshake(self.outrigger.address()).await.is_ok()
    }

    /// What the endpoint receives in `Client-Cert` when this client sends `forged` of its own.
    async fn client_cert(&self, tls: &Tls, http2: bool, forged: &[&str]) -> Vec<String> {
        let dial = Dial::to(self.outrigger.address()).tls(tls);
        let dial = if http2 { dial.http2() } else { dial };
        let mut request = http::Request::get("/echo");
        for name in forged {
            request = request.header(*name, ":Zm9yZ2Vk:");
        }
        let request = request.body(Full::default()).unwrap();
        let answer = Connection::open(dial).await.unwrap().send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let echo: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let fields = echo["headers"].as_array().unwrap().iter();
        let fields = fields.filter(|field| {
            let name = field[0].as_str().unwrap().to_ascii_lowercase();
            name.replace('_', "-").starts_with("client-cert")
        });
        fields.map(|field| field[1].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_required_certificate_must_be_of_the_authority_and_not_revoked() {
    let auth = ", clientAuth: { caFile: ca.crt, mode: Required, crlFile: crl.pem }";
    let scene = Scene::start(auth).await;
    let stranger = Authority::new("of clients").leaf(&["good.example"]);
    let expired = scene.clients.issue(&Request::new(&["good.example"]).days(-10, -1));
    for tls in scene.versions() {
        assert!(scene.serves(&tls.clone().certificate(&scene.good)).await);
        assert!(!scene.serves(&tls.clone()).await, "none");
        assert!(!scene.serves(&tls.clone().certificate(&scene.revoked)).await, "revoked");
        assert!(!scene.serves(&tls.clone().certificate(&stranger)).await, "another authority's");
        assert!(!scene.serves(&tls.certificate(&expired)).await, "expired");
    }
    assert_eq!(scene.server.counts().requests, 2, "an endpoint saw a client that was refused");
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_bad() {
    let auth = ", clientAuth: { caFile: ca.crt, mode: Optional, crlFile: crl.pem }";
    let scene = Scene::start(auth).await;
    let stranger = Authority::new("another").leaf(&["good.example"]);
    for tls in scene.versions() {
        assert!(scene.serves(&tls.clone()).await);
        assert!(scene.serves(&tls.clone().certificate(&scene.good)).await);
        assert!(!scene.serves(&tls.clone().certificate(&scene.revoked)).await, "revoked");
        assert!(!scene.serves(&tls.certificate(&stranger)).await, "another authority's");
    }
    scene.outrigger.stop().await;
}

/// RFC 9440: the endpoint takes the field for the proxy's word, so nobody else may write it.
#[tokio::test]
async fn the_endpoint_is_told_of_the_certificate_and_never_of_a_forged_one() {
    let auth = ", clientAuth: { caFile: ca.crt, mode: Optional, forwardCertificate: true }";
    let scene = Scene::start(auth).await;
    let forged = ["client-cert", "Client-Cert-Chain", "client_cert"];
    let (without, with) = (scene.tls(), scene.tls().certificate(&scene.good));
    for http2 in [false, true] {
        for forged in [&[][..], &forged] {
            let seen = scene.client_cert(&with, http2, forged).await;
            let [field] = &seen[..] else { panic!("{seen:?}") };
            let base64 = field.strip_prefix(':').and_then(|it| it.strip_suffix(':'));
            let base64 = base64.unwrap_or_else(|| panic!("no byte sequence: {field}"));
            let cert: String =
                scene.good.cert.lines().filter(|line| !line.starts_with("---")).collect();
            assert_eq!(base64, cert);
            let seen = scene.client_cert(&without, http2, forged).await;
            assert!(seen.is_empty(), "{seen:?}");
        }
    }
    // Nor where it is not asked for.
    for auth in [", clientAuth: { caFile: ca.crt, mode: Optional }", ""] {
        scene.outrigger.reload(&yaml(&scene.server, auth)).await;
        for http2 in [false, true] {
            let seen = scene.client_cert(&with, http2, &forged).await;
            assert!(seen.is_empty(), "{auth}: {seen:?}");
        }
    }
    scene.outrigger.stop().await;
}

/// A session of before says nothing of what is asked now.
#[tokio::test]
async fn a_session_of_before_is_not_resumed_into_another_client_auth() {
    let scene = Scene::start("").await;
    let other = Authority::new("of other clients");
    std::fs::write(scene.outrigger.directory().join("other.crt"), other.pem()).unwrap();
    let others = other.leaf(&["other.example"]);
    let address = scene.outrigger.address();
    for (version, tls) in scene.versions().into_iter().enumerate() {
        scene
            .outrigger
            .reload(&yaml(&scene.server, "").replace("demo", &format!("d{version}")))
            .await;
        assert!(!tls.handshake(address).await.unwrap().resumed);
        assert!(tls.handshake(address).await.unwrap().resumed);
        let required = ", clientAuth: { caFile: ca.crt }";
        scene.outrigger.reload(&yaml(&scene.server, required)).await;
        assert!(tls.handshake(address).await.is_err(), "a session got in without a certificate");

        let tls = tls.certificate(&scene.good);
        assert!(!tls.handshake(address).await.unwrap().resumed);
        assert!(tls.handshake(address).await.unwrap().resumed);
        let edited = required.replace("ca.crt", "other.crt");
        scene.outrigger.reload(&yaml(&scene.server, &edited)).await;
        assert!(tls.handshake(address).await.is_err(), "a session of another authority got in");
        assert!(scene.serves(&scene.tls().certificate(&others)).await);
    }
    scene.outrigger.stop().await;
}

/// A list of revoked certificates is a file like any other: what it comes to say counts for new handshakes, sessions that
/// could be resumed included.
#[tokio::test]
async fn a_certificate_that_comes_to_be_revoked_is_refused_from_then_on() {
    let auth = ", clientAuth: { caFile: ca.crt, crlFile: crl.pem }";
    let scene = Scene::start(auth).await;
    let tls = scene.tls().certificate(&scene.good);
    assert!(scene.serves(&tls).await);
    assert!(scene.serves(&scene.tls().certificate(&scene.good)).await);
    let crl = scene.clients.crl(&[&scene.good]);
    e2e::Put::Rename.put(scene.outrigger.directory(), &[("crl.pem", &crl)]);
    let refused = async || (!scene.serves(&tls).await).then_some(());
    eventually("the certificate to be refused", refused).await;
    assert!(!scene.serves(&scene.tls().certificate(&scene.good)).await);
    let lifted = scene.clients.crl(&[]);
    e2e::Put::Rename.put(scene.outrigger.directory(), &[("crl.pem", &lifted)]);
    let served = async || scene.serves(&tls).await.then_some(());
    eventually("the certificate to be good again", served).await;
    scene.outrigger.stop().await;
}
