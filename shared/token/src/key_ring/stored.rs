use std::borrow::Cow;

use portcullis_base::Timestamp;
use serde::Serialize;

use super::{KeyRing, RingKey};
use crate::Jwk;
use crate::strict_json::{self, Object, Value};

impl KeyRing {
    /// The form in which every store keeps a ring: JSON, with the keys as JWKs and times as RFC 3339 text, to the last
    /// digit. `None` for more than 100 keys: retired ones were not destroyed for years.
    pub fn to_stored(&self) -> Option<String> {
        let keys: Vec<_> = self.keys.iter().map(StoredKey::of).collect();
        if keys.len() > MAX_KEYS {
            return None;
        }
        serde_json::to_string(&Stored { version: VERSION, keys }).ok()
    }

    /// Reads [`KeyRing::to_stored`]. `None` for anything else, also for a member that this version does not know:
    /// saving the ring again would lose it.
    pub fn from_stored(text: &str) -> Option<Self> {
        let ring = strict_json::parse(text.as_bytes()).ok()?;
        let (Some(Value::Int(VERSION)), Some(Value::List(keys))) = (ring.get("version"), ring.get("keys"))
        else {
            return None;
        };
        let keys = keys.iter().map(key_from).collect::<Option<Vec<_>>>()?;
        Self::new(keys).ok().filter(|_| ring.into_members().count() == 2)
    }
}

fn key_from(value: &Value<'_>) -> Option<RingKey> {
    let Value::Object(key) = value else { return None };
    let Some(Value::Object(public)) = key.get("public") else { return None };
    let known = |(name, _): &(Cow<'_, str>, Value<'_>)| MEMBERS.contains(&name.as_ref());
    key.clone().into_members().all(|member| known(&member)).then_some(())?;
    Some(RingKey {
        public: Jwk::from_object(public).ok()?,
        published_at: time(key, "published_at")??,
        active_from: time(key, "active_from")??,
        signs_until: time(key, "signs_until")?,
        compromised_at: time(key, "compromised_at")?,
    })
}

/// A time, or none where the member is absent.
fn time(key: &Object<'_>, name: &str) -> Option<Option<Timestamp>> {
    key.text(name).ok()?.map(|text| text.parse().ok()).map_or(Some(None), |time| time.map(Some))
}

#[derive(Serialize)]
struct Stored<'a> {
    version: i64,
    keys: Vec<StoredKey<'a>>,
}

#[derive(Serialize)]
struct StoredKey<'a> {
    public: &'a Jwk,
    published_at: String,
    active_from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compromised_at: Option<String>,
}

impl<'a> StoredKey<'a> {
    fn of(key: &'a RingKey) -> Self {
        Self {
            public: &key.public,
            published_at: key.published_at.to_string(),
            active_from: key.active_from.to_string(),
            signs_until: key.signs_until.map(|at| at.to_string()),
            compromised_at: key.compromised_at.map(|at| at.to_string()),
        }
    }
}

const MEMBERS: [&str; 5] = ["public", "published_at", "active_from", "signs_until", "compromised_at"];
const VERSION: i64 = 1;
// Under what `strict_json` takes in a list. A key set holds 32.
const MAX_KEYS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, LocalSigner};

    fn key(algorithm: Algorithm) -> RingKey {
        RingKey {
            public: LocalSigner::generate(algorithm).unwrap().public().clone(),
            published_at: "2026-11-22T08:00:00.123456789Z".parse().unwrap(),
            active_from: "2026-11-22T08:10:00Z".parse().unwrap(),
            signs_until: None,
            compromised_at: None,
        }
    }

    fn said(ring: &KeyRing) -> Vec<String> {
        ring.keys().iter().map(|key| format!("{key:?}")).collect()
    }

    #[test]
    fn ring_is_read_as_it_was_written() {
        let mut keys: Vec<_> = Algorithm::ALL.into_iter().map(key).collect();
        keys[1].signs_until = Some("2026-12-22T08:10:00.000001Z".parse().unwrap());
        keys[2].compromised_at = Some("2026-11-22T09:00:00Z".parse().unwrap());
        for ring in [KeyRing::new(keys).unwrap(), KeyRing::default()] {
            let again = KeyRing::from_stored(&ring.to_stored().unwrap()).unwrap();
            assert_eq!(said(&again), said(&ring));
        }
    }

    #[test]
    fn what_is_no_stored_ring_is_refused() {
        let text = KeyRing::new(vec![key(Algorithm::EdDsa)]).unwrap().to_stored().unwrap();
        assert!(KeyRing::from_stored(&text).is_some());
        for (label, from, to) in [
            ("another version", "\"version\":1", "\"version\":2"),
            ("a member more", "\"version\":1", "\"version\":1,\"x\":1"),
            ("a member of a key more", "\"published_at\"", "\"x\":1,\"published_at\""),
            ("a member twice", "\"version\":1", "\"version\":1,\"version\":1"),
            ("no date", "2026-11-22T08:10:00Z", "tomorrow"),
            ("a date missing", "\"active_from\"", "\"active_until\""),
            ("a key that is none", "\"Ed25519\"", "\"Ed448\""),
            ("a key before it is published", "08:10:00Z", "07:10:00Z"),
            ("no keys", "\"keys\":[{", "\"keys\":{\"a\":["),
            ("cut", "}]}", "}]"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{label}");
            assert!(KeyRing::from_stored(&changed).is_none(), "{label}");
        }
    }
}
