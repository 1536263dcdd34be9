//! The layout of the entries of identity.

use portcullis_access::{ApiKey, KnownApiKey};
use portcullis_base::Timestamp;
use portcullis_token::{
    Approval, Failures, Family, KeyRing, KnownSecrets, Revocation, RevocationTarget, Scope, SecretHash,
    StoredSecrets, Thumbprint,
};

use crate::codec::{RowReader, RowWriter};

/// A ring and its version. `None` for one that no store takes.
pub(super) fn encode_ring(ring: &KeyRing, version: u64) -> Option<Vec<u8>> {
    Some(writer().u64(version).text(&ring.to_stored()?).finish())
}

/// Reads [`encode_ring`].
pub(super) fn decode_ring(row: &[u8]) -> Option<(KeyRing, u64)> {
    let mut r = RowReader::new(row);
    let (version, text) = (r.u64()?, r.text()?);
    r.end()?;
    Some((KeyRing::from_stored(text)?, version))
}

/// The version alone.
pub(super) fn ring_version(row: &[u8]) -> Option<u64> {
    RowReader::new(row).u64()
}

pub(super) fn encode_family(family: &Family) -> Vec<u8> {
    let row = writer()
        .text(&family.subject)
        .text(&family.client_id)
        .text(&family.scope)
        .i64(family.created_at)
        .i64(family.rotated_at)
        .u32(family.generation)
        .u8(u8::from(family.revoked))
        .u32(u32::try_from(family.current.len()).unwrap_or(u32::MAX));
    family.current.iter().fold(row, |row, fingerprint| row.text(fingerprint)).finish()
}

/// Reads [`encode_family`].
pub(super) fn decode_family(row: &[u8]) -> Option<Family> {
    let mut r = RowReader::new(row);
    let mut family = Family {
        subject: r.text()?.to_owned(),
        client_id: r.text()?.to_owned(),
        scope: r.text()?.to_owned(),
        created_at: r.i64()?,
        rotated_at: r.i64()?,
        generation: r.u32()?,
        revoked: r.bool()?,
        current: Vec::new(),
    };
    for _ in 0..r.u32()? {
        family.current.push(r.text()?.to_owned());
    }
    r.end()?;
    Some(family)
}

pub(super) fn encode_approval(approval: &Approval) -> Vec<u8> {
    writer()
        .text(&approval.id)
        .text(&approval.plan)
        .text(&approval.approver)
        .text(&approval.actor)
        .i64(approval.issued_at)
        .i64(approval.expires_at)
        .finish()
}

/// Reads [`encode_approval`].
pub(super) fn decode_approval(row: &[u8]) -> Option<Approval> {
    let mut r = RowReader::new(row);
    let approval = Approval {
        id: r.text()?.to_owned(),
        plan: r.text()?.to_owned(),
        approver: r.text()?.to_owned(),
        actor: r.text()?.to_owned(),
        issued_at: r.i64()?,
        expires_at: r.i64()?,
    };
    r.end()?;
    Some(approval)
}

pub(super) fn encode_secrets(secrets: &StoredSecrets, version: u64) -> Vec<u8> {
    put_secrets(writer().u64(version), secrets).finish()
}

/// Reads [`encode_secrets`].
pub(super) fn decode_secrets(row: &[u8]) -> Option<KnownSecrets> {
    let mut r = RowReader::new(row);
    let (version, secrets) = (r.u64()?, r.secrets()?);
    r.end()?;
    Some(KnownSecrets { secrets, version })
}

fn put_secrets(row: RowWriter, secrets: &StoredSecrets) -> RowWriter {
    let row = row.text(&secrets.current.to_hex());
    match &secrets.other {
        None => row.u8(0),
        Some((hash, until)) => row.u8(1).text(&hash.to_hex()).i64(until.as_millisecond()),
    }
}

