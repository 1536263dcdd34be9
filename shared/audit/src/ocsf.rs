//! An event as OCSF JSON. What OCSF has no attribute for in a class goes into `unmapped`.

use portcullis_base::Timestamp;

use crate::event::Resource;
use crate::json::{Json, Members};
use crate::kind::{Class, Kind, Profile, Status};
use crate::text::Text;
use crate::{RecordId, SecurityEvent};

/// The version of OCSF that events keep to (`metadata.version`).
pub const OCSF_VERSION: &str = "1.5.0";

pub(crate) fn to_json(event: &SecurityEvent, id: RecordId, time: Timestamp, function: &str) -> String {
    let profile = event.kind.profile();
    let seen = Seen { event, profile, function, id, time: time.as_millisecond() };
    let mut body = seen.base();
    let (own, unmapped) = seen.of_class();
    body.extend(own);
    body.push(("unmapped", Json::of(unmapped)));
    let mut text = Vec::with_capacity(USUAL_BYTES);
    // A tree of texts and numbers is always written.
    match serde_json::to_writer(&mut text, &Json::of(body)) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// An event with all that its JSON depends on.
struct Seen<'a> {
    event: &'a SecurityEvent,
    profile: Profile,
    function: &'a str,
    id: RecordId,
    time: i64,
}

