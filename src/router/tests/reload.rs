use super::*;
use crate::model::Algorithm;
use std::time::Duration;

fn compile(model: &Model, backends: &[Arc<Backend>], previous: &Router) -> Router {
    Router::compile(model, backends, Some(previous), 1)
}

fn to(backend: &str, route: model::Route) -> model::Route {
    model::Route { backends: vec![BackendRef { name: Arc::from(backend), weight: 1 }], ..route }
}

fn two_routes() -> Model {
    model(vec![
        to("a", route("to-a", &["a.example"], vec![path("/")])),
        to("b", route("to-b", &[], vec![path("/"), path("~ /x+")])),
    ])
}

/// R2: what did not change must not be touched.
#[test]
fn a_changed_backend_compiles_its_own_routes_anew_and_no_others() {
    let before = two_routes();
    let old_backends = backends(&before);
    let old = Router::compile(&before, &old_backends, None, 1);
    let mut after = before.clone();
    after.backends[1].algorithm = Algorithm::Random;
    let changed = Backend::compile(&after.backends[1], Some(&old_backends[1]), 1).unwrap();
    let new = compile(&after, &[Arc::clone(&old_backends[0]), changed], &old);
    assert!(Arc::ptr_eq(&old.routes[0], &new.routes[0]));
    assert!(!Arc::ptr_eq(&old.routes[1], &new.routes[1]));
    assert_eq!(new.routes[1].targets[0].backend.model().algorithm, Algorithm::Random);
    assert!(Arc::ptr_eq(&old.tables["http"], &new.tables["http"]));
    assert_taken(&new, &[("a.example/", "to-a"), ("b.example/xx", "to-b")]);
}

#[test]
fn a_changed_policy_of_a_route_is_not_overlooked() {
    let before = two_routes();
    let backends = backends(&before);
    let old = Router::compile(&before, &backends, None, 1);
    let mut after = before.clone();
    after.routes[0].overrides.request_timeout = Some(Some(Duration::from_secs(3)));
    let new = compile(&after, &backends, &old);
    assert_eq!(new.routes[0].targets[0].timeouts.request, Some(Duration::from_secs(3)));
    assert!(Arc::ptr_eq(&old.routes[1], &new.routes[1]));
}

#[test]
fn a_route_that_moved_is_the_same_object_at_its_new_place() {
    let before = two_routes();
    let backends = backends(&before);
    let old = Router::compile(&before, &backends, None, 1);
    let mut after = before.clone();
    after.routes.insert(0, route("new", &["a.example"], vec![path("/new")]));
    let new = compile(&after, &backends, &old);
    assert!(Arc::ptr_eq(&old.routes[0], &new.routes[1]));
    assert!(Arc::ptr_eq(&old.routes[1], &new.routes[2]));
    assert_taken(&new, &[("a.example/new", "new"), ("a.example/", "to-a"), ("h/x", "to-b")]);
}

#[test]
fn listeners_with_the_same_routes_share_one_table() {
    let shared = router(vec![route("all", &[], vec![path("/")])]);
    assert!(Arc::ptr_eq(&shared.tables["http"], &shared.tables["other"]));
    let own = model::Route {
        listeners: vec![Arc::from("other")],
        ..route("own", &[], vec![path("/own")])
    };
    let apart = router(vec![route("all", &[], vec![path("/")]), own]);
    assert!(!Arc::ptr_eq(&apart.tables["http"], &apart.tables["other"]));
}

#[test]
fn a_backend_that_is_not_there_is_no_target() {
    let routed = router(vec![to("unknown", route("x", &[], vec![path("/")]))]);
    assert!(routed.routes[0].targets.is_empty());
}