pub(super) fn encode_api_key(key: &ApiKey, version: u64) -> Vec<u8> {
    let row =
        writer().u64(version).text(&key.id).text(&key.owner).text(&key.scopes.to_string()).text(&key.tier);
    let row = put_secrets(row, &key.secrets);
    [key.expires_at, key.revoked_at].iter().fold(row, put_time).finish()
}

/// Reads [`encode_api_key`].
pub(super) fn decode_api_key(row: &[u8]) -> Option<KnownApiKey> {
    let mut r = RowReader::new(row);
    let version = r.u64()?;
    let key = ApiKey {
        id: r.text()?.to_owned(),
        owner: r.text()?.to_owned(),
        scopes: Scope::parse(r.text()?).ok()?,
        tier: r.text()?.to_owned(),
        secrets: r.secrets()?,
        expires_at: r.optional_time()?,
        revoked_at: r.optional_time()?,
    };
    r.end()?;
    Some(KnownApiKey { key, version })
}

fn put_time(row: RowWriter, time: &Option<Timestamp>) -> RowWriter {
    match time {
        None => row.u8(0),
        Some(time) => row.u8(1).i64(time.as_millisecond()),
    }
}

/// Failures, and from when on they are forgotten (milliseconds since the Unix epoch).
pub(super) fn encode_failures(failures: &Failures, forget_at: i64) -> Vec<u8> {
    writer().u32(failures.count).i64(failures.last.as_millisecond()).i64(forget_at).finish()
}

/// Reads [`encode_failures`].
pub(super) fn decode_failures(row: &[u8]) -> Option<(Failures, i64)> {
    let mut r = RowReader::new(row);
    let failures = Failures { count: r.u32()?, last: r.time()? };
    let forget_at = r.i64()?;
    r.end()?;
    Some((failures, forget_at))
}

pub(super) fn encode_revocation(revocation: &Revocation) -> Vec<u8> {
    let row = writer().i64(revocation.until.as_millisecond());
    match &revocation.target {
        RevocationTarget::Token { iss, jti } => row.u8(TOKEN).text(iss).text(jti),
        RevocationTarget::Family { sid } => row.u8(FAMILY).text(sid),
        RevocationTarget::Subject { iss, sub, before } => {
            row.u8(SUBJECT).text(iss).text(sub).i64(before.as_millisecond())
        }
        RevocationTarget::Certificate { thumbprint } => row.u8(CERTIFICATE).text(&thumbprint.to_string()),
    }
    .finish()
}

/// Reads [`encode_revocation`].
pub(super) fn decode_revocation(row: &[u8]) -> Option<Revocation> {
    let mut r = RowReader::new(row);
    let until = r.time()?;
    let kind = r.u8()?;
    let mut text = || r.text().map(str::to_owned);
    let target = match kind {
        TOKEN => RevocationTarget::Token { iss: text()?, jti: text()? },
        FAMILY => RevocationTarget::Family { sid: text()? },
        SUBJECT => RevocationTarget::Subject { iss: text()?, sub: text()?, before: r.time()? },
        CERTIFICATE => RevocationTarget::Certificate { thumbprint: Thumbprint::parse(&text()?)? },
        _ => return None,
    };
    r.end()?;
    Some(Revocation { target, until })
}

fn writer() -> RowWriter {
    RowWriter::with_capacity(256)
}

impl RowReader<'_> {
    fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn secrets(&mut self) -> Option<StoredSecrets> {
        let current = SecretHash::parse(self.text()?)?;
        let other = if self.bool()? { Some((SecretHash::parse(self.text()?)?, self.time()?)) } else { None };
        Some(StoredSecrets { current, other })
    }

    fn optional_time(&mut self) -> Option<Option<Timestamp>> {
        if self.bool()? { self.time().map(Some) } else { Some(None) }
    }

    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.i64()?).ok()
    }
}

