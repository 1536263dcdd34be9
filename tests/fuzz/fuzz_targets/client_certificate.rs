//! Any bytes are a client's certificate or are not; one that is has the same names in both forms, and maps to an identity
//! by equality alone.
#![no_main]

use base64::prelude::{BASE64_STANDARD, Engine};
use libfuzzer_sys::fuzz_target;
use portcullis_access::Identities;
use portcullis_token::ClientCertificate;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = ClientCertificate::from_pem(text);
    }
    let Ok(certificate) = ClientCertificate::from_der(bytes) else { return };
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        BASE64_STANDARD.encode(bytes)
    );
    // The reader of PEM knows the lengths that certificates have, and no shorter ones.
    if let Ok(same) = ClientCertificate::from_pem(&pem) {
        assert_eq!(same, certificate);
    }
    let Some(uri) = certificate.spiffe_id() else { return };
    let identities = Identities::shipped().unwrap();
    if let Some(identity) = identities.by_spiffe_id(uri) {
        assert_eq!(identity.spiffe_id.as_deref(), Some(uri));
    }
});
