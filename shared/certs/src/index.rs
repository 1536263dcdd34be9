//! What was issued: the memory of the CA, and what the revocation list is made from.

use std::net::IpAddr;

use ipnet::IpNet;
use portcullis_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{DnsName, Serial, Service, TrustDomain};

/// The index file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) version: Version,
    pub(crate) ca: CaEntry,
    /// Of the last revocation list.
    pub(crate) crl_number: u64,
    /// In the order of issue.
    pub(crate) certificates: Vec<Entry>,
}

/// The form of the file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Version {
    #[serde(rename = "1")]
    One,
}

/// The CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaEntry {
    /// The trust domain of the services' SPIFFE ids.
    pub trust_domain: TrustDomain,
    /// Its serial number.
    pub serial: Serial,
    /// SHA-256 of its certificate, in hexadecimal.
    pub fingerprint: String,
    /// From when on it is good.
    #[serde(with = "moment")]
    pub not_before: Timestamp,
    /// Until when it is good.
    #[serde(with = "moment")]
    pub not_after: Timestamp,
    /// The domains whose hosts it may certify.
    pub permitted_dns: Vec<DnsName>,
    /// The addresses that it may certify.
    pub permitted_ips: Vec<IpNet>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its serial number.
    pub serial: Serial,
    /// Whose it is.
    pub service: Service,
    /// What it is good for.
    pub purpose: Purpose,
    /// The service's name in it.
    pub spiffe_id: String,
    /// The server's host names.
    pub dns: Vec<DnsName>,
    /// The server's addresses.
    pub ips: Vec<IpAddr>,
    /// From when on it is good.
    #[serde(with = "moment")]
    pub not_before: Timestamp,
    /// Until when it is good.
    #[serde(with = "moment")]
    pub not_after: Timestamp,
    /// SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// What a certificate is good for: never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To be called.
    Server,
    /// To call.
    Client,
}

impl Purpose {
    pub(crate) const BOTH: [Self; 2] = [Self::Server, Self::Client];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// When.
    #[serde(with = "moment")]
    pub at: Timestamp,
    /// Why.
    pub reason: crate::RevocationReason,
}

/// What is to be thought of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Good.
    Valid,
    /// Good, with less than a third of its life before it.
    RenewSoon,
    /// Good, and a newer one is there.
    Superseded,
    /// Over.
    Expired,
    /// Revoked.
    Revoked,
}

impl Status {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::RenewSoon => "renew-soon",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Index {
    /// The newest certificate of a service for a purpose.
    pub(crate) fn newest(&self, service: &Service, purpose: Purpose) -> Option<&Entry> {
        self.certificates.iter().rev().find(|e| e.service == *service && e.purpose == purpose)
    }

    pub(crate) fn status(&self, entry: &Entry, now: Timestamp) -> Status {
        let newest = self.newest(&entry.service, entry.purpose).is_some_and(|n| n.serial == entry.serial);
        let life = entry.not_after.as_second() - entry.not_before.as_second();
        let left = entry.not_after.as_second() - now.as_second();
        match entry {
            Entry { revoked: Some(_), .. } => Status::Revoked,
            _ if left <= 0 => Status::Expired,
            _ if !newest => Status::Superseded,
            _ if left < life / 3 => Status::RenewSoon,
            _ => Status::Valid,
        }
    }
}

/// Timestamps as RFC 3339 text.
mod moment {
    use portcullis_base::Timestamp;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("malformed time"))
    }
}