const TOKEN: u8 = 0;
const FAMILY: u8 = 1;
const SUBJECT: u8 = 2;
const CERTIFICATE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// Every row is read as it was written, and no shorter or longer one is read at all.
    fn exact<T: std::fmt::Debug>(row: &[u8], decode: impl Fn(&[u8]) -> Option<T>, expected: &T) {
        assert_eq!(format!("{:?}", decode(row).as_ref()), format!("{:?}", Some(expected)));
        for length in 0..row.len() {
            assert!(decode(&row[..length]).is_none(), "cut to {length}");
        }
        assert!(decode(&[row, &[0]].concat()).is_none(), "a byte more");
    }

    #[test]
    fn families() {
        let family = Family {
            subject: "user é".into(),
            client_id: "svc.bff".into(),
            scope: "read:signals".into(),
            created_at: 1,
            rotated_at: -2,
            generation: u32::MAX,
            current: vec!["a".into(), "b".into()],
            revoked: true,
        };
        exact(&encode_family(&family), decode_family, &family);
        let killed = family.killed();
        exact(&encode_family(&killed), decode_family, &killed);
    }

    #[test]
    fn approvals() {
        let approval = Approval {
            id: "i".into(),
            plan: "p".into(),
            approver: "a".into(),
            actor: "b".into(),
            issued_at: 1,
            expires_at: 2,
        };
        exact(&encode_approval(&approval), decode_approval, &approval);
    }

    #[test]
    fn client_secrets() {
        let hash = |digit: &str| SecretHash::parse(&digit.repeat(64)).unwrap();
        for other in [None, Some((hash("b"), at(7)))] {
            let secrets = StoredSecrets { current: hash("a"), other };
            let known = KnownSecrets { secrets: secrets.clone(), version: 9 };
            let row = encode_secrets(&secrets, 9);
            exact(&row, decode_secrets, &known);
            // `Debug` shows no hash.
            assert_eq!(encode_secrets(&decode_secrets(&row).unwrap().secrets, 9), row);
        }
    }

    #[test]
    fn api_keys() {
        let hash = SecretHash::parse(&"a".repeat(64)).unwrap();
        let whole = ApiKey {
            id: "abcdefgh".into(),
            owner: "svc.bff".into(),
            scopes: Scope::parse("read:signals write:insights").unwrap(),
            tier: "standard".into(),
            secrets: StoredSecrets { current: hash.clone(), other: Some((hash, at(7))) },
            expires_at: Some(at(8)),
            revoked_at: Some(at(9)),
        };
        let bare = ApiKey { scopes: Scope::default(), expires_at: None, revoked_at: None, ..whole.clone() };
        for key in [whole, bare] {
            let row = encode_api_key(&key, 3);
            exact(&row, decode_api_key, &KnownApiKey { key, version: 3 });
        }
    }

    #[test]
    fn failures() {
        let failures = Failures { count: 3, last: at(-5) };
        exact(&encode_failures(&failures, 8), decode_failures, &(failures, 8));
    }

    #[test]
    fn revocations() {
        for target in [
            RevocationTarget::Token { iss: "i".into(), jti: "j".into() },
            RevocationTarget::Family { sid: "s".into() },
            RevocationTarget::Subject { iss: "i".into(), sub: "s".into(), before: at(4) },
            RevocationTarget::Certificate { thumbprint: Thumbprint::of_certificate_der(b"c") },
        ] {
            let revocation = Revocation { target, until: at(3) };
            exact(&encode_revocation(&revocation), decode_revocation, &revocation);
        }
        let mut unknown = encode_revocation(&Revocation {
            target: RevocationTarget::Family { sid: "s".into() },
            until: at(3),
        });
        unknown[8] = 4;
        assert_eq!(decode_revocation(&unknown), None);
    }

    #[test]
    fn rings_have_a_version_in_front() {
        let row = encode_ring(&KeyRing::default(), 7).unwrap();
        assert_eq!((ring_version(&row), decode_ring(&row).map(|(_, version)| version)), (Some(7), Some(7)));
        assert!(decode_ring(&row[..row.len() - 1]).is_none());
    }
}
