//! What can happen, and what OCSF calls it.

/// A kind of security event. The first nine are those of the source document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An access token was issued.
    TokenIssued,
    /// A token was presented and found valid.
    TokenValidated,
    /// A token was presented and is invalid, expired or revoked.
    TokenRefused,
    /// A policy allowed an action.
    PermissionGranted,
    /// No policy allowed an action, or one forbade it.
    PermissionDenied,
    /// An action was carried out.
    ActionExecuted,
    /// An action was asked for and not carried out.
    ActionRejected,
    /// A client certificate was accepted.
    CertificateValidated,
    /// Signing keys were rotated.
    KeysRotated,

    /// A request for a token was refused: the client is not who it says, or may not have what it asks for.
    TokenRequestRefused,
    /// A token was revoked.
    TokenRevoked,
    /// A token was introspected.
    TokenIntrospected,
    /// A token was exchanged for another (RFC 8693).
    TokenExchanged,
    /// A refresh token was used to get the next one.
    TokenRefreshed,
    /// A refresh token was used that had been used before: its family is revoked.
    RefreshReused,
    /// An assertion or a proof was presented a second time.
    ReplayDetected,
    /// A client failed to authenticate so often that it is locked out for a while.
    ClientLockedOut,
    /// An API key was refused: unknown, expired or revoked.
    ApiKeyRefused,
    /// A rate limit refused a request.
    RateLimited,
    /// An approval token was issued for one plan.
    ApprovalIssued,
    /// An approval token was used up.
    ApprovalConsumed,
    /// An approval token was refused.
    ApprovalRefused,
    /// A client certificate was refused, or would be in strict mode.
    CertificateRefused,
    /// A certificate was issued.
    CertificateIssued,
    /// A certificate was revoked.
    CertificateRevoked,
    /// A signing key was published: it does not sign yet.
    KeyPublished,
    /// A signing key was retired: nothing signed with it is accepted any more.
    KeyRetired,
    /// A client's secret or API key was made.
    CredentialCreated,
    /// A client's secret or API key was rotated.
    CredentialRotated,
    /// A client's secret or API key was revoked.
    CredentialRevoked,
    /// The rotation of a credential failed.
    RotationFailed,
    /// A secret was read from its store by a person or a command.
    SecretAccessed,
    /// Personal data were encrypted for a caller.
    PiiEncrypted,
    /// Personal data were decrypted for a caller.
    PiiDecrypted,
    /// A page of a conversation was read.
    PiiRead,
    /// Conversations of a person were searched for.
    PiiSearched,
    /// Access to personal data was refused.
    PiiRefused,
    /// A webhook was refused: its signature, or the client certificate.
    WebhookRefused,
    /// The handshake of the webhook was refused.
    HandshakeRefused,
    /// An attack, or what looks like one, was seen.
    IncidentOpened,
    /// An incident was contained.
    IncidentContained,
    /// An incident was contained or released in part only.
    IncidentPartial,
    /// Somebody approved the containment of an incident.
    IncidentApproved,
    /// Somebody asked for the release of an incident.
    IncidentReleaseAsked,
    /// What contained an incident was undone.
    IncidentReleased,
    /// The time was over for which addresses of an incident were blocked.
    IncidentExpired,
    /// Incidents were read.
    IncidentRead,
    /// A request about incidents was refused.
    IncidentRefused,
}

/// An event class of OCSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Account Change, 3001.
    AccountChange,
    /// Authentication, 3002.
    Authentication,
    /// Authorize Session, 3003.
    AuthorizeSession,
    /// Entity Management, 3004.
    EntityManagement,
    /// API Activity, 6003.
    ApiActivity,
    /// Detection Finding, 2004.
    DetectionFinding,
}

/// How bad it is (`severity_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// 1: nothing to do.
    Informational,
    /// 2: worth a look.
    Low,
    /// 3: needs a look.
    Medium,
    /// 4: needs action.
    High,
}

/// How it ended (`status_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 1: as asked.
    Success,
    /// 2: refused or failed.
    Failure,
}

/// What OCSF calls a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) code: &'static str,
    pub(crate) class: Class,
    pub(crate) activity: Activity,
    pub(crate) severity: Severity,
    pub(crate) status: Status,
    pub(crate) message: &'static str,
}

