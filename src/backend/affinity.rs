//! Session affinity: a client stays with the endpoint that it was given first.
//!
//! Its cookie holds a token, made of the names of backend and endpoint alone: it is the same on every replica and after every
//! restart, and it does not show an address. It is a hash, not a secret and not signed: who knows an endpoint's URL can make its
//! token, and thereby choose that endpoint, but no address that the configuration does not have.

use super::Member;
use crate::balancer::hash_key;
use crate::model::EndpointUrl;

/// The token of an endpoint, as clients hold it.
pub fn token(backend: &str, url: &EndpointUrl) -> u64 {
    // No name has a line break.
    hash_key(format!("{backend}\n{url}").as_bytes())
}

/// A token as the value of a cookie: 16 hexadecimal digits, lower case.
pub fn encode(token: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(token >> (60 - 4 * place)) as usize & 0xf])
}

/// The token that the value of a cookie stands for; `None` when it is none that [`encode`] wrote.
pub fn parse(value: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        _ => None,
    };
    let digits: &[u8; 16] = value.try_into().ok()?;
    digits.iter().try_fold(0, |token, byte| Some(token << 4 | digit(byte)?))
}

/// The members of a backend by token.
#[derive(Debug, Default)]
pub(super) struct Tokens(Box<[(u64, u32)]>);

impl Tokens {
    pub(super) fn new(backend: &str, members: &[Member]) -> Self {
        let of = |(index, member): (usize, &Member)| {
            (token(backend, member.endpoint.url()), index as u32)
        };
        let mut tokens: Box<[_]> = members.iter().enumerate().map(of).collect();
        tokens.sort_unstable();
        Self(tokens)
    }

    /// The index of the member that `token` stands for.
    pub(super) fn member(&self, token: u64) -> Option<usize> {
        let found = self.0.binary_search_by_key(&token, |(token, _)| *token).ok()?;
        Some(self.0[found].1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients hold these for hours: an update must not change them.
    #[test]
    fn a_token_is_the_same_for_good_and_differs_by_backend_and_endpoint() {
        let url = |port| EndpointUrl {
            scheme: crate::model::Scheme::Http,
            host: "10.0.0.1".into(),
            port,
            path: "".into(),
        };
        assert_eq!(token("shop", &url(8080)), 0x2361_2349_0fc9_1ba7);
        let others =
            [token("shop", &url(8081)), token("cart", &url(8080)), token("shop", &url(8080))];
        assert!(others[0] != others[1] && others[0] != others[2] && others[1] != others[2]);
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        for token in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(parse(&encode(token)), Some(token));
        }
        assert_eq!(&encode(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        let not: [&[u8]; 6] = [
            b"",
            b"0123456789abcde",
            b"0123456789abcdef0",
            b"0123456789ABCDEF",
            b"+123456789abcdef",
            b"0123456789abcde\xff",
        ];
        assert!(not.into_iter().all(|value| parse(value).is_none()));
    }
}
