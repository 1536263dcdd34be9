//! Whose limit it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::digest::{Context, SHA256};

/// Whose limit it is: a source address, an API key or a principal.
///
/// Its text is the key in the store: bounded, unambiguous, and without an API key or a principal's name in it, of
/// which it holds SHA-256 digests.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    V4([u8; 4]),
    /// The first 64 bits: what one subscriber gets at least (RFC 6177), all of whose addresses are one source.
    V6([u8; 8]),
    ApiKey([u8; 32]),
    Principal([u8; 32]),
}

impl LimitKey {
    /// The source address: IPv4 as it is, also when mapped into IPv6 (`::ffff:a.b.c.d`), IPv6 by its /64.
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(Kind::V4(v4.octets())),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self(Kind::V6([a, b, c, d, e, f, g, h]))
            }
        }
    }

    /// An API key as presented. It is digested here; API keys are random, so that the digest gives nothing away.
    pub fn api_key(presented: &[u8]) -> Self {
        Self(Kind::ApiKey(digest(b"portcullis/limit/api-key", &[presented])))
    }

    /// An API key of which the caller has a keyed digest already.
    pub fn api_key_digest(digest: [u8; 32]) -> Self {
        Self(Kind::ApiKey(digest))
    }

    /// A principal: a subject as its issuer names it.
    pub fn principal(issuer: &str, subject: &str) -> Self {
        Self(Kind::Principal(digest(b"portcullis/limit/principal", &[issuer.as_bytes(), subject.as_bytes()])))
    }
}

/// Its part of the key in the store: at most 68 bytes, none of which is `#`, but for the one after the kind.
impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::V4(octets) => write!(f, "ip4#{}", Ipv4Addr::from(*octets)),
            Kind::V6(prefix) => write_hex(f, "ip6#", prefix),
            Kind::ApiKey(digest) => write_hex(f, "key#", digest),
            Kind::Principal(digest) => write_hex(f, "sub#", digest),
        }
    }
}

/// Without a text in between: this is done for every call of the store.
fn write_hex(f: &mut fmt::Formatter<'_>, kind: &str, bytes: &[u8]) -> fmt::Result {
    let mut digits = [0; 64];
    let digits = digits.get_mut(..bytes.len() * 2).ok_or(fmt::Error)?;
    hex::encode_to_slice(bytes, digits).map_err(|_| fmt::Error)?;
    f.write_str(kind)?;
    f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
}

/// The kind alone: an address is personal data.
impl fmt::Debug for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::V4(_) => "LimitKey(ip4)",
            Kind::V6(_) => "LimitKey(ip6)",
            Kind::ApiKey(_) => "LimitKey(key)",
            Kind::Principal(_) => "LimitKey(sub)",
        })
    }
}

/// Each part is preceded by its length, so that no two lists of parts look alike.
fn digest(domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(&domain).chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> LimitKey {
        LimitKey::address(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_grouped_as_their_owners_are() {
        for (text, expected) in [
            ("203.0.113.7", "ip4#203.0.113.7"),
            ("::ffff:203.0.113.7", "ip4#203.0.113.7"),
            ("2001:db8:1:2::", "ip6#20010db800010002"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "ip6#20010db800010002"),
            ("2001:db8:1:3::", "ip6#20010db800010003"),
            ("::1", "ip6#0000000000000000"),
            ("255.255.255.255", "ip4#255.255.255.255"),
        ] {
            assert_eq!(address(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn kinds_and_parts_are_apart() {
        let keys = [
            LimitKey::api_key(b"a"),
            LimitKey::api_key(b"ab"),
            LimitKey::principal("a", "b"),
            LimitKey::principal("ab", ""),
            LimitKey::principal("", "ab"),
            LimitKey::principal("", "a"),
            LimitKey::api_key_digest([0; 32]),
        ];
        assert_eq!(keys.iter().map(ToString::to_string).collect::<HashSet<_>>().len(), keys.len());
    }

    /// Made with Python's hashlib.
    #[test]
    fn digests_stay_the_same_between_versions() {
        assert_eq!(
            LimitKey::api_key(b"pk_live_1").to_string(),
            "key#97304d052e9d7c63215ab745b5c255b86c3350307070a6c02e019635acad1497"
        );
        assert_eq!(
            LimitKey::principal("https://sts.example", "svc.actuator").to_string(),
            "sub#c4a63853ee5410625c85d57ca62347559a7264d17ff5ce7e6f18cf55c4f42bdf"
        );
    }

    #[test]
    fn neither_text_nor_debug_shows_an_api_key_or_a_name() {
        let key = LimitKey::api_key(b"pk_live_secret");
        assert!(!format!("{key} {key:?}").contains("secret"));
        let principal = LimitKey::principal("issuer", "maria");
        assert!(!format!("{principal} {principal:?}").contains("maria"));
        assert!(!format!("{:?}", address("203.0.113.7")).contains("203"));
    }

    proptest! {
        #[test]
        fn text_is_bounded_and_one_to_one(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
            let (ka, kb) = (LimitKey::address(IpAddr::from(a)), LimitKey::address(IpAddr::from(b)));
            prop_assert_eq!(ka == kb, ka.to_string() == kb.to_string());
            for key in [ka, LimitKey::api_key(&a), LimitKey::api_key_digest([a[0]; 32])] {
                let text = key.to_string();
                prop_assert!(text.len() <= 68);
                prop_assert_eq!(text.matches('#').count(), 1);
                prop_assert!(text.is_ascii());
            }
        }
    }
}