impl<'a> Seen<'a> {
    /// What every class has.
    fn base(&self) -> Members<'a> {
        let Profile { class, activity, severity, status, message, .. } = self.profile;
        let (category_uid, category_name) = class.category();
        let (severity_id, severity) = severity.id_and_name();
        let (status_id, status) = match (class, status) {
            // Of a finding it is the state of its handling.
            (Class::DetectionFinding, _) => (1_u8, "New"),
            (_, Status::Success) => (1, "Success"),
            (_, Status::Failure) => (2, "Failure"),
        };
        vec![
            ("category_uid", Json::from(category_uid)),
            ("category_name", Json::from(category_name)),
            ("class_uid", Json::from(class.uid())),
            ("class_name", Json::from(class.name())),
            ("activity_id", Json::from(activity.0)),
            ("activity_name", Json::from(activity.1)),
            ("type_uid", Json::from(class.uid() * 100 + u32::from(activity.0))),
            ("type_name", Json::from(format!("{}: {}", class.name(), activity.1))),
            ("severity_id", Json::from(severity_id)),
            ("severity", Json::from(severity)),
            ("status_id", Json::from(status_id)),
            ("status", Json::from(status)),
            ("status_detail", Json::from(self.event.reason)),
            ("message", Json::from(message)),
            ("time", Json::from(self.time)),
            ("metadata", self.metadata()),
        ]
    }

    fn metadata(&self) -> Json<'a> {
        Json::of(vec![
            ("version", Json::from(OCSF_VERSION)),
            ("uid", Json::from(self.id.to_string())),
            ("event_code", Json::from(self.profile.code)),
            ("log_name", Json::from("security.audit")),
            ("correlation_uid", Json::from(self.event.request_id.as_ref())),
            (
                "product",
                Json::Object(vec![
                    ("name", Json::from(PRODUCT)),
                    ("vendor_name", Json::from(PRODUCT)),
                    ("version", Json::from(env!("CARGO_PKG_VERSION"))),
                    ("feature", Json::Object(vec![("name", Json::from(self.function))])),
                ]),
            ),
        ])
    }

    /// What the class has of its own, and what it has no place for.
    fn of_class(&self) -> (Members<'a>, Members<'a>) {
        match self.profile.class {
            Class::Authentication => self.authentication(),
            Class::AuthorizeSession => self.authorize_session(),
            Class::AccountChange => self.account_change(),
            Class::EntityManagement => self.entity_management(),
            Class::ApiActivity => self.api_activity(),
            Class::DetectionFinding => self.detection_finding(),
        }
    }

    fn authentication(&self) -> (Members<'a>, Members<'a>) {
        let (protocol_id, protocol) = protocol(self.event.kind);
        let own = vec![
            ("user", self.subject()),
            ("actor", self.actor_if_other(false)),
            ("service", Json::Object(vec![("name", Json::from(self.service()))])),
            ("session", self.session()),
            ("src_endpoint", self.source()),
            ("http_request", self.http_request()),
            ("certificate", self.certificate()),
            ("auth_protocol_id", Json::from(protocol_id)),
            ("auth_protocol", Json::from(protocol)),
            ("is_remote", Json::from(true)),
        ];
        let mut rest =
            vec![("privileges", Json::from(&self.event.privileges)), ("resources", self.resources())];
        rest.extend(self.details());
        (own, rest)
    }

    fn authorize_session(&self) -> (Members<'a>, Members<'a>) {
        // The class asks for privileges; an event that names none is about its operation as a whole.
        let privileges = if self.event.privileges.is_empty() {
            Json::List(vec![Json::from(self.operation())])
        } else {
            Json::from(&self.event.privileges)
        };
        let own = vec![
            ("user", self.subject()),
            ("actor", self.actor_if_other(false)),
            ("privileges", privileges),
            ("session", self.session()),
            ("src_endpoint", self.source()),
            ("dst_endpoint", Json::of(vec![("svc_name", Json::from(self.event.audience.as_ref()))])),
            ("http_request", self.http_request()),
        ];
        let mut rest = vec![("resources", self.resources()), ("certificate", self.certificate())];
        rest.extend(self.details());
        (own, rest)
    }

    fn account_change(&self) -> (Members<'a>, Members<'a>) {
        let own = vec![
            ("user", self.subject()),
            ("actor", self.actor_if_other(true)),
            ("src_endpoint", self.source()),
            ("http_request", self.http_request()),
        ];
        (own, self.rest(true))
    }

    fn entity_management(&self) -> (Members<'a>, Members<'a>) {
        let entity = match self.event.resources.first() {
            Some(Resource { kind, id }) => {
                Json::Object(vec![("type", Json::from(*kind)), ("uid", Json::from(id))])
            }
            None => Json::Object(vec![("name", Json::from(&self.event.subject))]),
        };
        let own = vec![
            ("entity", entity),
            ("actor", self.acting()),
            ("src_endpoint", self.source()),
            ("http_request", self.http_request()),
        ];
        // The first resource is the entity itself: more are told of only where there are more.
        (own, self.rest(self.event.resources.len() > 1))
    }

    fn api_activity(&self) -> (Members<'a>, Members<'a>) {
        let mut source = self.source();
        if source.is_empty() {
            // The class asks for an endpoint: where no address is known, the service itself is the source.
            source = Json::Object(vec![("svc_name", Json::from(self.function))]);
        }
        let api = Json::of(vec![
            ("operation", Json::from(self.operation())),
            ("service", Json::Object(vec![("name", Json::from(self.service()))])),
            ("request", Json::of(vec![("uid", Json::from(self.event.request_id.as_ref()))])),
        ]);
        let own = vec![
            ("actor", self.acting()),
            ("api", api),
            ("src_endpoint", source),
            ("http_request", self.http_request()),
            ("resources", self.resources()),
        ];
        let behalf = self.event.actor.as_ref().map(|_| &self.event.subject);
        let mut rest = vec![
            ("on_behalf_of", Json::from(behalf)),
            ("privileges", Json::from(&self.event.privileges)),
            ("certificate", self.certificate()),
        ];
        rest.extend(self.details());
        (own, rest)
    }

    fn detection_finding(&self) -> (Members<'a>, Members<'a>) {
        let evidence = Json::of(vec![
            ("actor", self.acting()),
            ("src_endpoint", self.source()),
            ("api", Json::of(vec![("operation", Json::from(self.event.operation.as_ref()))])),
        ]);
        let own = vec![
            (
                "finding_info",
                Json::Object(vec![
                    ("uid", Json::from(self.id.to_string())),
                    ("title", Json::from(self.profile.message)),
                    ("types", Json::List(vec![Json::from(self.profile.code)])),
                    ("created_time", Json::from(self.time)),
                ]),
            ),
            ("evidences", Json::List(vec![evidence])),
            ("resources", self.resources()),
            ("is_alert", Json::from(true)),
        ];
        (own, self.rest(false))
    }

    /// What most classes have no place for.
    fn rest(&self, resources: bool) -> Members<'a> {
        let mut rest = vec![
            ("privileges", Json::from(&self.event.privileges)),
            ("audience", Json::from(self.event.audience.as_ref())),
            ("certificate", self.certificate()),
            ("resources", if resources { self.resources() } else { Json::Nothing }),
        ];
        rest.extend(self.details());
        rest
    }

    fn details(&self) -> Option<(&'static str, Json<'a>)> {
        let details: Members<'a> =
            self.event.details.iter().map(|(name, value)| (*name, Json::from(value))).collect();
        (!details.is_empty()).then(|| ("details", Json::of(details)))
    }

    /// The subject, with the roles unless they are the actor's.
    fn subject(&self) -> Json<'a> {
        self.user(&self.event.subject)
    }

    fn user(&self, uid: &'a Text) -> Json<'a> {
        let groups: Vec<_> =
            self.event.roles.iter().map(|role| Json::Object(vec![("name", Json::from(role))])).collect();
        Json::of(vec![("uid", Json::from(uid)), ("groups", Json::List(groups))])
    }

    /// Who acts: the actor, or the subject where nobody else does.
    fn acting(&self) -> Json<'a> {
        let who = self.event.actor.as_ref().unwrap_or(&self.event.subject);
        Json::of(vec![
            ("user", self.user(who)),
            ("session", self.session()),
            ("authorizations", self.authorizations()),
        ])
    }

    /// An actor beside the subject, where somebody else acts or a policy decided.
    fn actor_if_other(&self, with_session: bool) -> Json<'a> {
        let session = if with_session { self.session() } else { Json::Nothing };
        let actor = Json::from(self.event.actor.as_ref().map(|uid| Json::of(vec![("uid", uid.into())])));
        let authorizations = self.authorizations();
        if actor.is_empty() && session.is_empty() && authorizations.is_empty() {
            return Json::Nothing;
        }
        let user = if actor.is_empty() {
            Json::Object(vec![("uid", Json::from(&self.event.subject))])
        } else {
            actor
        };
        Json::of(vec![("user", user), ("session", session), ("authorizations", authorizations)])
    }

    fn authorizations(&self) -> Json<'a> {
        let decision = if self.profile.status == Status::Success { "Allowed" } else { "Denied" };
        let of_policy = |policy: &'a Text| {
            Json::Object(vec![
                ("decision", Json::from(decision)),
                ("policy", Json::Object(vec![("uid", Json::from(policy))])),
            ])
        };
        self.event.policies.iter().map(of_policy).collect()
    }

    fn session(&self) -> Json<'a> {
        let Some(session) = &self.event.session else { return Json::Nothing };
        let expires = session.expires_at.map(Timestamp::as_millisecond);
        Json::of(vec![("uid", Json::from(&session.jti)), ("expiration_time", Json::from(expires))])
    }

    fn source(&self) -> Json<'a> {
        Json::of(vec![("ip", Json::from(self.event.source.map(|address| address.to_string())))])
    }

    fn service(&self) -> &'a str {
        self.event.audience.as_ref().map_or(self.function, Text::as_str)
    }

    fn operation(&self) -> &'a str {
        self.event.operation.as_ref().map_or(self.profile.code, Text::as_str)
    }

    /// `POST /sts/token` is an HTTP request; `AssumeRole` is not.
    fn http_request(&self) -> Json<'a> {
        let parts = self.event.operation.as_ref().and_then(|operation| operation.as_str().split_once(' '));
        match parts {
            Some((method, path))
                if path.starts_with('/') && method.bytes().all(|b| b.is_ascii_uppercase()) =>
            {
                Json::Object(vec![
                    ("http_method", Json::from(method)),
                    ("url", Json::Object(vec![("path", Json::from(path))])),
                ])
            }
            _ => Json::Nothing,
        }
    }

    fn resources(&self) -> Json<'a> {
        self.event
            .resources
            .iter()
            .map(|Resource { kind, id }| {
                Json::Object(vec![("type", Json::from(*kind)), ("uid", Json::from(id))])
            })
            .collect()
    }

    fn certificate(&self) -> Json<'a> {
        let Some(certificate) = &self.event.certificate else { return Json::Nothing };
        let fingerprint = |sha256: &'a Text| {
            Json::List(vec![Json::Object(vec![
                ("algorithm", Json::from("SHA-256")),
                ("algorithm_id", Json::from(FINGERPRINT_SHA256)),
                ("value", Json::from(sha256)),
            ])])
        };
        Json::of(vec![
            ("issuer", Json::from(&certificate.issuer)),
            ("serial_number", Json::from(&certificate.serial)),
            ("subject", Json::from(certificate.subject.as_ref())),
            ("fingerprints", certificate.sha256.as_ref().map(fingerprint).unwrap_or(Json::Nothing)),
            ("expiration_time", Json::from(certificate.expires_at.map(Timestamp::as_millisecond))),
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

/// Room for most records at once.
const USUAL_BYTES: usize = 1_536;
const PRODUCT: &str = "Portcullis";
/// <https://schema.ocsf.io/1.5.0/objects/fingerprint>
const FINGERPRINT_SHA256: u8 = 3;
