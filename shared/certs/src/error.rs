use std::io;
use std::path::{Path, PathBuf};

use crate::names::NameError;

/// Why a certificate command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// It is there already: nothing is overwritten.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There is no CA in the folder.
    #[error("{}: there is no certificate authority here (portcullis certs init makes one)", .0.display())]
    NoAuthority(PathBuf),
    /// No certificate is known by that name or serial number.
    #[error("no certificate of {0} is known")]
    Unknown(String),
    /// All that was named is revoked already. The list that says so was written to every folder again.
    #[error("{0} is revoked already (the revocation list was written again to every folder)")]
    AlreadyRevoked(String),
    /// The CA may not certify this name: it says so itself, and every verifier would refuse.
    #[error("the certificate authority may not certify {0}")]
    NotPermitted(String),
    /// The CA's own certificate is over, or will be within the day.
    #[error("the certificate authority has expired")]
    AuthorityExpired,
    /// Others may read the CA's key.
    #[error("{}: others may read it (chmod 600)", .0.display())]
    Exposed(PathBuf),
    /// A file does not hold what it should.
    #[error("{}: malformed", .0.display())]
    Malformed(PathBuf),
    /// A name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The crypto library failed.
    #[error("certificate could not be made")]
    Crypto,
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was asked for is done, but the revocation list could not be written to some folders, for these reasons. Servers
    /// that read it there go on with the old one.
    #[error("the revocation list is not everywhere: servers with an old one go on taking what is revoked; mend this and say the command again: {}", all(.0))]
    Undelivered(Vec<CertsError>),
}

fn all(errors: &[CertsError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl CertsError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl From<rcgen::Error> for CertsError {
    fn from(_: rcgen::Error) -> Self {
        Self::Crypto
    }
}

impl From<aws_lc_rs::error::Unspecified> for CertsError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}
