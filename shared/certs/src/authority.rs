//! The CA and what it does.

mod template;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use portcullis_base::{Clock, Timestamp};
use rcgen::{Issuer, SerialNumber};
use serde::{Deserialize, Serialize};

use crate::error::CertsError;
use crate::files::{self, NewFolder};
use crate::index::{CaEntry, Entry, Index, Purpose, Revoked, Status, Version};
use crate::key::Key;
use crate::names::{Days, DnsName, Serial, Service, TrustDomain};
use crate::pem;
use template::{Leaf, day_after, fingerprint};

/// A certificate authority in a folder. Commands wait for each other; each leaves a state that the next can go on from.
#[derive(Debug)]
pub struct Authority<C> {
    root: PathBuf,
    clock: C,
}

/// What a new CA is like.
#[derive(Debug, Clone)]
pub struct CaOptions {
    /// The trust domain of the services' SPIFFE ids.
    pub trust_domain: TrustDomain,
    /// Its life in days.
    pub days: u16,
    /// Domains whose hosts it may certify, besides the trust domain and `localhost`.
    pub permitted_dns: Vec<DnsName>,
    /// Addresses that it may certify, besides those of this machine.
    pub permitted_ips: Vec<IpNet>,
}

/// What to revoke.
#[derive(Debug, Clone)]
pub enum Which {
    /// All certificates of a service.
    Service(Service),
    /// One certificate.
    Serial(Serial),
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// Not said.
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// A newer one took its place.
    Superseded,
    /// The service is no more.
    CessationOfOperation,
}

impl<C: Clock> Authority<C> {
    /// The CA of a folder, which may not be there yet.
    pub fn new(root: impl AsRef<Path>, clock: C) -> Self {
        Self { root: root.as_ref().to_owned(), clock }
    }

    /// Makes the CA.
    ///
    /// # Errors
    /// When there is one, or the folder cannot be written.
    pub fn init(&self, options: &CaOptions) -> Result<CaEntry, CertsError> {
        files::make_folders(&self.root)?;
        let _turn = files::lock(&self.root)?;
        let folder = NewFolder::at(&self.folder())?;
        let (key, serial, now) = (Key::generate()?, Serial::random()?, self.clock.now());
        let ca = ca_entry(options, serial, now);
        let certificate = template::ca(&ca)?.self_signed(&key)?;
        let ca = CaEntry { fingerprint: fingerprint(certificate.der()), ..ca };
        let pem = pem::encode(pem::CERTIFICATE, certificate.der());
        let index = Index { version: Version::One, ca: ca.clone(), crl_number: 1, certificates: Vec::new() };
        let issuer = issuer(&pem, key, &self.folder())?;
        files::write(&folder.path().join(KEY), issuer.key().to_pem()?.as_bytes())?;
        files::write(&folder.path().join(CERTIFICATE), pem.as_bytes())?;
        files::write(&folder.path().join(TRUSTSTORE), pem.as_bytes())?;
        files::write(&folder.path().join(CRL), self.crl(&index, &issuer)?.as_bytes())?;
        files::write(&folder.path().join(INDEX), &index.to_json()?)?;
        folder.finish()?;
        Ok(ca)
    }

    /// Issues a server's and a client's certificate to a service that has none. Without any name the server is
    /// `<service>.<trust domain>`.
    ///
    /// # Errors
    /// When the service's folder is there, or the CA may not certify a name.
    pub fn issue(
        &self,
        service: &Service,
        dns: &[DnsName],
        ips: &[IpAddr],
        days: Days,
    ) -> Result<Vec<Entry>, CertsError> {
        let _turn = self.turn()?;
        let (mut index, issuer) = self.open()?;
        let mut dns = dns.to_vec();
        if dns.is_empty() && ips.is_empty() {
            dns.push(format!("{}.{}", service.short(), index.ca.trust_domain).parse()?);
        }
        let folder = NewFolder::at(&self.root.join(service.short()))?;
        let leaves = self.leaves(&index, &issuer, service, &dns, ips, days)?;
        for leaf in &leaves {
            leaf.write(folder.path())?;
        }
        files::write(
            &folder.path().join(CERTIFICATE),
            files::read(&self.folder().join(CERTIFICATE))?.as_bytes(),
        )?;
        let crl = self.record(&mut index, &issuer, &leaves)?;
        files::write(&folder.path().join(CRL), crl.as_bytes())?;
        folder.finish()?;
        self.deliver(&index, &crl)?;
        Ok(leaves.into_iter().map(|leaf| leaf.entry).collect())
    }

