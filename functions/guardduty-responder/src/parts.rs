//! What the function is made of.

use portcullis_lambda::{Deadline, IncidentDesk, ResponsePorts};
use portcullis_response::FindingTypes;

/// The function's parts, wired. Its adapters are those of every responder.
pub struct Parts<P: ResponsePorts> {
    /// Answers incidents.
    pub desk: IncidentDesk<P>,
    /// Which finding is which incident.
    pub types: FindingTypes,
    /// Who may do what with incidents.
    pub roles: IncidentRoles,
    /// When the invocation ends: the same that the responder's waiting goes by.
    pub deadline: Deadline,
}

/// Who may do what with incidents. The authorizer decides first, by the access policies: these hold behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRoles {
    /// Roles that may read incidents (`read:incidents`).
    pub readers: Vec<String>,
    /// Roles that may approve and release (`manage:incidents`), and read.
    pub managers: Vec<String>,
}

impl Default for IncidentRoles {
    /// Those of the shipped access policies.
    fn default() -> Self {
        Self { readers: vec!["auditor".to_owned()], managers: vec!["security-admin".to_owned()] }
    }
}
