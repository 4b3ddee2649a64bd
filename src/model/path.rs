//! One way to write each path, so that what is matched, what is forwarded and what an endpoint understands are the same.
//!
//! Source: RFC 3986, section 6.2.2: percent-encoded letters, digits, `-`, `.`, `_` and `~` are decoded, the hexadecimal digits
//! of others become upper case, and `.` and `..` segments are resolved. Empty segments (`//`) stay. Refused is what two
//! readers could understand differently: an encoded slash, backslash or NUL, a bare backslash, a malformed escape, and a
//! `..` above the root.

use std::borrow::Cow;

/// The normal form of `path`, which begins with `/` and has no query.
///
/// # Errors
/// What is wrong with it, as a clause whose subject is the path.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if is_normal(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode(path)?;
    remove_dot_segments(&decoded).map(Cow::Owned)
}

/// Whether nothing needs a closer look: most paths.
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        if matches!(byte, b'%' | b'\\') || (after_slash && *byte == b'.') {
            return false;
        }
        after_slash = *byte == b'/';
    }
    true
}

fn decode(path: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(['%', '\\']) {
        out.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'\\' {
            return Err("contains a backslash");
        }
        let digits = rest
            .get(at + 1..at + 3)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let digits = digits.ok_or("contains a `%` without two hexadecimal digits")?;
        match u8::from_str_radix(digits, 16).unwrap_or_default() {
            b'/' => return Err("contains an encoded slash (`%2F`)"),
            b'\\' => return Err("contains an encoded backslash (`%5C`)"),
            0 => return Err("contains an encoded NUL (`%00`)"),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(byte.into())
            }
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Ok(out)
}

/// RFC 3986, section 5.2.4.
fn remove_dot_segments(path: &str) -> Result<String, &'static str> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop().ok_or("leads above the root (`..`)")?;
            }
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            // `/a/.` and `/a/b/..` are `/a/`.
            kept.push("");
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_path_has_one_form() {
        for (path, normal) in [
            ("/", "/"),
            ("/shop/cart", "/shop/cart"),
            ("/%73hop/%7Euser/%41", "/shop/~user/A"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a/./b/../c", "/a/c"),
            ("/a/%2e%2E/c", "/c"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("//a//b/", "//a//b/"),
            ("//..", "/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
        }
    }

    /// S4: a proxy and an application that read a path differently let requests past the proxy's rules.
    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for (path, why) in [
            ("/a%2Fb", "contains an encoded slash (`%2F`)"),
            ("/a%2fb", "contains an encoded slash (`%2F`)"),
            ("/a%5cb", "contains an encoded backslash (`%5C`)"),
            ("/a\\b", "contains a backslash"),
            ("/a%00", "contains an encoded NUL (`%00`)"),
            ("/a%", "contains a `%` without two hexadecimal digits"),
            ("/a%4", "contains a `%` without two hexadecimal digits"),
            ("/a%é1", "contains a `%` without two hexadecimal digits"),
            ("/..", "leads above the root (`..`)"),
            ("/a/../../b", "leads above the root (`..`)"),
            ("/%2e%2e/etc", "leads above the root (`..`)"),
        ] {
            assert_eq!(normalise(path), Err(why), "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own(path in "/[a-c./%2EeFf5C~é\\\\]{0,24}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert!(normal.starts_with('/'));
                prop_assert_eq!(normalise(&normal), Ok(Cow::Borrowed(&*normal)));
                prop_assert!(!normal.split('/').any(|segment| segment == "." || segment == ".."));
            }
        }
    }
}
