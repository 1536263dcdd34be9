//! The TLS configuration of the moment.

use std::sync::Arc;
use std::time::Duration;

use portcullis_base::Clock;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::verifier::Verifier;
use super::{MtlsError, ServerSettings};
use crate::files::Digest;

/// A configuration, and what the files held from which it was made.
pub(super) struct Current {
    pub(super) digest: Digest,
    pub(super) config: Arc<ServerConfig>,
    pub(super) verifier: Arc<Verifier>,
}

impl Current {
    pub(super) fn load<C: Clock + 'static>(
        settings: &ServerSettings,
        clock: Arc<C>,
    ) -> Result<Self, MtlsError> {
        let (contents, digest) = settings.files().read().map_err(|_| MtlsError::Files)?;
        let (chain, key, ca, crl) = match contents.as_slice() {
            [chain, key, ca] => (chain, key, ca, None),
            [chain, key, ca, crl] => (chain, key, ca, Some(crl)),
            _ => return Err(MtlsError::Files),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(verifier(settings, ca, crl.map(|crl| &***crl), &provider)?);
        let config = server_config(settings, chain, key, Arc::clone(&verifier), provider, clock)?;
        Ok(Self { digest, config: Arc::new(config), verifier })
    }
}

fn server_config<C: Clock + 'static>(
    settings: &ServerSettings,
    chain: &[u8],
    key: &[u8],
    verifier: Arc<Verifier>,
    provider: Arc<CryptoProvider>,
    clock: Arc<C>,
) -> Result<ServerConfig, MtlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| MtlsError::Identity)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| MtlsError::Identity)?;
    let versions = if settings.tls12 { &[&TLS13, &TLS12][..] } else { &[&TLS13][..] };
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(Time(clock)))
        .with_protocol_versions(versions)
        .map_err(|_| MtlsError::Identity)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|_| MtlsError::Identity)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session skips the certificate: nobody would notice that it was revoked or is over.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn verifier(
    settings: &ServerSettings,
    ca: &[u8],
    crl: Option<&[u8]>,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, MtlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        let added = certificate.map(|certificate| roots.add(certificate));
        added.map_err(|_| MtlsError::Authority)?.map_err(|_| MtlsError::Authority)?;
    }
    if roots.is_empty() {
        return Err(MtlsError::Authority);
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(crl) = crl {
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(crl)
            .collect::<Result<_, _>>()
            .map_err(|_| MtlsError::RevocationList)?;
        if lists.is_empty() {
            return Err(MtlsError::RevocationList);
        }
        // A list that is over says nothing of today.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let inner = builder.build().map_err(|_| MtlsError::RevocationList)?;
    Ok(Verifier::new(inner, settings.allowed.clone(), settings.mode))
}

/// A [`Clock`] for rustls.
#[derive(Clone)]
struct Time<C>(Arc<C>);

impl<C: Clock> TimeProvider for Time<C> {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(&*self.0))
    }
}

impl<C> std::fmt::Debug for Time<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

pub(super) fn unix_time(clock: &impl Clock) -> UnixTime {
    let seconds = u64::try_from(clock.now().as_second()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
