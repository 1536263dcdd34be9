//! Who is calling, as the authorizer says.

use crate::RequestContext;

/// A caller that the API Gateway authorizer let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The principal.
    pub id: String,
    /// Its roles.
    pub roles: Vec<String>,
}

impl Caller {
    /// The caller of a request: `principalId` and the space-separated `roles` of the authorizer's context.
    /// `None` without an authorizer: then nobody is known to be calling, and nothing may be read.
    pub fn of(context: &RequestContext<'_>) -> Option<Self> {
        let authorizer = context.authorizer.as_ref()?;
        let id = authorizer.value("principalId").filter(|id| !id.is_empty())?;
        let roles = authorizer.value("roles").unwrap_or_default();
        Some(Self { id: id.to_owned(), roles: roles.split_ascii_whitespace().map(str::to_owned).collect() })
    }

    /// Whether it has one of these roles.
    pub fn has_any<R: AsRef<str>>(&self, roles: &[R]) -> bool {
        roles.iter().any(|role| self.roles.iter().any(|own| own == role.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProxyEvent;

    fn caller(authorizer: &str) -> Option<Caller> {
        let event =
            format!(r#"{{"httpMethod":"GET","path":"/","requestContext":{{"authorizer":{authorizer}}}}}"#);
        Caller::of(&ProxyEvent::parse(event.as_bytes()).unwrap().context)
    }

    #[test]
    fn a_caller_is_only_who_the_authorizer_names() {
        let roles = |r: &[&str]| r.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (label, authorizer, expected) in [
            ("no authorizer", "null", None),
            ("empty context", "{}", None),
            ("empty principal", r#"{"principalId":"","roles":"auditor"}"#, None),
            ("roles alone", r#"{"roles":"auditor"}"#, None),
            ("principal without roles", r#"{"principalId":"svc.bff"}"#, Some(roles(&[]))),
            (
                "two roles",
                r#"{"principalId":"x","roles":"auditor  pii-reader"}"#,
                Some(roles(&["auditor", "pii-reader"])),
            ),
            (
                "roles as a list is no context value",
                r#"{"principalId":"x","roles":["auditor"]}"#,
                Some(roles(&[])),
            ),
        ] {
            assert_eq!(caller(authorizer).map(|c| c.roles), expected, "{label}");
        }
    }
}
