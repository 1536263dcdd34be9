//! An event as OCSF JSON. What OCSF has no attribute for in a class goes into `unmapped`.

use portcullis_base::Timestamp;
use serde_json::{Map, Value, json};

use crate::event::Resource;
use crate::kind::{Class, Kind, Profile, Status};
use crate::text::Text;
use crate::{RecordId, SecurityEvent};

/// The version of OCSF that events keep to (`metadata.version`).
pub const OCSF_VERSION: &str = "1.5.0";

pub(crate) fn to_json(event: &SecurityEvent, id: RecordId, time: Timestamp, function: &str) -> String {
    let profile = event.kind.profile();
    let seen = Seen { event, profile, function, id, time: time.as_millisecond() };
    let Value::Object(mut body) = seen.base() else { return String::new() };
    let (Value::Object(own), unmapped) = seen.of_class() else { return String::new() };
    body.extend(own);
    if let Value::Object(unmapped) = object(unmapped)
        && !unmapped.is_empty()
    {
        body.insert("unmapped".to_owned(), Value::Object(unmapped));
    }
    Value::Object(body).to_string()
}

/// An event with all that its JSON depends on.
struct Seen<'a> {
    event: &'a SecurityEvent,
    profile: Profile,
    function: &'a str,
    id: RecordId,
    time: i64,
}

