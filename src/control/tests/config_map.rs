//! The configuration is in a ConfigMap that is read by the API.

use super::*;
use crate::kubernetes::ThisPod;
use crate::kubernetes::testing::FakeApi;

const MAPS: &str = "namespaces/edge/configmaps";

const EDGE: &str = "
listeners: [{ name: http, address: '127.0.0.1:1' }]
backends: [{ name: shop, endpoints: ['http://127.0.0.1:9'] }]
";

fn put(api: &FakeApi, text: &str) {
    api.put(MAPS, "lb", json!({ "data": { "config.yaml": text } }));
}

async fn start(api: &FakeApi) -> Running {
    let kubernetes = Connection::plain(api.address());
    let opened = Input::config_map(&kubernetes, "edge/lb".parse().unwrap()).await.unwrap();
    let pod = ThisPod { namespace: "edge".into(), name: "lb-1".into(), uid: None };
    let reporter = Reporter::start(&kubernetes, pod);
    Running::reporting(TempDir::new().unwrap(), opened, &kubernetes, reporter)
}

#[tokio::test]
async fn an_edit_of_the_config_map_is_applied_and_a_mistaken_one_refused_and_known_by_its_place() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, EDGE);
        let running = start(&api).await;
        put(&api, &EDGE.replace("name: shop,", "name: shop, algorithm: Random,"));
        running.until("the edit", |running| running.store.load().generation == 2).await;
        let applied = running.store.load().config_hash.clone();
        put(&api, &EDGE.replace("name: shop,", "name: shop, algorithm: Rondom,"));
        running.until("the refusal", |running| running.refused().is_some()).await;
        assert_eq!(running.store.load().generation, 2);
        assert!(!running.source.load().in_sync());
        let said = running.refused().unwrap();
        assert!(said.contains("unknown algorithm `Rondom`"), "{said}");
        put(&api, &EDGE.replace("name: shop,", "name: shop, algorithm: Random,"));
        running.until("no refusal", |running| running.refused().is_none()).await;
        assert_eq!(running.store.load().config_hash, applied);
        assert_eq!(running.source.load().path, "configmap edge/lb:config.yaml");
    })
    .await;
}

#[tokio::test]
async fn each_edit_is_an_event_with_its_hash_and_the_annotation_is_what_runs() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, EDGE);
        let running = start(&api).await;
        let random = EDGE.replace("name: shop,", "name: shop, algorithm: Random,");
        let broken = EDGE.replace("name: shop,", "name: shop, algorithm: Rondom,");
        let worded = format!("# a comment\n{random}");
        let edits = [
            (&random, "ConfigApplied", "reload: generation 2: backend shop"),
            (&broken, "ConfigRefused", "reload refused; generation 2 goes on serving"),
            (&random, "ConfigApplied", "reload: generation 2 stays"),
            (&worded, "ConfigApplied", "reload: generation 2 stays"),
        ];
        let mut runs = String::new();
        for (text, reason, note) in edits {
            let before = api.written().len();
            put(&api, text);
            let hash = config::hash(text.as_bytes());
            let annotations = usize::from(reason == "ConfigApplied" && runs != hash);
            let is_told = |_: &Running| api.written().len() == before + 1 + annotations;
            running.until("to be told", is_told).await;
            let mut written = api.written().split_off(before);
            // Both are written at the same time.
            written.sort_by_key(|(path, _)| path.contains("/pods/"));
            let event = &written[0].1;
            assert_eq!(event["reason"], reason);
            let expected = format!("configuration {hash}: {note}");
            assert!(event["note"].as_str().unwrap().starts_with(&expected), "{event}");
            if let Some((_, patch)) = written.get(1) {
                assert_eq!(patch["metadata"]["annotations"]["outrigger/config-hash"], hash);
                runs = hash;
            }
            assert_eq!(running.store.load().config_hash, runs);
        }
    })
    .await;
}

#[tokio::test]
async fn a_config_map_that_is_gone_is_told_of_and_what_runs_goes_on_until_it_is_back() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, EDGE);
        let running = start(&api).await;
        api.delete(MAPS, "lb");
        running.until("the refusal", |running| running.refused().is_some()).await;
        let expected = "configmap edge/lb:config.yaml: there is no such ConfigMap";
        assert_eq!(running.refused().as_deref(), Some(expected));
        put(&api, EDGE);
        running.until("no refusal", |running| running.refused().is_none()).await;
        assert_eq!(running.store.load().generation, 1);
        assert!(running.source.load().in_sync());
    })
    .await;
}

#[tokio::test]
async fn an_edit_while_the_api_server_is_away_is_applied_after() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, EDGE);
        let running = start(&api).await;
        api.go_away(true);
        put(&api, &EDGE.replace("name: shop,", "name: shop, algorithm: Random,"));
        let asked = api.requests().len();
        running.until("a try", |_| api.requests().len() > asked).await;
        assert_eq!(running.store.load().generation, 1);
        assert!(running.source.load().in_sync(), "what is known is what runs");
        api.go_away(false);
        running.until("the edit", |running| running.store.load().generation == 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_process_does_not_start_without_its_config_map_or_key() {
    let api = FakeApi::start().await;
    let kubernetes = Connection::plain(api.address());
    let open = async |key: &str| {
        Input::config_map(&kubernetes, key.parse().unwrap()).await.unwrap_err().to_string()
    };
    let expected = "configmap edge/lb:config.yaml: there is no such ConfigMap";
    assert_eq!(open("edge/lb").await, expected);
    put(&api, EDGE);
    let said = open("edge/lb:other").await;
    assert!(said.ends_with("the ConfigMap has no key other; its keys: config.yaml"), "{said}");
}
