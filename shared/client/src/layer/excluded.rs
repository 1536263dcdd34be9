//! Paths that need no token. What is not plainly one of them needs one.

/// Paths that are let through without a token, such as a health check.
///
/// The layer must see the path as the client wrote it: put it outside of anything that strips prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExcludedPaths(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Exact(String),
    /// The path and all below it, whole segments only.
    Below(String),
}

impl ExcludedPaths {
    /// Parses paths: `/health` stands for itself, `/docs/*` for `/docs` and everything below it.
    ///
    /// # Errors
    /// When one does not start with `/`, holds what [`ExcludedPaths::contains`] never takes for plain, has a `*` anywhere
    /// but as its last segment, or would exclude everything.
    pub fn parse<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Result<Self, PathError> {
        paths.into_iter().map(|path| Rule::parse(path.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path needs no token.
    ///
    /// A path with an escape, or with what should be one, a dot segment, an empty segment or a parameter is not plain, and
    /// never excluded: what is behind the layer might read it as another.
    pub fn contains(&self, path: &str) -> bool {
        is_plain(path) && self.0.iter().any(|rule| rule.matches(path))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, PathError> {
        let (path, below) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        match below {
            _ if !is_plain(path) || path.contains('*') => Err(PathError),
            true => Ok(Self::Below(path.to_owned())),
            false => Ok(Self::Exact(path.to_owned())),
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Below(top) => {
                path.strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

fn is_plain(path: &str) -> bool {
    let Some(inner) = path.strip_prefix('/') else { return false };
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // The characters that RFC 3986 section 3.3 allows unescaped, but for the semicolon.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&b);
        if (segment.is_empty() && !last) || matches!(segment, "." | "..") || !segment.bytes().all(plain) {
            return false;
        }
    }
    true
}

/// A path cannot be excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("excluded path is malformed")]
pub struct PathError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_excluded() {
        let excluded = ExcludedPaths::parse(["/health", "/docs/*", "/"]).unwrap();
        for (path, expected) in [
            ("/health", true),
            ("/", true),
            ("/docs", true),
            ("/docs/", true),
            ("/docs/a/b.html", true),
            ("/health/", false),
            ("/healthy", false),
            ("/Health", false),
            ("/docsx", false),
            ("/admin", false),
            ("/docs/../admin", false),
            ("/docs/./a", false),
            ("/docs/..", false),
            ("/docs//admin", false),
            ("//health", false),
            ("/docs/%2e%2e/admin", false),
            ("/docs/%2E%2E%2Fadmin", false),
            ("/docs/..%2fadmin", false),
            ("/%68ealth", false),
            ("/docs\\..\\admin", false),
            ("/docs/..;/admin", false),
            ("/docs/a;x=/admin", false),
            ("/docs/\u{2025}/admin", false),
            ("/docs/\0", false),
            ("/docs/a b", false),
            ("health", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(excluded.contains(path), expected, "{path:?}");
        }
        assert!(!ExcludedPaths::default().contains("/"), "nothing is excluded by default");
    }

    #[test]
    fn a_rule_that_could_open_more_than_it_says_is_refused() {
        for rule in [
            "", "health", "/*", "*", "/a*", "/*/a", "/a/*/b", "/a/**", "/a/../b", "/a//b", "/a%2f", "/a;b",
            "/a?b",
        ] {
            assert_eq!(ExcludedPaths::parse([rule]), Err(PathError), "{rule:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        /// However a path is put together: if it is let through, no reader of URLs takes it for another one.
        #[test]
        fn what_is_let_through_means_one_thing(
            parts in proptest::collection::vec("(docs|health|admin|\\.|\\.\\.|%2e|%2F|;|\\\\|[ -~]{0,3}|\\PC)", 0..6),
        ) {
            let excluded = ExcludedPaths::parse(["/health", "/docs/*"]).unwrap();
            let path = format!("/{}", parts.join("/"));
            if excluded.contains(&path) {
                let url = url::Url::parse(&format!("https://a.example{path}")).unwrap();
                proptest::prop_assert_eq!(url.path(), &*path);
                let decoded = path.split('/').nth(1).unwrap();
                proptest::prop_assert!(decoded == "docs" || path == "/health");
            }
        }
    }
}
