//! What certificates and revocation lists say.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use ipnet::IpNet;
use portcullis_base::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CidrSubnet, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    NameConstraints, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use zeroize::Zeroizing;

use super::RevocationReason;
use crate::error::CertsError;
use crate::files;
use crate::index::{CaEntry, Entry, Purpose};
use crate::key::Key;
use crate::pem;

/// A CA that can make no other CA, signs nothing but certificates and revocation lists, and only for names that are ours.
pub(super) fn ca(entry: &CaEntry) -> Result<CertificateParams, CertsError> {
    let dns = entry.permitted_dns.iter().map(|name| GeneralSubtree::DnsName(name.to_string()));
    let ips = entry.permitted_ips.iter().map(subtree);
    let mut params = base(&entry.serial, entry.not_before, entry.not_after);
    params.distinguished_name.push(DnType::OrganizationName, entry.trust_domain.to_string());
    params.distinguished_name.push(DnType::CommonName, "portcullis service CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: dns.chain(ips).collect(), excluded_subtrees: Vec::new() });
    Ok(params)
}

/// A signed certificate, its key, and what the index says of it.
pub(super) struct Leaf {
    pub(super) entry: Entry,
    certificate: Zeroizing<String>,
    key: Zeroizing<String>,
}

impl Leaf {
    /// Makes a key and signs the certificate.
    pub(super) fn sign(entry: Entry, issuer: &Issuer<'static, Key>) -> Result<Self, CertsError> {
        let key = Key::generate()?;
        let certificate = leaf(&entry)?.signed_by(&key, issuer)?;
        Ok(Self {
            entry: Entry { fingerprint: fingerprint(certificate.der()), ..entry },
            certificate: pem::encode(pem::CERTIFICATE, certificate.der()),
            key: key.to_pem()?,
        })
    }

    /// Writes `<purpose>.key` and `<purpose>.crt`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CertsError> {
        let purpose = self.entry.purpose.as_str();
        files::write(&folder.join(format!("{purpose}.key")), self.key.as_bytes())?;
        files::write(&folder.join(format!("{purpose}.crt")), self.certificate.as_bytes())
    }
}

fn leaf(entry: &Entry) -> Result<CertificateParams, CertsError> {
    let mut params = base(&entry.serial, entry.not_before, entry.not_after);
    // Without the dot of `svc.`: OpenSSL takes a name with a dot for a host name, and holds it to the name constraints.
    params.distinguished_name.push(DnType::CommonName, entry.service.short());
    params.subject_alt_names.push(SanType::URI(entry.spiffe_id.as_str().try_into()?));
    for name in &entry.dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(entry.ips.iter().copied().map(SanType::IpAddress));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match entry.purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn base(serial: &crate::Serial, not_before: Timestamp, not_after: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(not_before);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(not_after);
    params
}

/// The list of what is revoked and not over.
pub(super) fn crl(
    entries: &[Entry],
    number: SerialNumber,
    now: Timestamp,
) -> CertificateRevocationListParams {
    let revoked = entries.iter().filter(|entry| entry.not_after > now).filter_map(|entry| {
        let revoked = entry.revoked.as_ref()?;
        Some(RevokedCertParams {
            serial_number: SerialNumber::from_slice(entry.serial.as_bytes()),
            revocation_time: date_time_ymd(1970, 1, 1) + since_epoch(revoked.at),
            reason_code: reason(revoked.reason),
            invalidity_date: None,
        })
    });
    CertificateRevocationListParams {
        this_update: date_time_ymd(1970, 1, 1) + since_epoch(backdated(now)),
        next_update: date_time_ymd(1970, 1, 1) + since_epoch(day_after(now, CRL_DAYS)),
        crl_number: number,
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

/// `Unspecified` is said by saying nothing (RFC 5280 section 5.3.1).
const fn reason(reason: RevocationReason) -> Option<rcgen::RevocationReason> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
        RevocationReason::Superseded => Some(rcgen::RevocationReason::Superseded),
        RevocationReason::CessationOfOperation => Some(rcgen::RevocationReason::CessationOfOperation),
    }
}

/// SHA-256 of a certificate, in hexadecimal.
pub(super) fn fingerprint(der: &[u8]) -> String {
    hex::encode(digest(&SHA256, der))
}

/// So many days later, to the second.
pub(super) fn day_after(at: Timestamp, days: u32) -> Timestamp {
    let seconds = at.as_second().saturating_add(i64::from(days) * DAY);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// A little earlier: clocks of verifiers may be behind ours.
pub(super) fn backdated(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_sub(SKEW)).unwrap_or(at)
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

fn subtree(net: &IpNet) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(net.network(), net.prefix_len()))
}

const DAY: i64 = 24 * 60 * 60;
const SKEW: i64 = 5 * 60;
/// How long a revocation list is good. Every command that issues or revokes signs a new one, and certificates live no
/// longer than this: who renews in time has a fresh list.
const CRL_DAYS: u32 = 90;