    /// Issues new certificates, with new keys and serial numbers and the same names, in place of those in the service's
    /// folder. The old ones stay good until they end or are revoked, so that nothing breaks meanwhile.
    ///
    /// # Errors
    /// When the service has no certificates.
    pub fn renew(&self, service: &Service, days: Days) -> Result<Vec<Entry>, CertsError> {
        let _turn = self.turn()?;
        let (mut index, issuer) = self.open()?;
        let old =
            index.newest(service, Purpose::Server).ok_or_else(|| CertsError::Unknown(service.to_string()))?;
        let (dns, ips) = (old.dns.clone(), old.ips.clone());
        let leaves = self.leaves(&index, &issuer, service, &dns, &ips, days)?;
        // Known before they are used: what is not in the index could not be revoked.
        let crl = self.record(&mut index, &issuer, &leaves)?;
        let folder = self.root.join(service.short());
        for leaf in &leaves {
            // Between key and certificate a reader sees a pair that does not fit, keeps its old one, and looks again.
            leaf.write(&folder)?;
        }
        self.deliver(&index, &crl)?;
        Ok(leaves.into_iter().map(|leaf| leaf.entry).collect())
    }

    /// Revokes certificates, signs a new revocation list and writes it to every folder. So it does where all is revoked
    /// already: an earlier command may have failed before the list was everywhere.
    ///
    /// # Errors
    /// When nothing is known by that name, or all of it is revoked or over; [`CertsError::Undelivered`] when the list could
    /// not be written to every folder.
    pub fn revoke(&self, which: &Which, reason: RevocationReason) -> Result<Vec<Entry>, CertsError> {
        let _turn = self.turn()?;
        let (mut index, issuer) = self.open()?;
        let now = self.clock.now();
        let meant = |entry: &Entry| match which {
            Which::Service(service) => entry.service == *service,
            Which::Serial(serial) => entry.serial == *serial,
        };
        if !index.certificates.iter().any(meant) {
            return Err(CertsError::Unknown(which.to_string()));
        }
        let live = |e: &&mut Entry| meant(e) && e.revoked.is_none() && e.not_after > now;
        let mut revoked = Vec::new();
        for entry in index.certificates.iter_mut().filter(live) {
            entry.revoked = Some(Revoked { at: now, reason });
            revoked.push(entry.clone());
        }
        let crl = self.record(&mut index, &issuer, &[])?;
        self.deliver(&index, &crl)?;
        if revoked.is_empty() {
            return Err(CertsError::AlreadyRevoked(which.to_string()));
        }
        Ok(revoked)
    }

    /// All certificates, in the order of issue, and what is to be thought of them now.
    ///
    /// # Errors
    /// When there is no CA.
    pub fn list(&self) -> Result<Vec<(Entry, Status)>, CertsError> {
        let (index, now) = (self.index()?, self.clock.now());
        let status = |entry: &Entry| index.status(entry, now);
        Ok(index.certificates.iter().map(|entry| (entry.clone(), status(entry))).collect())
    }

    /// The CA itself.
    ///
    /// # Errors
    /// When there is none.
    pub fn ca(&self) -> Result<CaEntry, CertsError> {
        Ok(self.index()?.ca)
    }

    fn leaves(
        &self,
        index: &Index,
        issuer: &Issuer<'static, Key>,
        service: &Service,
        dns: &[DnsName],
        ips: &[IpAddr],
        days: Days,
    ) -> Result<Vec<Leaf>, CertsError> {
        permitted(&index.ca, dns, ips)?;
        let now = self.clock.now();
        let not_after = day_after(now, days.count().into()).min(index.ca.not_after);
        if not_after <= day_after(now, 0) {
            return Err(CertsError::AuthorityExpired);
        }
        let leaf = |purpose| {
            let named = purpose == Purpose::Server;
            let entry = Entry {
                serial: Serial::random()?,
                service: service.clone(),
                purpose,
                spiffe_id: index.ca.trust_domain.spiffe_id(service),
                dns: if named { dns.to_vec() } else { Vec::new() },
                ips: if named { ips.to_vec() } else { Vec::new() },
                not_before: template::backdated(now),
                not_after,
                fingerprint: String::new(),
                revoked: None,
            };
            Leaf::sign(entry, issuer)
        };
        Purpose::BOTH.into_iter().map(leaf).collect()
    }

    /// Writes the index, and signs the revocation list that follows from it.
    fn record(
        &self,
        index: &mut Index,
        issuer: &Issuer<'static, Key>,
        leaves: &[Leaf],
    ) -> Result<String, CertsError> {
        index.crl_number += 1;
        index.certificates.extend(leaves.iter().map(|leaf| leaf.entry.clone()));
        let crl = self.crl(index, issuer)?;
        files::write(&self.folder().join(INDEX), &index.to_json()?)?;
        Ok(crl)
    }