/// Members with their names; empty ones are left out.
type Members = Vec<(&'static str, Value)>;

impl Seen<'_> {
    /// What every class has.
    fn base(&self) -> Value {
        let Profile { class, activity, severity, status, message, .. } = self.profile;
        let (category_uid, category_name) = class.category();
        let (severity_id, severity) = severity.id_and_name();
        let (status_id, status) = match (class, status) {
            // Of a finding it is the state of its handling.
            (Class::DetectionFinding, _) => (1, "New"),
            (_, Status::Success) => (1, "Success"),
            (_, Status::Failure) => (2, "Failure"),
        };
        object(vec![
            ("category_uid", json!(category_uid)),
            ("category_name", json!(category_name)),
            ("class_uid", json!(class.uid())),
            ("class_name", json!(class.name())),
            ("activity_id", json!(activity.0)),
            ("activity_name", json!(activity.1)),
            ("type_uid", json!(class.uid() * 100 + u32::from(activity.0))),
            ("type_name", json!(format!("{}: {}", class.name(), activity.1))),
            ("severity_id", json!(severity_id)),
            ("severity", json!(severity)),
            ("status_id", json!(status_id)),
            ("status", json!(status)),
            ("status_detail", json!(self.event.reason)),
            ("message", json!(message)),
            ("time", json!(self.time)),
            ("metadata", self.metadata()),
        ])
    }

    fn metadata(&self) -> Value {
        object(vec![
            ("version", json!(OCSF_VERSION)),
            ("uid", json!(self.id.to_string())),
            ("event_code", json!(self.profile.code)),
            ("log_name", json!("security.audit")),
            ("correlation_uid", text(self.event.request_id.as_ref())),
            (
                "product",
                json!({
                    "name": PRODUCT,
                    "vendor_name": PRODUCT,
                    "version": env!("CARGO_PKG_VERSION"),
                    "feature": { "name": self.function },
                }),
            ),
        ])
    }

    /// What the class has of its own, and what it has no place for.
    fn of_class(&self) -> (Value, Members) {
        match self.profile.class {
            Class::Authentication => self.authentication(),
            Class::AuthorizeSession => self.authorize_session(),
            Class::AccountChange => self.account_change(),
            Class::EntityManagement => self.entity_management(),
            Class::ApiActivity => self.api_activity(),
            Class::DetectionFinding => self.detection_finding(),
        }
    }

    fn authentication(&self) -> (Value, Members) {
        let (protocol_id, protocol) = protocol(self.event.kind);
        let own = object(vec![
            ("user", self.subject()),
            ("actor", self.actor_if_other(false)),
            ("service", json!({ "name": self.service() })),
            ("session", self.session()),
            ("src_endpoint", self.source()),
            ("http_request", self.http_request()),
            ("certificate", self.certificate()),
            ("auth_protocol_id", json!(protocol_id)),
            ("auth_protocol", json!(protocol)),
            ("is_remote", json!(true)),
        ]);
        let mut rest = vec![("privileges", json!(self.event.privileges)), ("resources", self.resources())];
        rest.extend(self.details());
        (own, rest)
    }

    fn authorize_session(&self) -> (Value, Members) {
        // The class asks for privileges; an event that names none is about its operation as a whole.
        let privileges = if self.event.privileges.is_empty() {
            json!([self.operation()])
        } else {
            json!(self.event.privileges)
        };
        let own = object(vec![
            ("user", self.subject()),
            ("actor", self.actor_if_other(false)),
            ("privileges", privileges),
            ("session", self.session()),
            ("src_endpoint", self.source()),
            ("dst_endpoint", object(vec![("svc_name", text(self.event.audience.as_ref()))])),
            ("http_request", self.http_request()),
        ]);
        let mut rest = vec![("resources", self.resources()), ("certificate", self.certificate())];
        rest.extend(self.details());
        (own, rest)
    }

    fn account_change(&self) -> (Value, Members) {
        let own = object(vec![
            ("user", self.subject()),
            ("actor", self.actor_if_other(true)),
            ("src_endpoint", self.source()),
            ("http_request", self.http_request()),
        ]);
        (own, self.rest(true))
    }

    fn entity_management(&self) -> (Value, Members) {
        let entity = match self.event.resources.first() {
            Some(Resource { kind, id }) => json!({ "type": kind, "uid": id }),
            None => json!({ "name": self.event.subject }),
        };
        let own = object(vec![
            ("entity", entity),
            ("actor", self.acting()),
            ("src_endpoint", self.source()),
            ("http_request", self.http_request()),
        ]);
        // The first resource is the entity itself: more are told of only where there are more.
        (own, self.rest(self.event.resources.len() > 1))
    }

    fn api_activity(&self) -> (Value, Members) {
        let mut source = self.source();
        if is_empty(&source) {
            // The class asks for an endpoint: where no address is known, the service itself is the source.
            source = json!({ "svc_name": self.function });
        }
        let api = object(vec![
            ("operation", json!(self.operation())),
            ("service", json!({ "name": self.service() })),
            ("request", object(vec![("uid", text(self.event.request_id.as_ref()))])),
        ]);
        let own = object(vec![
            ("actor", self.acting()),
            ("api", api),
            ("src_endpoint", source),
            ("http_request", self.http_request()),
            ("resources", self.resources()),
        ]);
        let behalf = self.event.actor.as_ref().map(|_| &self.event.subject);
        let mut rest = vec![
            ("on_behalf_of", text(behalf)),
            ("privileges", json!(self.event.privileges)),
            ("certificate", self.certificate()),
        ];
        rest.extend(self.details());
        (own, rest)
    }

    fn detection_finding(&self) -> (Value, Members) {
        let evidence = object(vec![
            ("actor", self.acting()),
            ("src_endpoint", self.source()),
            ("api", object(vec![("operation", text(self.event.operation.as_ref()))])),
        ]);
        let own = object(vec![
            (
                "finding_info",
                json!({
                    "uid": self.id.to_string(),
                    "title": self.profile.message,
                    "types": [self.profile.code],
                    "created_time": self.time,
                }),
            ),
            ("evidences", json!([evidence])),
            ("resources", self.resources()),
            ("is_alert", json!(true)),
        ]);
        (own, self.rest(false))
    }

    /// What most classes have no place for.
    fn rest(&self, resources: bool) -> Members {
        let mut rest = vec![
            ("privileges", json!(self.event.privileges)),
            ("audience", text(self.event.audience.as_ref())),
            ("certificate", self.certificate()),
            ("resources", if resources { self.resources() } else { Value::Null }),
        ];
        rest.extend(self.details());
        rest
    }

    fn details(&self) -> Option<(&'static str, Value)> {
        let details: Members = self.event.details.iter().map(|(name, value)| (*name, json!(value))).collect();
        (!details.is_empty()).then(|| ("details", object(details)))
    }

    /// The subject, with the roles unless they are the actor's.
    fn subject(&self) -> Value {
        self.user(&self.event.subject)
    }

    fn user(&self, uid: &Text) -> Value {
        let groups: Vec<_> = self.event.roles.iter().map(|role| json!({ "name": role })).collect();
        object(vec![("uid", json!(uid)), ("groups", json!(groups))])
    }

    /// Who acts: the actor, or the subject where nobody else does.
    fn acting(&self) -> Value {
        let who = self.event.actor.as_ref().unwrap_or(&self.event.subject);
        object(vec![
            ("user", self.user(who)),
            ("session", self.session()),
            ("authorizations", self.authorizations()),
        ])
    }

    /// An actor beside the subject, where somebody else acts or a policy decided.
    fn actor_if_other(&self, with_session: bool) -> Value {
        let session = if with_session { self.session() } else { Value::Null };
        let actor = self.event.actor.as_ref().map(|uid| json!({ "uid": uid })).unwrap_or_default();
        let authorizations = self.authorizations();
        if is_empty(&actor) && is_empty(&session) && is_empty(&authorizations) {
            return Value::Null;
        }
        let user = if is_empty(&actor) { json!({ "uid": self.event.subject }) } else { actor };
        object(vec![("user", user), ("session", session), ("authorizations", authorizations)])
    }

    fn authorizations(&self) -> Value {
        let decision = if self.profile.status == Status::Success { "Allowed" } else { "Denied" };
        let of_policy = |policy: &Text| json!({ "decision": decision, "policy": { "uid": policy } });
        self.event.policies.iter().map(of_policy).collect()
    }

    fn session(&self) -> Value {
        let Some(session) = &self.event.session else { return Value::Null };
        let expires = session.expires_at.map(Timestamp::as_millisecond);
        object(vec![("uid", json!(session.jti)), ("expiration_time", json!(expires))])
    }

    fn source(&self) -> Value {
        object(vec![("ip", json!(self.event.source.map(|address| address.to_string())))])
    }

    fn service(&self) -> &str {
        self.event.audience.as_ref().map_or(self.function, Text::as_str)
    }

    fn operation(&self) -> &str {
        self.event.operation.as_ref().map_or(self.profile.code, Text::as_str)
    }

    /// `POST /sts/token` is an HTTP request; `AssumeRole` is not.
    fn http_request(&self) -> Value {
        let parts = self.event.operation.as_ref().and_then(|operation| operation.as_str().split_once(' '));
        match parts {
            Some((method, path))
                if path.starts_with('/') && method.bytes().all(|b| b.is_ascii_uppercase()) =>
            {
                json!({ "http_method": method, "url": { "path": path } })
            }
            _ => Value::Null,
        }
    }

    fn resources(&self) -> Value {
        self.event.resources.iter().map(|Resource { kind, id }| json!({ "type": kind, "uid": id })).collect()
    }

    fn certificate(&self) -> Value {
        let Some(certificate) = &self.event.certificate else { return Value::Null };
        let fingerprint = |sha256: &Text| json!([{ "algorithm": "SHA-256", "algorithm_id": FINGERPRINT_SHA256, "value": sha256 }]);
        object(vec![
            ("issuer", json!(certificate.issuer)),
            ("serial_number", json!(certificate.serial)),
            ("subject", text(certificate.subject.as_ref())),
            ("fingerprints", certificate.sha256.as_ref().map(fingerprint).unwrap_or_default()),
            ("expiration_time", json!(certificate.expires_at.map(Timestamp::as_millisecond))),
        ])
    }
}

/// `auth_protocol_id` and `auth_protocol`.
fn protocol(kind: Kind) -> (u8, &'static str) {
    match kind {
        Kind::CertificateValidated | Kind::CertificateRefused => (99, "mTLS"),
        Kind::WebhookRefused => (99, "HMAC signature"),
        Kind::HandshakeRefused => (99, "Verify token"),
        Kind::ApiKeyRefused => (99, "API key"),
        _ => (6, "OAUTH 2.0"),
    }
}

fn object(members: Members) -> Value {
    let kept = members.into_iter().filter(|(_, value)| !is_empty(value));
    Value::Object(kept.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn text(text: Option<&Text>) -> Value {
    json!(text)
}

const PRODUCT: &str = "Portcullis";
/// <https://schema.ocsf.io/1.5.0/objects/fingerprint>
const FINGERPRINT_SHA256: u8 = 3;
