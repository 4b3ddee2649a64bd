//! The dashboard: a page for people who want to see what this process does, and why.
//!
//! It is part of the program, needs nothing from elsewhere, and reads the same paths as everybody: `src/admin/dashboard/` has
//! it as it is served.

use axum::Router;
use axum::http::header;
use axum::routing::get;

/// A browser that honours it loads and runs nothing but what is served here, and shows it in nobody's frame. Names that come
/// from a configuration or from a request stay text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page: its path, its type, and its text.
type File = (&'static str, &'static str, &'static str);

const INDEX: File = ("/", HTML, include_str!("dashboard/index.html"));

macro_rules! file {
    ($name:literal, $kind:ident) => {
        (concat!("/dashboard/", $name), $kind, include_str!(concat!("dashboard/", $name)))
    };
}

const FILES: [File; 13] = [
    file!("style.css", CSS),
    file!("icon.svg", SVG),
    file!("main.js", SCRIPT),
    file!("live.js", SCRIPT),
    file!("rates.js", SCRIPT),
    file!("state.js", SCRIPT),
    file!("attention.js", SCRIPT),
    file!("chain.js", SCRIPT),
    file!("backends.js", SCRIPT),
    file!("requests.js", SCRIPT),
    file!("news.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("format.js", SCRIPT),
];

/// The page and all that it loads. What holds for every answer, such as that nobody stores it, is the port's business.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let files = [INDEX].into_iter().chain(FILES);
    files.fold(Router::new(), |router, (path, kind, text)| {
        let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
        router.route(path, get(async move || (headers, text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each counts, for whoever opens it over a bad line at night.
    #[test]
    fn the_page_stays_small() {
        let bytes: usize = [INDEX].iter().chain(&FILES).map(|(_, _, text)| text.len()).sum();
        assert!(bytes < 80_000, "{bytes}");
    }

    /// A browser finds a missing one only when it is too late.
    #[test]
    fn whatever_the_page_loads_is_served_with_it() {
        let served = |path: &str| FILES.iter().any(|(at, ..)| *at == path);
        let attribute = |text: &'static str, start: &'static str| {
            text.split(start).skip(1).filter_map(|rest| rest.split('"').next())
        };
        let mut named = 0;
        for start in [" src=\"", "rel=\"icon\" href=\"", "rel=\"stylesheet\" href=\""] {
            for path in attribute(INDEX.2, start) {
                assert!(served(path), "{path}");
                named += 1;
            }
        }
        for (at, _, text) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            for name in attribute(text, "from \"./") {
                assert!(served(&format!("/dashboard/{name}")), "{at}: {name}");
                named += 1;
            }
        }
        assert!(named > FILES.len(), "{named}");
    }

    /// What the policy would refuse does not stand there in the first place, and text never becomes HTML.
    #[test]
    fn nothing_is_inline_and_nothing_makes_html_of_text() {
        for forbidden in [" style=", " onclick=", "javascript:", "<style", "<script>"] {
            assert!(!INDEX.2.contains(forbidden), "{forbidden}");
        }
        for (at, _, text) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                ".style",
                "DOMParser",
                "Fragment(",
            ] {
                assert!(!text.contains(forbidden), "{at}: {forbidden}");
            }
        }
    }
}
