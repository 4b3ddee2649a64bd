//! One way to write each path, so that what is matched, what is forwarded and what an endpoint understands are the same.
//!
//! Source: RFC 3986, section 6.2.2: percent-encoded letters, digits, `-`, `.`, `_` and `~` are decoded, what must not stand in a
//! path as it is gets encoded, the hexadecimal digits are in upper case, and `.` and `..` segments are resolved. Refused is
//! what two readers could understand differently: an encoded slash, backslash or NUL, a bare backslash or NUL, a malformed escape,
//! and a `..` above the root.
//!
//! Two things mean the same to some applications and not to others: a reserved character and its escape (`:` and `%3A`, section
//! 2.2), and one slash and several. They are sent on as they came, for a change could break the former, and rules see them as
//! the same ([`NormalPath::compared`]), for a rule that one of the spellings gets past is none.

use std::borrow::Cow;

/// A path in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    sent: Cow<'a, str>,
    /// Where it is not the same.
    compared: Option<String>,
}

impl<'a> NormalPath<'a> {
    /// The target `*` (RFC 9112, section 3.2.4), which is no path.
    pub const ASTERISK: NormalPath<'static> =
        NormalPath { sent: Cow::Borrowed("*"), compared: None };

    /// As it is sent on.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// The same without the other form.
    pub fn into_sent(self) -> Cow<'a, str> {
        self.sent
    }

    /// As rules are compared with it: reserved characters are decoded, and several slashes are one.
    pub fn compared(&self) -> &str {
        self.compared.as_deref().unwrap_or(&self.sent)
    }

    /// How many bytes of what is sent the prefix is whose length is `length` in what is compared, and which ends with a segment.
    pub fn sent_length(&self, length: usize) -> usize {
        let Some(compared) = &self.compared else { return length };
        let mut left = compared[..length].split('/').filter(|segment| !segment.is_empty()).count();
        if left == 0 {
            return length;
        }
        let mut end = 0;
        for segment in self.sent.split_inclusive('/') {
            let name = segment.trim_end_matches('/');
            left -= usize::from(!name.is_empty());
            if left == 0 {
                return end + name.len();
            }
            end += segment.len();
        }
        end
    }

    /// The same, borrowing nothing.
    pub fn into_owned(self) -> NormalPath<'static> {
        NormalPath { sent: Cow::Owned(self.sent.into_owned()), compared: self.compared }
    }
}

/// The normal form of `path`, which begins with `/` and has no query.
///
/// # Errors
/// What is wrong with it, as a clause whose subject is the path.
pub fn normalise(path: &str) -> Result<NormalPath<'_>, &'static str> {
    if is_normal(path.as_bytes()) {
        return Ok(NormalPath { sent: Cow::Borrowed(path), compared: None });
    }
    let sent = remove_dot_segments(&recode(path)?)?;
    let compared = compared(&sent);
    let compared = (compared != sent).then_some(compared);
    Ok(NormalPath { sent: Cow::Owned(sent), compared })
}

/// Whether a byte stands in a path as it is: a slash, or what may be in a segment (RFC 3986, section 3.3).
const fn is_raw(byte: u8) -> bool {
    is_unreserved(byte) || is_reserved(byte) || byte == b'/'
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a byte is reserved, and may be in a segment all the same.
const fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
    )
}

/// By byte, whether it needs no closer look.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = is_raw(byte as u8);
        byte += 1;
    }
    plain
};

/// Whether nothing needs a closer look: most paths.
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        if !PLAIN[usize::from(*byte)] || (after_slash && matches!(byte, b'.' | b'/')) {
            return false;
        }
        after_slash = *byte == b'/';
    }
    true
}

/// Encodes what must not stand as it is, and decodes what should.
fn recode(path: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return Err("contains a backslash"),
            0 => return Err("contains a NUL"),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let escaped = digit(bytes.next()).zip(digit(bytes.next()));
                let (high, low) = escaped.ok_or("contains a `%` without two hexadecimal digits")?;
                match (high << 4 | low) as u8 {
                    b'/' => return Err("contains an encoded slash (`%2F`)"),
                    b'\\' => return Err("contains an encoded backslash (`%5C`)"),
                    0 => return Err("contains an encoded NUL (`%00`)"),
                    byte if is_unreserved(byte) => out.push(byte.into()),
                    byte => escape_into(&mut out, byte),
                }
            }
            byte if is_raw(byte) => out.push(byte.into()),
            byte => escape_into(&mut out, byte),
        }
    }
    Ok(out)
}

