//! What a request shows of its client, before any of it is believed.

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_access::AuthMethod;
use portcullis_base::SecretString;
use portcullis_token::{AssertionPolicy, UnverifiedToken};

use crate::form::{self, Form};
use crate::refusal::Refusal;
use crate::request::Request;

/// The credential of a request: exactly one (RFC 6749 section 2.3: "MUST NOT use more than one authentication method").
pub(crate) enum Presented<'b> {
    /// A secret.
    Secret { method: AuthMethod, client_id: String, secret: SecretString },
    /// A signed assertion.
    Assertion { client_id: String, token: &'b str },
    /// The certificate of the connection.
    Certificate { client_id: String },
}

impl<'b> Presented<'b> {
    /// Finds the credential of a form request.
    pub(crate) fn of_form(request: &Request<'_>, form: &'b Form<'_>) -> Result<Self, Refusal> {
        let header = request
            .header("Authorization")
            .map_err(|_| Refusal::InvalidRequest("Authorization is repeated"))?;
        let (id, secret) = (form.value("client_id"), form.value("client_secret"));
        let (assertion, assertion_type) =
            (form.value("client_assertion"), form.value("client_assertion_type"));
        let presented = match (header, secret, assertion) {
            (Some(header), None, None) => Self::of_basic(header)?,
            (None, Some(secret), None) => Self::Secret {
                method: AuthMethod::ClientSecretPost,
                client_id: id.ok_or(Refusal::InvalidClient)?.to_owned(),
                secret: secret.to_owned().into(),
            },
            (None, None, Some(token)) => Self::of_assertion(token, assertion_type)?,
            (None, None, None) => match id {
                Some(id) if request.certificate.is_some() => Self::Certificate { client_id: id.to_owned() },
                _ => return Err(Refusal::InvalidClient),
            },
            _ => return Err(Refusal::InvalidRequest("more than one way of client authentication")),
        };
        if assertion.is_none() && assertion_type.is_some() {
            return Err(Refusal::InvalidRequest("client_assertion is missing"));
        }
        if id.is_some_and(|id| id != presented.client_id()) {
            return Err(Refusal::InvalidRequest("client_id is not the authenticated client"));
        }
        if is_plausible(presented.client_id()) { Ok(presented) } else { Err(Refusal::InvalidClient) }
    }

    /// The credential of the source document's JSON body.
    pub(crate) fn of_json(
        request: &Request<'_>,
        service_id: String,
        secret: SecretString,
    ) -> Result<Self, Refusal> {
        if !matches!(request.header("Authorization"), Ok(None)) {
            return Err(Refusal::InvalidRequest("more than one way of client authentication"));
        }
        let method = AuthMethod::ClientSecretJson;
        if is_plausible(&service_id) {
            Ok(Self::Secret { method, client_id: service_id, secret })
        } else {
            Err(Refusal::InvalidClient)
        }
    }

    /// RFC 7617, with both halves encoded as forms are (RFC 6749 section 2.3.1).
    fn of_basic(header: &str) -> Result<Self, Refusal> {
        let (scheme, credentials) = header.split_once(' ').ok_or(Refusal::InvalidClient)?;
        if !scheme.eq_ignore_ascii_case("basic") || credentials.len() > MAX_BASIC {
            return Err(Refusal::InvalidClient);
        }
        let bytes = BASE64_STANDARD.decode(credentials.trim()).map_err(|_| Refusal::InvalidClient)?;
        let text = String::from_utf8(bytes).map_err(|_| Refusal::InvalidClient)?;
        let (id, secret) = text.split_once(':').ok_or(Refusal::InvalidClient)?;
        let decoded = |text| form::decode(text).map_err(|_| Refusal::InvalidClient);
        Ok(Self::Secret {
            method: AuthMethod::ClientSecretBasic,
            client_id: decoded(id)?.into_owned(),
            secret: decoded(secret)?.into_owned().into(),
        })
    }

    fn of_assertion(token: &'b str, assertion_type: Option<&str>) -> Result<Self, Refusal> {
        if assertion_type != Some(JWT_BEARER) {
            return Err(Refusal::InvalidClient);
        }
        let parsed = UnverifiedToken::parse(token).map_err(|_| Refusal::InvalidClient)?;
        let client_id = AssertionPolicy::dangerous_unverified_client(&parsed).to_owned();
        Ok(Self::Assertion { client_id, token })
    }

    pub(crate) fn client_id(&self) -> &str {
        match self {
            Self::Secret { client_id, .. }
            | Self::Assertion { client_id, .. }
            | Self::Certificate { client_id } => client_id,
        }
    }

    pub(crate) const fn method(&self) -> AuthMethod {
        match self {
            Self::Secret { method, .. } => *method,
            Self::Assertion { .. } => AuthMethod::PrivateKeyJwt,
            Self::Certificate { .. } => AuthMethod::TlsClientAuth,
        }
    }
}

/// Whether a client could be called that: what could not is neither looked up nor written down.
fn is_plausible(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// RFC 7523 section 2.2.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MAX_BASIC: usize = 2048;

#[cfg(test)]
mod tests {
    use portcullis_base::ExposeSecret;
    use proptest::prelude::*;

    use super::*;

    fn basic(text: &str) -> Result<(String, String), Refusal> {
        match Presented::of_basic(&format!("Basic {}", BASE64_STANDARD.encode(text)))? {
            Presented::Secret { client_id, secret, .. } => Ok((client_id, secret.expose_secret().to_owned())),
            _ => Err(Refusal::Internal),
        }
    }

    #[test]
    fn basic_credentials_are_form_encoded_halves() {
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        for (text, expected) in [
            ("svc.bff:secret", pair("svc.bff", "secret")),
            ("svc.bff:a%3Ab+c", pair("svc.bff", "a:b c")),
            ("svc.bff:with:colons", pair("svc.bff", "with:colons")),
            ("svc.bff:", pair("svc.bff", "")),
            (":secret", pair("", "secret")),
            ("svc.bff", Err(Refusal::InvalidClient)),
            ("svc.bff:50%", Err(Refusal::InvalidClient)),
            ("svc.bff:%ff", Err(Refusal::InvalidClient)),
            ("svc.bff:%00", Err(Refusal::InvalidClient)),
        ] {
            assert_eq!(basic(text), expected, "{text}");
        }
        for header in ["", "Basic", "Basic !!", "Bearer abc", "Digest x", "Basic /w==", "basic"] {
            assert!(Presented::of_basic(header).is_err(), "{header:?}");
        }
        assert!(Presented::of_basic(&format!("Basic {}", "A".repeat(4096))).is_err());
        assert!(Presented::of_basic("bAsIc YTpi").is_ok(), "schemes have no case");
    }

    proptest! {
        #[test]
        fn any_credentials_survive_the_encoding(id in "[a-z.]{1,20}", secret in "[^\\p{Cc}]{0,40}") {
            let encode = |s: &str| url::form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>();
            prop_assert_eq!(basic(&format!("{}:{}", encode(&id), encode(&secret))), Ok((id, secret)));
        }

        #[test]
        fn no_header_panics(header in ".{0,80}") {
            let _verdict = Presented::of_basic(&header);
        }
    }
}
