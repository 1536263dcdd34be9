/// Why a token, proof or assertion is not taken. The caller of an API learns none of this; logs and the command line do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token that is taken.
    #[error("token is too long")]
    Oversize,
    /// A JWS in JSON serialization: only the compact one is taken.
    #[error("token is in JSON serialization")]
    JsonSerialization,
    /// Five parts, or `enc`: a JWE.
    #[error("token is encrypted")]
    Encrypted,
    /// Not three parts.
    #[error("token does not have three parts")]
    NotCompact,
    /// A part is not canonical base64url: padding, white space, loose bits.
    #[error("token part is not base64url")]
    Base64,
    /// The header is not a JSON object with the members of RFC 7515.
    #[error("token header is malformed")]
    HeaderMalformed,
    /// A JSON member stands twice.
    #[error("token has a duplicate member")]
    DuplicateMember,
    /// `alg` is `none`, however written.
    #[error("token is unsigned")]
    AlgorithmNone,
    /// `alg` is not one of those pinned for the issuer.
    #[error("token algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// `jwk`, `jku`, `x5u` or `x5c` in the header.
    #[error("token brings its own key")]
    EmbeddedKey,
    /// `crit` names an extension.
    #[error("token has a critical extension")]
    CriticalHeader,
    /// `b64` is not true.
    #[error("token payload is not encoded")]
    UnencodedPayload,
    /// The payload is a token itself.
    #[error("token is nested")]
    Nested,
    /// `typ` is not what the issuer's tokens bear.
    #[error("token type does not match")]
    TypeMismatch,
    /// No `kid`, and the issuer has several keys.
    #[error("token names no key")]
    KeyIdMissing,
    /// The issuer has no such key, or none is known of it.
    #[error("token key is unknown")]
    UnknownKey,
    /// The issuer's keys cannot be had now, or not lately enough to tell: nothing is known of the token, and it may be
    /// good. Whoever shows it should try again.
    #[error("token keys are unavailable")]
    KeysUnavailable,
    /// The key is not one for the token's algorithm.
    #[error("token key does not fit its algorithm")]
    KeyMismatch,
    /// The signature is empty.
    #[error("token signature is empty")]
    SignatureEmpty,
    /// The signature is not the key's over these bytes.
    #[error("token signature does not match")]
    Signature,
    /// The payload is not a JSON object, or over a bound.
    #[error("token claims are malformed")]
    ClaimsMalformed,
    /// A claim that must be there is not.
    #[error("token lacks a claim")]
    ClaimMissing(&'static str),
    /// A claim is of the wrong type, out of range, or holds characters that it must not.
    #[error("token claim is malformed")]
    ClaimMalformed(&'static str),
    /// `iss` is none of the configured issuers.
    #[error("token issuer is unknown")]
    Issuer,
    /// `aud` (or `client_id` where that stands in) is for somebody else.
    #[error("token audience does not match")]
    Audience,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("token was issued in the future")]
    IssuedInFuture,
    /// It lives longer than the issuer's tokens do.
    #[error("token lives too long")]
    LifetimeTooLong,
    /// It is bound to a key or certificate (`cnf`), and the request shows none.
    #[error("token is bound and its proof is missing")]
    BindingMissing,
    /// It is bound to another key or certificate, or a proof came with a token that is bound to none.
    #[error("token is bound to another key")]
    BindingMismatch,
    /// `cnf` names a way of binding that is not known here.
    #[error("token binding is unknown")]
    BindingUnknown,
    /// It was revoked.
    #[error("token was revoked")]
    Revoked,
    /// It was used before, and may be used once.
    #[error("token was replayed")]
    Replayed,
    /// The subject is not who it should be.
    #[error("token subject does not match")]
    Subject,
}

impl TokenError {
    /// A stable word for logs, metrics and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::JsonSerialization => "json-serialization",
            Self::Encrypted => "encrypted",
            Self::NotCompact => "not-compact",
            Self::Base64 => "base64",
            Self::HeaderMalformed => "header-malformed",
            Self::DuplicateMember => "duplicate-member",
            Self::AlgorithmNone => "algorithm-none",
            Self::AlgorithmNotAllowed => "algorithm-not-allowed",
            Self::EmbeddedKey => "embedded-key",
            Self::CriticalHeader => "critical-header",
            Self::UnencodedPayload => "unencoded-payload",
            Self::Nested => "nested",
            Self::TypeMismatch => "type-mismatch",
            Self::KeyIdMissing => "key-id-missing",
            Self::UnknownKey => "unknown-key",
            Self::KeysUnavailable => "keys-unavailable",
            Self::KeyMismatch => "key-mismatch",
            Self::SignatureEmpty => "signature-empty",
            Self::Signature => "signature",
            Self::ClaimsMalformed => "claims-malformed",
            Self::ClaimMissing(_) => "claim-missing",
            Self::ClaimMalformed(_) => "claim-malformed",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::IssuedInFuture => "issued-in-future",
            Self::LifetimeTooLong => "lifetime-too-long",
            Self::BindingMissing => "binding-missing",
            Self::BindingMismatch => "binding-mismatch",
            Self::BindingUnknown => "binding-unknown",
            Self::Revoked => "revoked",
            Self::Replayed => "replayed",
            Self::Subject => "subject",
        }
    }

    /// The claim that it is about, if it is about one.
    pub const fn claim(self) -> Option<&'static str> {
        match self {
            Self::ClaimMissing(name) | Self::ClaimMalformed(name) => Some(name),
            _ => None,
        }
    }
}