    /// Writes the list wherever it can be written: that one folder fails keeps no other server in the dark.
    fn deliver(&self, index: &Index, crl: &str) -> Result<(), CertsError> {
        let folders = std::iter::once(self.folder()).chain(self.service_folders(index));
        let failed = |folder: PathBuf| files::write(&folder.join(CRL), crl.as_bytes()).err();
        let failures: Vec<_> = folders.filter_map(failed).collect();
        if failures.is_empty() { Ok(()) } else { Err(CertsError::Undelivered(failures)) }
    }

    fn crl(&self, index: &Index, issuer: &Issuer<'static, Key>) -> Result<String, CertsError> {
        let now = self.clock.now();
        let number = SerialNumber::from(index.crl_number);
        let list = template::crl(&index.certificates, number, now).signed_by(issuer)?;
        Ok(pem::encode(pem::CRL, list.der()).to_string())
    }

    fn service_folders(&self, index: &Index) -> Vec<PathBuf> {
        let mut services: Vec<_> = index.certificates.iter().map(|entry| &entry.service).collect();
        services.sort();
        services.dedup();
        let folders = services.into_iter().map(|service| self.root.join(service.short()));
        folders.filter(|folder| fs::metadata(folder).is_ok_and(|m| m.is_dir())).collect()
    }

    fn turn(&self) -> Result<fs::File, CertsError> {
        if fs::metadata(self.folder()).is_err() {
            return Err(CertsError::NoAuthority(self.root.clone()));
        }
        files::lock(&self.root)
    }

    fn open(&self) -> Result<(Index, Issuer<'static, Key>), CertsError> {
        let (index, path) = (self.index()?, self.folder().join(KEY));
        let key = Key::from_pem(&files::read_private(&path)?).ok_or(CertsError::Malformed(path))?;
        let path = self.folder().join(CERTIFICATE);
        Ok((index, issuer(&files::read(&path)?, key, &path)?))
    }

    fn index(&self) -> Result<Index, CertsError> {
        let path = self.folder().join(INDEX);
        if fs::metadata(&path).is_err() {
            return Err(CertsError::NoAuthority(self.root.clone()));
        }
        serde_json::from_str(&files::read(&path)?).map_err(|_| CertsError::Malformed(path))
    }

    fn folder(&self) -> PathBuf {
        self.root.join(FOLDER)
    }
}

impl Index {
    fn to_json(&self) -> Result<Vec<u8>, CertsError> {
        serde_json::to_vec_pretty(self).map_err(|_| CertsError::Crypto)
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Serial(serial) => serial.fmt(f),
        }
    }
}

fn ca_entry(options: &CaOptions, serial: Serial, now: Timestamp) -> CaEntry {
    let mut permitted_dns = vec![options.trust_domain.dns().clone()];
    permitted_dns.extend(LOCALHOST.parse());
    permitted_dns.extend(options.permitted_dns.iter().cloned());
    let mut permitted_ips: Vec<IpNet> = LOOPBACK.iter().filter_map(|net| net.parse().ok()).collect();
    permitted_ips.extend(options.permitted_ips.iter().map(IpNet::trunc));
    CaEntry {
        trust_domain: options.trust_domain.clone(),
        serial,
        fingerprint: String::new(),
        not_before: template::backdated(now),
        not_after: day_after(now, options.days.into()),
        permitted_dns,
        permitted_ips,
    }
}

fn issuer(pem: &str, key: Key, path: &Path) -> Result<Issuer<'static, Key>, CertsError> {
    Issuer::from_ca_cert_pem(pem, key).map_err(|_| CertsError::Malformed(path.to_owned()))
}

fn permitted(ca: &CaEntry, dns: &[DnsName], ips: &[IpAddr]) -> Result<(), CertsError> {
    if let Some(name) = dns.iter().find(|name| !ca.permitted_dns.iter().any(|d| name.is_within(d))) {
        return Err(CertsError::NotPermitted(name.to_string()));
    }
    match ips.iter().find(|ip| !ca.permitted_ips.iter().any(|net| net.contains(*ip))) {
        Some(ip) => Err(CertsError::NotPermitted(ip.to_string())),
        None => Ok(()),
    }
}

const FOLDER: &str = "ca";
const KEY: &str = "ca.key";
const CERTIFICATE: &str = "ca.crt";
const CRL: &str = "crl.pem";
const INDEX: &str = "index.json";
/// What the custom domain of API Gateway takes from S3: the CAs whose clients are let in.
const TRUSTSTORE: &str = "truststore.pem";
const LOCALHOST: &str = "localhost";
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
