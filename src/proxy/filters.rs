//! What a route does to requests and responses that pass: other header fields, another path.

use crate::model::{HeaderChanges, PathRewrite};
use http::{HeaderMap, HeaderName};

/// Makes `changes` in a response's fields.
pub fn change(headers: &mut HeaderMap, changes: &HeaderChanges) {
    for name in &changes.remove {
        headers.remove(name);
    }
    for (name, value) in &changes.set {
        headers.insert(name, value.clone());
    }
    for (name, value) in &changes.add {
        headers.append(name, value.clone());
    }
}

/// Whether `changes` take the fields of this name away, be it for others of that name.
///
/// Many application servers read `x_user` and `x-user` as one (RFC 3875, section 4.1.18: both are `HTTP_X_USER`), so a client
/// must not get past a change by the other spelling.
pub fn takes_away(changes: &HeaderChanges, name: &HeaderName) -> bool {
    let set = changes.set.iter().map(|(set, _)| set);
    changes.remove.iter().chain(set).any(|changed| is_same_variable(changed, name))
}

/// Whether two fields become the same variable where `_` is written for `-`.
pub fn is_same_variable(one: &HeaderName, other: &HeaderName) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let (one, other) = (one.as_str().bytes(), other.as_str().bytes());
    one.len() == other.len() && one.map(dashed).eq(other.map(dashed))
}

/// The path that `rewrite` makes of `path`, of which a prefix of `prefix` bytes was matched. A path that was not matched by
/// a prefix has none to replace.
pub fn rewrite_path(rewrite: &PathRewrite, path: &str, prefix: Option<usize>) -> String {
    match (rewrite, prefix) {
        (PathRewrite::Full(path), _) => path.to_string(),
        (PathRewrite::Prefix(_), None) => path.to_owned(),
        (PathRewrite::Prefix(replacement), Some(length)) => {
            // The slash belongs to what follows: of `/` nothing is replaced, and `/` puts nothing before.
            let rest = path[..length]
                .strip_suffix('/')
                .map_or(&path[length..], |before| &path[before.len()..]);
            let path = format!("{}{rest}", replacement.trim_end_matches('/'));
            if path.is_empty() { "/".to_owned() } else { path }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_prefix_is_replaced_on_the_border_of_a_segment() {
        for (prefix, replacement, path, expected) in [
            ("/shop", "/", "/shop/cart", "/cart"),
            ("/shop", "/", "/shop", "/"),
            ("/shop", "/", "/shop/", "/"),
            ("/shop", "/store", "/shop/cart", "/store/cart"),
            ("/shop", "/store", "/shop", "/store"),
            ("/shop", "/store", "/shop/", "/store/"),
            ("/", "/store", "/", "/store/"),
            ("/", "/store", "/cart", "/store/cart"),
            ("/", "/", "/cart", "/cart"),
            ("/shop", "/", "/shop//cart", "//cart"),
        ] {
            let rewrite = PathRewrite::Prefix(replacement.into());
            let length = Some(prefix.len());
            assert_eq!(
                rewrite_path(&rewrite, path, length),
                expected,
                "{prefix} {replacement} {path}"
            );
        }
        assert_eq!(rewrite_path(&PathRewrite::Prefix("/x".into()), "/a", None), "/a");
        assert_eq!(rewrite_path(&PathRewrite::Full("/x".into()), "/a/b", Some(2)), "/x");
    }

    #[test]
    fn fields_are_removed_then_set_then_added() {
        let field = |name: &'static str, value| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let changes = HeaderChanges {
            remove: vec![HeaderName::from_static("a"), HeaderName::from_static("b")],
            set: vec![field("b", "2"), field("c", "3")],
            add: vec![field("a", "4"), field("c", "5"), field("d", "6")],
        };
        let mut headers = HeaderMap::new();
        for (name, value) in
            [field("a", "0"), field("b", "0"), field("c", "0"), field("c", "0"), field("e", "0")]
        {
            headers.append(name, value);
        }
        change(&mut headers, &changes);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}{}", value.to_str().unwrap()))
            .collect();
        left.sort();
        assert_eq!(left, ["a4", "b2", "c3", "c5", "d6", "e0"]);
    }
}
