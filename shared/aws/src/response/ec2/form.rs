//! The body of a request: `application/x-www-form-urlencoded`.

/// Parameters in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(String);

impl Form {
    /// One more parameter.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(&mut self.0, name);
        self.0.push('=');
        encode(&mut self.0, value);
        self
    }

    /// A list: `name.1`, `name.2`, ….
    #[must_use]
    pub(super) fn list<'v>(self, name: &str, values: impl IntoIterator<Item = &'v str>) -> Self {
        values
            .into_iter()
            .zip(1..)
            .fold(self, |form, (value, n): (_, usize)| form.with(&format!("{name}.{n}"), value))
    }

    /// What is described must have exactly this value; `n` numbers the filters from 1.
    ///
    /// EC2 reads wildcards in values, unless they are escaped:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
    #[must_use]
    pub(super) fn filter(self, n: usize, name: &str, value: &str) -> Self {
        self.with(&format!("Filter.{n}.Name"), name).with(&format!("Filter.{n}.Value.1"), &literal(value))
    }

    /// The encoded parameters.
    pub(super) fn into_body(self) -> String {
        self.0
    }

    /// Everything of another form behind this one's.
    #[must_use]
    pub(super) fn followed_by(mut self, other: &Self) -> Self {
        if !other.0.is_empty() {
            self.0.push('&');
            self.0.push_str(&other.0);
        }
        self
    }
}

/// Everything but RFC 3986's unreserved characters as `%XX`: read alike by those who take `+` for a space and by those
/// who do not.
fn encode(body: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            body.push(char::from(byte));
        } else {
            body.push('%');
            body.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| HEX.get(usize::from(digit)).map_or('0', |d| char::from(*d))),
            );
        }
    }
}

fn literal(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
