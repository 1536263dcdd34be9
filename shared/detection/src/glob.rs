//! Patterns in which `*` stands for any text.

/// Whether `text` has the form of `pattern`. Linear for patterns of a few stars.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_nothing_else_is() {
        for (pattern, text, expected) in [
            ("role/admin", "role/admin", true),
            ("role/admin", "role/admin2", false),
            ("role/break-glass*", "role/break-glass", true),
            ("role/break-glass*", "role/break-glass-1", true),
            ("role/break-glass*", "user/break-glass-1", false),
            ("*/portcullis-*", "function/portcullis-pii", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("role/a?", "role/ab", false),
            ("arn:aws:iam::1:role/ci", "arn:aws:iam::1:role/ci", true),
            ("arn:aws:iam::1:role/ci", "arn:aws:iam::1:role/ci2", false),
            ("arn:aws:iam::1:role/ci-*", "arn:aws:iam::1:role/ci-deploy", true),
            ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::123:role/ci-", true),
            ("arn:aws:iam::*:role/*-ci", "arn:aws:iam::123:role/a-ci-b", false),
            ("a*b*c", "a-c-b-c", true),
            ("a*b*c", "a-c-c", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