fn escape_into(out: &mut String, byte: u8) {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
    out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

/// What rules see of a path that is sent as `sent`.
fn compared(sent: &str) -> String {
    let mut out = String::with_capacity(sent.len());
    let mut rest = sent;
    while let Some(at) = rest.find(['%', '/']) {
        out.push_str(&rest[..at]);
        let escaped =
            rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (next, length) = match (rest.as_bytes()[at], escaped) {
            (b'%', Some(byte)) if is_reserved(byte) => (Some(char::from(byte)), 3),
            (b'/', _) if out.ends_with('/') => (None, 1),
            (byte, _) => (Some(char::from(byte)), 1),
        };
        out.extend(next);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
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

/// What holds for all paths. Tests and `fuzz/` look for those for which it does not.
#[cfg(any(test, fuzzing))]
pub mod property {
    use super::*;

    /// The normal form is its own, leads nowhere else, and whoever writes as rules see it gets the same rule.
    pub fn holds(path: &str) {
        let Ok(normal) = normalise(path) else { return };
        let sent = normal.sent();
        assert!(
            sent.starts_with('/') && sent.bytes().all(|byte| byte.is_ascii_graphic()),
            "{sent}"
        );
        assert_eq!(normalise(sent).as_ref(), Ok(&normal));
        assert!(!sent.split('/').any(|segment| segment == "." || segment == ".."), "{sent}");
        let compared = normalise(normal.compared()).unwrap();
        assert_eq!(compared.sent(), normal.compared());
        assert_eq!(compared.compared(), normal.compared());
        // A prefix of the one is found in the other.
        for end in
            (1..=normal.compared().len()).filter(|end| is_segments_end(normal.compared(), *end))
        {
            let part = &sent[..normal.sent_length(end)];
            let part = normalise(part).unwrap();
            let compared = &normal.compared()[..end];
            assert_eq!(part.compared().trim_end_matches('/'), compared.trim_end_matches('/'));
        }
    }

    fn is_segments_end(path: &str, end: usize) -> bool {
        !path[..end].ends_with('/') && matches!(path.as_bytes().get(end), None | Some(b'/'))
    }
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
            ("/café|{x}\"<>^`[1]\u{7f}", "/caf%C3%A9%7C%7Bx%7D%22%3C%3E%5E%60%5B1%5D%7F"),
            ("/a:b@c;d=e+f", "/a:b@c;d=e+f"),
            ("/a%3ab%40c%3Bd%3de%2B", "/a%3Ab%40c%3Bd%3De%2B"),
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
            assert_eq!(normalise(path).as_ref().map(NormalPath::sent), Ok(normal), "{path}");
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
            ("/a\0", "contains a NUL"),
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

    /// S4: a rule holds for all that an application may take for the same.
    #[test]
    fn rules_see_reserved_characters_decoded_and_several_slashes_as_one() {
        for (path, compared) in [
            ("/v1/users%3Aexport", "/v1/users:export"),
            ("/%21%24%26%27%28%29%2a%2b%2c%3b%3d%3A%40", "/!$&'()*+,;=:@"),
            ("//admin", "/admin"),
            ("///admin//keys///", "/admin/keys/"),
            ("//", "/"),
            ("/%25%3F%23%5B%20%C3%A9", "/%25%3F%23%5B%20%C3%A9"),
            // Decoded once, and not again.
            ("/a%253Ab", "/a%253Ab"),
            ("/a%25%33Ab", "/a%253Ab"),
        ] {
            assert_eq!(normalise(path).unwrap().compared(), compared, "{path}");
        }
    }

    #[test]
    fn a_prefix_that_was_compared_is_found_in_what_is_sent() {
        for (path, compared, sent) in [
            ("/shop/cart", "/shop", "/shop"),
            ("//shop/cart", "/shop", "//shop"),
            ("//shop//a%3ab///c", "/shop/a:b", "//shop//a%3Ab"),
            ("//shop//a%3ab", "/shop/a:b", "//shop//a%3Ab"),
            ("//shop//", "/shop", "//shop"),
            ("//shop", "/", "/"),
        ] {
            let path = normalise(path).unwrap();
            assert!(path.compared().starts_with(compared));
            assert_eq!(&path.sent()[..path.sent_length(compared.len())], sent, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own(path in "/[a-c./%2EeFf5C3:;~é|\\\\\\x00\\x1f ]{0,24}") {
            property::holds(&path);
        }
    }
}
