use std::borrow::Cow;

use portcullis_base::Timestamp;
use serde::Serialize;

use super::{KeyRing, RingChange, RingKey};
use crate::strict_json::{self, Object, Value};
use crate::{Algorithm, Jwk};

impl KeyRing {
    /// The form in which every store keeps a ring: JSON, with the keys as JWKs and times as RFC 3339 text, to the last
    /// digit. `None` for more than 100 keys: retired ones were not destroyed for years. `None` too for more than 100 changes
    /// that are not on record: what cannot be recorded is not done for ever.
    pub fn to_stored(&self) -> Option<String> {
        let keys: Vec<_> = self.keys.iter().map(StoredKey::of).collect();
        let unrecorded: Vec<_> = self.unrecorded.iter().map(StoredChange::of).collect();
        if keys.len() > MAX_KEYS || unrecorded.len() > MAX_UNRECORDED {
            return None;
        }
        serde_json::to_string(&Stored { version: VERSION, keys, unrecorded }).ok()
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
        let unrecorded = match ring.get("unrecorded") {
            None => Vec::new(),
            Some(Value::List(changes)) => changes.iter().map(change_from).collect::<Option<_>>()?,
            Some(_) => return None,
        };
        let members = 2 + usize::from(ring.has("unrecorded"));
        let read = Self { unrecorded, ..Self::new(keys).ok()? };
        (ring.into_members().count() == members).then_some(read)
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

fn change_from(value: &Value<'_>) -> Option<RingChange> {
    let Value::Object(object) = value else { return None };
    let kid = object.text("kid").ok()??.to_owned();
    let (members, change) = match object.text("change").ok()?? {
        PUBLISHED => {
            let algorithm = Algorithm::parse(object.text("alg").ok()??)?;
            let active_from = time(object, "active_from")??;
            (4, RingChange::Published { kid, algorithm, active_from })
        }
        DESTROYED => (2, RingChange::Destroyed { kid }),
        COMPROMISED => (2, RingChange::Compromised { kid }),
        _ => return None,
    };
    (object.clone().into_members().count() == members).then_some(change)
}

/// A time, or none where the member is absent.
fn time(key: &Object<'_>, name: &str) -> Option<Option<Timestamp>> {
    key.text(name).ok()?.map(|text| text.parse().ok()).map_or(Some(None), |time| time.map(Some))
}

#[derive(Serialize)]
struct Stored<'a> {
    version: i64,
    keys: Vec<StoredKey<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unrecorded: Vec<StoredChange<'a>>,
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

#[derive(Serialize)]
struct StoredChange<'a> {
    change: &'static str,
    kid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_from: Option<String>,
}

impl<'a> StoredChange<'a> {
    fn of(change: &'a RingChange) -> Self {
        match change {
            RingChange::Published { kid, algorithm, active_from } => Self {
                change: PUBLISHED,
                kid,
                alg: Some(algorithm.as_str()),
                active_from: Some(active_from.to_string()),
            },
            RingChange::Destroyed { kid } => Self { change: DESTROYED, kid, alg: None, active_from: None },
            RingChange::Compromised { kid } => {
                Self { change: COMPROMISED, kid, alg: None, active_from: None }
            }
        }
    }
}

const PUBLISHED: &str = "published";
const DESTROYED: &str = "destroyed";
const COMPROMISED: &str = "compromised";
const MEMBERS: [&str; 5] = ["public", "published_at", "active_from", "signs_until", "compromised_at"];
const VERSION: i64 = 1;
// Under what `strict_json` takes in a list. A key set holds 32.
const MAX_KEYS: usize = 100;
const MAX_UNRECORDED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalSigner;

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

    /// A ring of a key, and a change of each kind that is not on record.
    fn owing() -> KeyRing {
        let mut ring = KeyRing::new(vec![key(Algorithm::EdDsa)]).unwrap();
        let (kid, algorithm) = ("a".to_owned(), Algorithm::Es256);
        let active_from = "2026-11-22T08:20:00.5Z".parse().unwrap();
        ring.owe_record(&[
            RingChange::Published { kid, algorithm, active_from },
            RingChange::Compromised { kid: "b".to_owned() },
            RingChange::Destroyed { kid: "c".to_owned() },
        ]);
        ring
    }

    #[test]
    fn changes_are_kept_with_the_ring_until_they_are_on_record() {
        let mut ring = KeyRing::from_stored(&owing().to_stored().unwrap()).unwrap();
        assert_eq!(ring.unrecorded(), owing().unrecorded());
        let recorded = [RingChange::Compromised { kid: "b".to_owned() }];
        assert!(ring.forget_recorded(&recorded));
        assert!(!ring.forget_recorded(&recorded), "it was forgotten");
        assert_eq!(ring.unrecorded().len(), 2);
        ring.forget_recorded(owing().unrecorded());
        assert!(!ring.to_stored().unwrap().contains("unrecorded"), "as rings were stored before");
        let change = RingChange::Destroyed { kid: "d".to_owned() };
        ring.owe_record(&vec![change.clone(); 100]);
        assert!(ring.to_stored().is_some());
        ring.owe_record(&[change]);
        assert!(ring.to_stored().is_none(), "what is never recorded comes to an end");
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
        let text = owing().to_stored().unwrap();
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
            ("no changes", "\"unrecorded\":[", "\"unrecorded\":1,\"x\":["),
            ("a change that is none", "\"change\":\"destroyed\"", "\"change\":\"lost\""),
            ("a change of no key", "\"kid\":\"c\"", "\"key\":\"c\""),
            ("a member of a change more", "\"kid\":\"c\"", "\"kid\":\"c\",\"alg\":\"ES256\""),
            ("a change without its algorithm", "\"alg\":\"ES256\"", "\"alg\":\"none\""),
            ("cut", "}]}", "}]"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{label}");
            assert!(KeyRing::from_stored(&changed).is_none(), "{label}");
        }
    }
}
