//! The routes of the API and the action that each takes.

use std::fmt;

use serde::Deserialize;

use crate::{Action, FileError, file};

/// A method of HTTP that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// Its name in capitals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A path as API Gateway writes a resource: `/conversations/{id}`. A parameter is one whole segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PathTemplate {
    text: String,
    /// With `*` for every parameter.
    wildcard: String,
}

impl PathTemplate {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments: a literal, or `None` for a parameter.
    pub fn segments(&self) -> impl Iterator<Item = Option<&str>> {
        segments(&self.text)
    }

    /// The path with `*` for every parameter.
    pub(crate) fn wildcard(&self) -> &str {
        &self.wildcard
    }

    /// Whether a request's path, without the stage and still encoded, is of this form. A parameter takes one segment
    /// that is not empty.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut shown = path.split('/');
        for segment in self.segments() {
            match (segment, shown.next()) {
                (Some(literal), Some(found)) if literal == found => {}
                (None, Some(found)) if !found.is_empty() => {}
                _ => return false,
            }
        }
        shown.next().is_none()
    }
}

impl TryFrom<String> for PathTemplate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let literal =
            |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        let segment = |s: &str| {
            let parameter = s.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            literal(parameter.unwrap_or(s))
        };
        let is_path = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
        if text.len() > MAX_PATH || !is_path {
            return Err("not a path template");
        }
        let wildcard =
            segments(&text).fold(String::new(), |path, segment| path + "/" + segment.unwrap_or("*"));
        Ok(Self { text, wildcard })
    }
}

fn segments(template: &str) -> impl Iterator<Item = Option<&str>> {
    template.split('/').skip(1).map(|s| (!s.starts_with('{')).then_some(s))
}

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteAccess {
    /// Anyone, as far as the gateway goes: there is no authorizer before it.
    Public,
    /// Who may do this.
    Action(Action),
}

/// A route of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: PathTemplate,
    /// Who may use it.
    pub access: RouteAccess,
}

impl Route {
    /// The action that it takes; none if it is public.
    pub const fn action(&self) -> Option<&Action> {
        match &self.access {
            RouteAccess::Public => None,
            RouteAccess::Action(action) => Some(action),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path.as_str())
    }
}

/// All routes.
#[derive(Debug, Clone)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Reads a file of the form of `config/access/routes.yml`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(yaml: &str) -> Result<Self, FileError> {
        Self(Vec::new()).with(yaml)
    }

    /// The same routes and those of another file of this form: what one place has besides.
    ///
    /// # Errors
    /// The first thing that is wrong with the file, or with both together.
    pub fn with(self, yaml: &str) -> Result<Self, FileError> {
        let file: RoutesFile = file::read(yaml)?;
        file::check_version(file.version)?;
        let Self(mut routes) = self;
        for RouteEntry { method, path, action, public } in file.routes {
            let access = match (action, public) {
                (Some(action), false) => RouteAccess::Action(action),
                (None, true) => RouteAccess::Public,
                _ => return Err(FileError::entry(path.text, "needs an action, or is public, and not both")),
            };
            let route = Route { method, path, access };
            if routes.iter().any(|r| same_requests(r, &route)) {
                return Err(FileError::Twice(route.to_string()));
            }
            if routes.iter().any(|r| reach_each_other(r, &route)) {
                return Err(FileError::entry(route.to_string(), "an IAM policy cannot tell it from another"));
            }
            routes.push(route);
        }
        Ok(Self(routes))
    }

    /// The file that the stack ships.
    ///
    /// # Errors
    /// Never, as a test holds.
    pub fn shipped() -> Result<Self, FileError> {
        Self::parse(SHIPPED)
    }

    /// All of them, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// The route of a request, by its path without the stage. Where several templates match, a literal goes before a
    /// parameter at the first segment in which they differ, as in API Gateway.
    pub fn find(&self, method: &str, path: &str) -> Option<&Route> {
        let matching = self.0.iter().filter(|r| r.method.as_str() == method && r.path.matches(path));
        let parameters = |r: &'_ Route| r.path.segments().map(|s| s.is_none()).collect::<Vec<_>>();
        matching.min_by(|a, b| parameters(a).cmp(&parameters(b)))
    }
}

/// Whether both stand for exactly the same requests.
fn same_requests(a: &Route, b: &Route) -> bool {
    a.method == b.method && a.path.segments().eq(b.path.segments())
}

/// Whether there is a text that both match when their parameters stand for any text, slashes included, as they do in an
/// IAM policy. Such routes could be allowed and refused apart from each other by no policy.
fn reach_each_other(a: &Route, b: &Route) -> bool {
    let guarded = a.action().is_some() && b.action().is_some();
    a.method == b.method
        && guarded
        && a.action() != b.action()
        && meet(a.path.wildcard().as_bytes(), b.path.wildcard().as_bytes())
}

/// Whether some text matches both patterns. `reach` holds where in `b` one may stand after what was read of `a`.
fn meet(a: &[u8], b: &[u8]) -> bool {
    let mut reach = vec![false; b.len() + 1];
    open(&mut reach, 0, b);
    for byte in a {
        let mut next = vec![false; b.len() + 1];
        for at in (0..reach.len()).filter(|at| reach.get(*at) == Some(&true)) {
            match (byte, b.get(at)) {
                // Any text: everything after this is within reach.
                (b'*', _) => (at..next.len()).for_each(|to| open(&mut next, to, b)),
                (_, Some(b'*')) => open(&mut next, at, b),
                (one, Some(other)) if one == other => open(&mut next, at + 1, b),
                _ => {}
            }
        }
        reach = next;
    }
    reach.last() == Some(&true)
}

