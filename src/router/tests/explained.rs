use super::*;

#[test]
fn every_match_says_what_speaks_against_it_and_the_winner_what_speaks_for_it() {
    let header = with_header(path("/shop"), "x-user", exactly("anna"));
    let everything = with_query(
        with_header(with_method(path("= /cart"), Method::POST), "x-b", ValueMatch::Present),
        "q",
        exactly("1"),
    );
    let router = router(vec![
        route("wild", &["*.shop.example"], vec![path("/"), header.clone()]),
        route("elsewhere", &["other.example"], vec![everything.clone()]),
        route("exact", &["a.shop.example"], vec![path("/shop")]),
    ]);
    let request = Request::get("A.shop.example.:80/shop/x?q=2").header("x-user", "otto");
    let explained = router.explain(LISTENER, &request.asked());
    assert_eq!(explained.host, "a.shop.example");
    let considered: Vec<_> = explained
        .considered
        .iter()
        .map(|one| (&*one.route.model.name, one.at, one.wanted(), one.verdict.clone()))
        .collect();
    let rank = |host, path| Rank { host, path, method: false, headers: 0, query: 0 };
    let everywhere = vec![
        Mismatch::Host,
        Mismatch::Path,
        Mismatch::Method,
        Mismatch::Header(&everything.headers[0]),
        Mismatch::Query(&everything.query[0]),
    ];
    let expected = [
        ("wild", 0, &path("/"), Ok(rank(HostRank::Wildcard(13), PathRank::Prefix(1)))),
        ("wild", 1, &header, Err(vec![Mismatch::Header(&header.headers[0])])),
        ("elsewhere", 0, &everything, Err(everywhere)),
        ("exact", 0, &path("/shop"), Ok(rank(HostRank::Exact, PathRank::Prefix(5)))),
    ];
    assert_eq!(considered, expected);
    let winner = Winner { position: 3, over: Some((0, Criterion::Host)) };
    assert_eq!(explained.winner, Some(winner));
}

#[test]
fn the_first_difference_in_rank_is_what_decided() {
    let plain = || path("/a");
    let present = || ValueMatch::Present;
    let cases = [
        (plain(), path("/"), Criterion::Path),
        (with_method(plain(), Method::GET), plain(), Criterion::Method),
        (with_header(plain(), "x-a", present()), plain(), Criterion::Headers),
        (with_query(plain(), "q", present()), plain(), Criterion::Query),
        (plain(), plain(), Criterion::Order),
    ];
    for (better, worse, criterion) in cases {
        let routes = vec![
            route("better", &[], vec![better]),
            route("worse", &[], vec![worse.clone()]),
            route("equally bad", &[], vec![worse]),
        ];
        let request = Request::get("h/a?q").header("x-a", "1");
        let router = router(routes);
        let winner = router.explain(LISTENER, &request.asked()).winner;
        assert_eq!(winner, Some(Winner { position: 0, over: Some((1, criterion)) }));
    }
}

#[test]
fn where_nothing_fits_nothing_wins() {
    let router = router(vec![route("x", &[], vec![path("/x")])]);
    let request = Request::get("h/y");
    let explained = router.explain(LISTENER, &request.asked());
    assert_eq!(explained.considered[0].verdict, Err(vec![Mismatch::Path]));
    assert_eq!(explained.winner, None);
    assert!(router.explain("unknown", &request.asked()).considered.is_empty());
}
