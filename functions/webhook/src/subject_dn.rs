//! The common name in a certificate's subject, as API Gateway writes it
//! ([RFC 4514](https://www.rfc-editor.org/rfc/rfc4514)).

/// Whether the subject has exactly one common name, and it is `expected`.
///
/// The name is parsed, not searched for: `O=CN\=client…` or `CN=client….example.org` do not pass.
pub(crate) fn common_name_is(subject: &str, expected: &str) -> bool {
    let mut names = Vec::new();
    let mut rest = subject;
    loop {
        let Some((kind, after)) = rest.split_once('=') else { return false };
        let Some((value, end)) = value(after) else { return false };
        let kind = kind.trim_matches(' ');
        if kind.eq_ignore_ascii_case("CN") || kind == COMMON_NAME_OID {
            names.push(value);
        } else if kind.is_empty()
            || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        {
            return false;
        }
        match end {
            Some(more) => rest = more,
            None => break,
        }
    }
    matches!(names.as_slice(), [only] if only == expected.as_bytes())
}

/// The value up to the next unescaped separator, unescaped, and what follows that separator. `None`: malformed.
fn value(text: &str) -> Option<(Vec<u8>, Option<&str>)> {
    let mut value = Vec::new();
    // Spaces at either end do not count unless they are escaped.
    let mut kept = 0;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b',' | b'+' | b';' => {
                value.truncate(kept);
                return Some((value, text.get(at + 1..)));
            }
            b'"' | b'<' | b'>' | 0 => return None,
            b' ' if value.is_empty() => {}
            b'\\' => {
                value.push(unescaped(&mut bytes)?);
                kept = value.len();
            }
            other => {
                value.push(other);
                if other != b' ' {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    Some((value, None))
}

/// What follows a backslash: a special character or two hex digits.
fn unescaped(bytes: &mut impl Iterator<Item = (usize, u8)>) -> Option<u8> {
    let (_, first) = bytes.next()?;
    if b" \"#+,;<=>\\".contains(&first) {
        return Some(first);
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    let (high, (_, second)) = (digit(first)?, bytes.next()?);
    u8::try_from(high << 4 | digit(second)?).ok()
}

const COMMON_NAME_OID: &str = "2.5.4.3";

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = "client.webhooks.fbclientcerts.com";

    #[test]
    fn only_an_equal_common_name_passes() {
        for (label, subject, passes) in [
            (
                "as Meta's is",
                "CN=client.webhooks.fbclientcerts.com,O=Meta Platforms\\, Inc.,L=Menlo Park,ST=California,C=US",
                true,
            ),
            ("at the end", "C=US,ST=California,CN=client.webhooks.fbclientcerts.com", true),
            ("with spaces", "C=US, CN = client.webhooks.fbclientcerts.com , O=x", true),
            ("alone", "CN=client.webhooks.fbclientcerts.com", true),
            ("lower case type", "cn=client.webhooks.fbclientcerts.com", true),
            ("by its number", "2.5.4.3=client.webhooks.fbclientcerts.com", true),
            ("in a multi-valued part", "OU=x+CN=client.webhooks.fbclientcerts.com", true),
            ("escaped as hex", "CN=client.webhooks.fbclientcerts\\2ecom", true),
            ("empty", "", false),
            ("no common name", "O=Meta,C=US", false),
            ("empty common name", "CN=", false),
            ("longer name", "CN=client.webhooks.fbclientcerts.com.example.org", false),
            ("shorter name", "CN=webhooks.fbclientcerts.com", false),
            ("prefix", "CN=evil.client.webhooks.fbclientcerts.com", false),
            ("other case", "CN=CLIENT.webhooks.fbclientcerts.com", false),
            ("inside another value", "O=CN\\=client.webhooks.fbclientcerts.com,CN=evil.example", false),
            ("unescaped in another value", "O=CN=client.webhooks.fbclientcerts.com", false),
            ("after an escaped comma", "O=x\\,CN=client.webhooks.fbclientcerts.com", false),
            ("two common names", "CN=client.webhooks.fbclientcerts.com,CN=evil.example", false),
            (
                "the same twice",
                "CN=client.webhooks.fbclientcerts.com,CN=client.webhooks.fbclientcerts.com",
                false,
            ),
            ("other type that ends in CN", "XCN=client.webhooks.fbclientcerts.com", false),
            ("quoted", "CN=\"client.webhooks.fbclientcerts.com\"", false),
            ("escaped space at the end", "CN=client.webhooks.fbclientcerts.com\\ ", false),
            ("escaped zero", "CN=client.webhooks.fbclientcerts.com\\00.example.org", false),
            ("dangling backslash", "CN=client.webhooks.fbclientcerts.com\\", false),
            ("half an escape", "CN=client.webhooks.fbclientcerts.com\\2", false),
            ("dangling comma", "CN=client.webhooks.fbclientcerts.com,", false),
            ("no equals sign", "CN=client.webhooks.fbclientcerts.com,O", false),
            ("no type", "CN=client.webhooks.fbclientcerts.com,=x", false),
            ("slash form", "/CN=client.webhooks.fbclientcerts.com", false),
        ] {
            assert_eq!(common_name_is(subject, META), passes, "{label}");
        }
    }
}
