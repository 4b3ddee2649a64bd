//! The cookies that a request brings.
//!
//! Source: RFC 6265, section 5.4.

use http::{HeaderMap, header};

/// The value of the first cookie of this name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let values = headers.get_all(header::COOKIE).into_iter();
    let mut cookies = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    cookies.find_map(|cookie| {
        cookie
            .trim_ascii_start()
            .strip_prefix(name.as_bytes())?
            .strip_prefix(b"=")
            .map(<[u8]>::trim_ascii_end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_first_cookie_of_a_name_is_found() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("ab=0; a=1;b=2 ;a=3"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=x=y; d="));
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", Some("x=y")),
            ("d", Some("")),
            ("A", None),
            ("e", None),
        ] {
            assert_eq!(cookie(&headers, name), value.map(str::as_bytes), "{name}");
        }
    }
}
