//! What a request shows of its client, before any of it is believed.

use portcullis_access::AuthMethod;
use portcullis_base::SecretString;
use portcullis_token::{AssertionPolicy, UnverifiedToken};

use super::basic::Basic;
use crate::form::Form;
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

    fn of_basic(header: &str) -> Result<Self, Refusal> {
        let Basic { id, secret } = Basic::parse(header).ok_or(Refusal::InvalidClient)?;
        Ok(Self::Secret { method: AuthMethod::ClientSecretBasic, client_id: id, secret })
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
