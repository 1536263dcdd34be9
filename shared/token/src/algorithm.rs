//! The signature algorithms that a token may bear (RFC 7518 section 3.1, RFC 8037).

use std::fmt;

/// An algorithm that the [`crate::Verifier`] can be pinned to and a [`crate::Signer`] can sign with.
///
/// There is no `none` and no HMAC: what does not exist cannot be chosen by a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256; the signature is R and S, 32 bytes each.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The name in a header's `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that exact name: `alg` is case-sensitive (RFC 7515 section 4.1.1). Ed25519 has two: RFC 9864 gives
    /// it its own, and clients sign with that one already.
    pub fn parse(name: &str) -> Option<Self> {
        if name == ED25519 {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|a| a.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// RFC 9864 section 2.2.
const ED25519: &str = "Ed25519";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
        for name in [
            "ed25519", "Ed448", "", "none", "None", "rs256", "RS256 ", "RS384", "HS256", "EDDSA", "RS２56",
            "RS256\0",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
    }
}