/// `activity_id` and its caption. 99 stands for one of our own, which the caption then names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Activity(pub(crate) u8, pub(crate) &'static str);

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 48] = [
        Self::TokenIssued,
        Self::TokenValidated,
        Self::TokenRefused,
        Self::PermissionGranted,
        Self::PermissionDenied,
        Self::ActionExecuted,
        Self::ActionRejected,
        Self::CertificateValidated,
        Self::KeysRotated,
        Self::TokenRequestRefused,
        Self::TokenRevoked,
        Self::TokenIntrospected,
        Self::TokenExchanged,
        Self::TokenRefreshed,
        Self::RefreshReused,
        Self::ReplayDetected,
        Self::ClientLockedOut,
        Self::ApiKeyRefused,
        Self::RateLimited,
        Self::ApprovalIssued,
        Self::ApprovalConsumed,
        Self::ApprovalRefused,
        Self::CertificateRefused,
        Self::CertificateIssued,
        Self::CertificateRevoked,
        Self::KeyPublished,
        Self::KeyRetired,
        Self::CredentialCreated,
        Self::CredentialRotated,
        Self::CredentialRevoked,
        Self::RotationFailed,
        Self::SecretAccessed,
        Self::PiiEncrypted,
        Self::PiiDecrypted,
        Self::PiiRead,
        Self::PiiSearched,
        Self::PiiRefused,
        Self::WebhookRefused,
        Self::HandshakeRefused,
        Self::IncidentOpened,
        Self::IncidentContained,
        Self::IncidentPartial,
        Self::IncidentApproved,
        Self::IncidentReleaseAsked,
        Self::IncidentReleased,
        Self::IncidentExpired,
        Self::IncidentRead,
        Self::IncidentRefused,
    ];

    /// A stable word, `metadata.event_code` of the record.
    pub const fn as_str(self) -> &'static str {
        self.profile().code
    }

    /// The OCSF class.
    pub const fn class(self) -> Class {
        self.profile().class
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        self.profile().severity
    }

    /// How it ended.
    pub const fn status(self) -> Status {
        self.profile().status
    }

    #[rustfmt::skip]
    pub(crate) const fn profile(self) -> Profile {
        use Class::*;
        use Severity::*;
        use Status::*;
        let (code, class, activity, severity, status, message) = match self {
            Self::TokenIssued => ("token-issued", Authentication, LOGON, Informational, Success, "Token issued"),
            Self::TokenValidated => ("token-validated", Authentication, VALIDATION, Informational, Success, "Token validated"),
            Self::TokenRefused => ("token-refused", Authentication, VALIDATION, Low, Failure, "Token invalid or expired"),
            Self::PermissionGranted => ("permission-granted", AuthorizeSession, ASSIGN, Informational, Success, "Permission granted"),
            Self::PermissionDenied => ("permission-denied", AuthorizeSession, ASSIGN, Medium, Failure, "Permission denied"),
            Self::ActionExecuted => ("action-executed", ApiActivity, OPERATION, Informational, Success, "Action executed"),
            Self::ActionRejected => ("action-rejected", ApiActivity, OPERATION, Medium, Failure, "Action rejected"),
            Self::CertificateValidated => ("certificate-validated", Authentication, LOGON, Informational, Success, "Client certificate validated"),
            Self::KeysRotated => ("keys-rotated", EntityManagement, UPDATE, Informational, Success, "Signing keys rotated"),
            Self::TokenRequestRefused => ("token-request-refused", Authentication, LOGON, Medium, Failure, "Token request refused"),
            Self::TokenRevoked => ("token-revoked", Authentication, LOGOFF, Informational, Success, "Token revoked"),
            Self::TokenIntrospected => ("token-introspected", ApiActivity, READ, Informational, Success, "Token introspected"),
            Self::TokenExchanged => ("token-exchanged", Authentication, LOGON, Informational, Success, "Token exchanged"),
            Self::TokenRefreshed => ("token-refreshed", Authentication, REFRESH, Informational, Success, "Token refreshed"),
            Self::RefreshReused => ("refresh-reused", DetectionFinding, CREATE, High, Success, "Refresh token reused: family revoked"),
            Self::ReplayDetected => ("replay-detected", DetectionFinding, CREATE, High, Success, "Assertion or proof replayed"),
            Self::ClientLockedOut => ("client-locked-out", AccountChange, LOCK, High, Success, "Client locked out after failed authentication"),
            Self::ApiKeyRefused => ("api-key-refused", Authentication, LOGON, Low, Failure, "API key refused"),
            Self::RateLimited => ("rate-limited", ApiActivity, OPERATION, Low, Failure, "Rate limit exceeded"),
            Self::ApprovalIssued => ("approval-issued", AuthorizeSession, ASSIGN, Informational, Success, "Approval issued"),
            Self::ApprovalConsumed => ("approval-consumed", AuthorizeSession, ASSIGN, Informational, Success, "Approval consumed"),
            Self::ApprovalRefused => ("approval-refused", AuthorizeSession, ASSIGN, Medium, Failure, "Approval refused"),
            Self::CertificateRefused => ("certificate-refused", Authentication, LOGON, Medium, Failure, "Client certificate refused"),
            Self::CertificateIssued => ("certificate-issued", EntityManagement, CREATE, Informational, Success, "Certificate issued"),
            Self::CertificateRevoked => ("certificate-revoked", EntityManagement, DISABLE, Informational, Success, "Certificate revoked"),
            Self::KeyPublished => ("key-published", EntityManagement, CREATE, Informational, Success, "Signing key published"),
            Self::KeyRetired => ("key-retired", EntityManagement, DISABLE, Informational, Success, "Signing key retired"),
            Self::CredentialCreated => ("credential-created", AccountChange, ACCOUNT_CREATE, Informational, Success, "Credential created"),
            Self::CredentialRotated => ("credential-rotated", AccountChange, PASSWORD, Informational, Success, "Credential rotated"),
            Self::CredentialRevoked => ("credential-revoked", AccountChange, ACCOUNT_DISABLE, Informational, Success, "Credential revoked"),
            Self::RotationFailed => ("rotation-failed", AccountChange, PASSWORD, High, Failure, "Rotation of a credential failed"),
            Self::SecretAccessed => ("secret-accessed", ApiActivity, READ, Low, Success, "Secret read"),
            Self::PiiEncrypted => ("pii-encrypted", ApiActivity, CREATE, Informational, Success, "Personal data encrypted"),
            Self::PiiDecrypted => ("pii-decrypted", ApiActivity, READ, Low, Success, "Personal data decrypted"),
            Self::PiiRead => ("pii-read", ApiActivity, READ, Low, Success, "Conversation read"),
            Self::PiiSearched => ("pii-searched", ApiActivity, READ, Low, Success, "Conversations searched"),
            Self::PiiRefused => ("pii-refused", ApiActivity, READ, Medium, Failure, "Access to personal data refused"),
            Self::WebhookRefused => ("webhook-refused", Authentication, VALIDATION, Medium, Failure, "Webhook refused"),
            Self::HandshakeRefused => ("handshake-refused", Authentication, LOGON, Medium, Failure, "Webhook handshake refused"),
            Self::IncidentOpened => ("incident-opened", DetectionFinding, CREATE, High, Success, "Incident opened"),
            Self::IncidentContained => ("incident-contained", EntityManagement, UPDATE, Informational, Success, "Incident contained"),
            Self::IncidentPartial => ("incident-partial", EntityManagement, UPDATE, High, Failure, "Incident contained or released in part"),
            Self::IncidentApproved => ("incident-approved", AuthorizeSession, ASSIGN, Informational, Success, "Containment approved"),
            Self::IncidentReleaseAsked => ("incident-release-asked", AuthorizeSession, ASSIGN, Informational, Success, "Release of an incident asked for"),
            Self::IncidentReleased => ("incident-released", EntityManagement, UPDATE, Informational, Success, "Incident released"),
            Self::IncidentExpired => ("incident-expired", EntityManagement, UPDATE, Informational, Success, "Blocked addresses let in again"),
            Self::IncidentRead => ("incident-read", ApiActivity, READ, Informational, Success, "Incidents read"),
            Self::IncidentRefused => ("incident-refused", ApiActivity, OPERATION, Medium, Failure, "Request about incidents refused"),
        };
        Profile { code, class, activity, severity, status, message }
    }
}

