//! The one hash function, equal on every replica, in every process and in every version.
//!
//! Which endpoint a key belongs to, and what an affinity cookie says, must be the same everywhere and after every restart
//! and update. So the function and its seed are fixed for good, and tests pin them. The seed is no secret: whoever
//! may choose his key may choose his endpoint.

use crate::model::EndpointUrl;
use twox_hash::XxHash3_64;

/// The hash of a request's key: XXH3 (64 bits, seed 0; Yann Collet's xxHash 0.8), well mixed in all bits.
pub fn hash_key(key: &[u8]) -> u64 {
    XxHash3_64::oneshot(key)
}

/// The hash that stands for an endpoint in hash tables: that of its URL as configured, never of its position.
pub(super) fn identity(url: &EndpointUrl) -> u64 {
    hash_key(url.to_string().as_bytes())
}

/// The number at `position` of the endless row of random numbers that begins with `seed`: SplitMix64 (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) fn random_number(seed: u64, position: u64) -> u64 {
    let state = seed.wrapping_add((position + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Were one of these numbers to change, an update would send every client to another endpoint.
    #[test]
    fn the_hash_is_the_same_for_good() {
        // As xxHash itself has them.
        assert_eq!(hash_key(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(hash_key(b"user-42"), 0x50fe_4b21_cf7b_09cd);
        assert_eq!(hash_key(&[b'x'; 300]), 0xa5d1_b460_7dc8_3554);
        let url = EndpointUrl {
            scheme: crate::model::Scheme::Http,
            host: "localhost".into(),
            port: 8081,
            path: "/api".into(),
        };
        assert_eq!(identity(&url), hash_key(b"http://localhost:8081/api"));
        // SplitMix64's own test vectors for seed 0 and 1234567.
        assert_eq!(random_number(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random_number(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(random_number(1_234_567, 1), 3_203_168_211_198_807_973);
    }
}