/// Marks a place, and those behind the stars that follow it, which may stand for nothing.
fn open(reach: &mut [bool], at: usize, b: &[u8]) {
    for place in at..reach.len() {
        if let Some(place) = reach.get_mut(place) {
            *place = true;
        }
        if b.get(place) != Some(&b'*') {
            break;
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutesFile {
    version: u32,
    routes: Vec<RouteEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    method: Method,
    path: PathTemplate,
    action: Option<Action>,
    #[serde(default)]
    public: bool,
}

const SHIPPED: &str = include_str!("../../../config/access/routes.yml");
const MAX_PATH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_route_and_no_other() {
        let routes = Routes::shipped().unwrap();
        for (method, path, expected) in [
            ("POST", "/pii/decrypt", Some("POST /pii/decrypt")),
            ("GET", "/pii/decrypt", None),
            ("post", "/pii/decrypt", None),
            ("POST", "/pii/decrypt/", None),
            ("POST", "//pii/decrypt", None),
            ("POST", "pii/decrypt", None),
            ("GET", "/conversations/0f1e", Some("GET /conversations/{id}")),
            ("GET", "/conversations/search", Some("GET /conversations/{id}")),
            ("POST", "/conversations/search", Some("POST /conversations/search")),
            ("POST", "/conversations/0f1e", None),
            ("GET", "/conversations/", None),
            ("GET", "/conversations/a/b", None),
            ("GET", "/conversations/a%2Fb", Some("GET /conversations/{id}")),
            ("GET", "/incidents", Some("GET /incidents")),
            ("GET", "/incidents/inc-1", Some("GET /incidents/{id}")),
            ("POST", "/incidents/inc-1/approve", Some("POST /incidents/{id}/approve")),
            ("POST", "/incidents/inc-1/release", Some("POST /incidents/{id}/release")),
            ("POST", "/incidents/inc-1", None),
            ("GET", "/incidents/inc-1/release", None),
            ("POST", "/incidents//release", None),
            ("POST", "/events", None),
            ("POST", "/sts/rotate-keys", Some("POST /sts/rotate-keys")),
            (
                "GET",
                "/.well-known/oauth-authorization-server",
                Some("GET /.well-known/oauth-authorization-server"),
            ),
            ("GET", "", None),
        ] {
            let found = routes.find(method, path).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        }
    }

    #[test]
    fn routes_that_are_added_are_held_to_those_that_are_there() {
        let more = |path: &str| {
            format!("version: 1\nroutes:\n  - {{method: POST, path: '{path}', action: 'read:a'}}\n")
        };
        let both = Routes::shipped().unwrap().with(&more("/events")).unwrap();
        assert_eq!(both.find("POST", "/events").map(ToString::to_string).as_deref(), Some("POST /events"));
        assert_eq!(
            both.find("GET", "/incidents").map(ToString::to_string).as_deref(),
            Some("GET /incidents")
        );
        assert_eq!(Routes::shipped().unwrap().find("POST", "/events"), None);
        for path in ["/incidents/{x}/approve", "/sts/rotate-keys"] {
            assert!(Routes::shipped().unwrap().with(&more(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn literal_goes_before_parameter_whatever_the_order() {
        for order in [["/a/{x}", "/a/b"], ["/a/b", "/a/{x}"]] {
            let list = order.map(|p| format!("  - {{method: GET, path: '{p}', public: true}}\n")).concat();
            let routes = Routes::parse(&format!("version: 1\nroutes:\n{list}")).unwrap();
            assert_eq!(routes.find("GET", "/a/b").unwrap().path.as_str(), "/a/b");
            assert_eq!(routes.find("GET", "/a/c").unwrap().path.as_str(), "/a/{x}");
        }
    }

    #[test]
    fn only_what_judges_for_itself_is_public() {
        let routes = Routes::shipped().unwrap();
        let public: Vec<String> =
            routes.iter().filter(|r| r.action().is_none()).map(ToString::to_string).collect();
        assert_eq!(
            public,
            [
                "GET /webhook",
                "POST /webhook",
                "POST /sts/token",
                "POST /sts/introspect",
                "POST /sts/revoke",
                "GET /sts/jwks",
                "GET /.well-known/oauth-authorization-server",
                "GET /openapi.json"
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let file = |entry: &str| format!("version: 1\nroutes:\n  - {{{entry}}}\n");
        assert!(Routes::parse(&file("method: GET, path: '/a/{b}', action: 'read:a'")).is_ok());
        for (label, yaml) in [
            ("neither action nor public", file("method: GET, path: /a")),
            ("both", file("method: GET, path: /a, action: 'read:a', public: true")),
            ("public: false alone", file("method: GET, path: /a, public: false")),
            ("an unknown method", file("method: ANY, path: /a, public: true")),
            ("no slash", file("method: GET, path: a, public: true")),
            ("a greedy parameter", file("method: GET, path: '/{proxy+}', public: true")),
            ("a wildcard", file("method: GET, path: '/a/*', public: true")),
            ("half a parameter", file("method: GET, path: '/a/{b', public: true")),
            ("an empty segment", file("method: GET, path: '/a//b', public: true")),
            ("a slash at the end", file("method: GET, path: '/a/', public: true")),
            ("an encoded byte", file("method: GET, path: '/a%2f', public: true")),
            ("an unknown field", file("method: GET, path: /a, public: true, cors: true")),
            (
                "two of one form",
                "version: 1\nroutes:\n  - {method: GET, path: '/{a}', public: true}\n  - {method: GET, path: '/{b}', action: 'read:b'}\n".to_owned(),
            ),
        ] {
            assert!(Routes::parse(&yaml).is_err(), "{label}");
        }
    }
}