impl Class {
    /// `class_uid`.
    pub const fn uid(self) -> u32 {
        match self {
            Self::AccountChange => 3001,
            Self::Authentication => 3002,
            Self::AuthorizeSession => 3003,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
            Self::DetectionFinding => 2004,
        }
    }

    /// `class_name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountChange => "Account Change",
            Self::Authentication => "Authentication",
            Self::AuthorizeSession => "Authorize Session",
            Self::EntityManagement => "Entity Management",
            Self::ApiActivity => "API Activity",
            Self::DetectionFinding => "Detection Finding",
        }
    }

    /// `category_uid` and `category_name`.
    pub const fn category(self) -> (u8, &'static str) {
        match self {
            Self::DetectionFinding => (2, "Findings"),
            Self::ApiActivity => (6, "Application Activity"),
            _ => (3, "Identity & Access Management"),
        }
    }
}

impl Severity {
    /// `severity_id` and `severity`.
    pub const fn id_and_name(self) -> (u8, &'static str) {
        match self {
            Self::Informational => (1, "Informational"),
            Self::Low => (2, "Low"),
            Self::Medium => (3, "Medium"),
            Self::High => (4, "High"),
        }
    }
}

const LOGON: Activity = Activity(1, "Logon");
const LOGOFF: Activity = Activity(2, "Logoff");
const VALIDATION: Activity = Activity(99, "Validation");
const REFRESH: Activity = Activity(99, "Token Refresh");
const ASSIGN: Activity = Activity(1, "Assign Privileges");
const OPERATION: Activity = Activity(99, "Operation");
const CREATE: Activity = Activity(1, "Create");
const READ: Activity = Activity(2, "Read");
const UPDATE: Activity = Activity(3, "Update");
const DISABLE: Activity = Activity(9, "Disable");
const ACCOUNT_CREATE: Activity = Activity(1, "Create");
const PASSWORD: Activity = Activity(3, "Password Change");
const ACCOUNT_DISABLE: Activity = Activity(5, "Disable");
const LOCK: Activity = Activity(9, "Lock");
