//! Tokens: what they say, who signs them, who may be believed, and when they die.
//!
//! [`LocalSigner`] and [`issue`] make them, [`UnverifiedToken`] reads them, [`Verifier`] alone makes [`VerifiedToken`]s;
//! [`CachedVerifier`] does the same with key sets that it fetches. Keys live in a [`KeyRing`]. Nothing here asks the
//! clock or the network: time is an argument, and the ports are traits.

mod algorithm;
mod approval;
mod base64url;
mod certificate;
mod claims;
mod client_assertion;
mod client_certificate;
mod client_secret;
mod compact;
mod der;
mod dpop;
mod error;
mod jwk;
mod jwks_cache;
mod keeper;
mod key_ring;
mod lockout;
mod refresh;
mod replay;
mod revocation;
mod revocation_follower;
mod ring_jwks;
mod roca;
mod sign;
mod signature_only;
mod strict_json;
mod time;
mod unverified;
mod verify;

pub use algorithm::Algorithm;
pub use approval::{Approval, Approvals};
pub use claims::{Actor, Claims, Confirmation, NumericDate, Scope, ScopeError};
pub use client_assertion::{AssertionPolicy, VerifiedAssertion};
pub use client_certificate::{ClientCertificate, ClientCertificateError};
pub use client_secret::{
    ClientSecretStore, HasherKeyError, KnownSecrets, SecretHash, SecretHasher, SecretMatch, StoredSecrets,
};
pub use dpop::{DPOP_ALGS, FUTURE_SECONDS, ProofError, ProofExpectation, VerifiedProof, verify_proof};
pub use error::TokenError;
pub use jwk::{Jwk, JwkError, Jwks, JwksError, PublicKey, Thumbprint};
pub use jwks_cache::{CachePolicy, CachedVerifier, Decision, JwksSource, JwksSourceError, SetAge};
pub use keeper::{
    EitherKeys, EitherSigner, KeeperError, KeeperSettings, KeyKeeper, KeySealer, KeyStatus, MAX_PRIVATE_KEY,
    SealContext, SealedKeyStore, SealedKeys, SealerError, SigningKeys, SigningKeysError,
};
pub use key_ring::{KeyRing, KeyRingStore, RingAction, RingChange, RingError, RingKey, RingPolicy, Stage};
pub use lockout::{Failures, LockoutPolicy, Lockouts};
pub use refresh::{
    Family, FamilyError, FamilyId, FamilyPolicy, Presented, RefreshFamilies, RefreshToken, RefreshTokenError,
    RefreshTokens,
};
pub use replay::{ReplayWindow, StoreError};
pub use revocation::{
    Revocation, RevocationFull, RevocationList, RevocationPage, RevocationStore, RevocationTarget,
};
pub use revocation_follower::{FollowError, FollowPolicy, RevocationFollower};
pub use ring_jwks::RingJwks;
pub use sign::{IssuedType, LocalSigner, SignError, Signer, SigningKeyError, ecdsa_der_to_raw, issue};
pub use signature_only::{SignatureKeys, verify_signature_only};
pub use unverified::UnverifiedToken;
pub use verify::{
    Audience, IssuerKeys, IssuerPolicy, PolicyError, Presentation, TokenType, VerifiedToken, Verifier,
};
