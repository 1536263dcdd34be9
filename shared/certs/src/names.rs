//! Names that go into certificates and paths: parsed once, safe from then on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A service, such as `svc.actuator` (`actuator` is the same), or an operator's tool, such as `ops.auditor`. Lower-case
/// letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Service(String);

impl Service {
    /// Its folder, and its host name within the trust domain.
    pub fn short(&self) -> &str {
        &self.0
    }
}

impl FromStr for Service {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.strip_prefix(OPERATOR).is_some_and(is_label) {
            return Ok(Self(text.to_owned()));
        }
        let short = text.strip_prefix(PREFIX).unwrap_or(text);
        if is_label(short) && short != RESERVED {
            Ok(Self(short.to_owned()))
        } else {
            Err(NameError::Service)
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.0.starts_with(OPERATOR) { "" } else { PREFIX };
        write!(f, "{prefix}{}", self.0)
    }
}

/// A host name of a server; no wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

impl DnsName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `domain`, or in it.
    pub(crate) fn is_within(&self, domain: &Self) -> bool {
        self.0.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.to_ascii_lowercase();
        // What looks like an address is none: clients compare it with other kinds of names.
        let address = name.parse::<std::net::IpAddr>().is_ok();
        let good = name.len() <= MAX_DNS && !address && name.split('.').all(is_label);
        if good { Ok(Self(name)) } else { Err(NameError::Dns) }
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The trust domain of SPIFFE ids, in the form of a host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustDomain(DnsName);

impl TrustDomain {
    /// The SPIFFE id of a service.
    pub fn spiffe_id(&self, service: &Service) -> String {
        format!("spiffe://{}/{service}", self.0)
    }

    /// As a host name.
    pub const fn dns(&self) -> &DnsName {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self).map_err(|_| NameError::TrustDomain)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How long a service certificate lives: 1 to 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    /// The number.
    pub const fn count(self) -> u8 {
        self.0
    }
}

impl Default for Days {
    fn default() -> Self {
        Self(MAX_DAYS)
    }
}

impl FromStr for Days {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days)).map(Self).ok_or(NameError::Days)
    }
}

/// The serial number of a certificate: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial([u8; 16]);

impl Serial {
    pub(crate) fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; 16];
        // A leading zero byte would not be written, and the number then be shown in two forms.
        while bytes[0] == 0 {
            aws_lc_rs::rand::fill(&mut bytes)?;
        }
        Ok(Self(bytes))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = [0; 16];
        let hex = text.replace(':', "");
        hex::decode_to_slice(hex.to_ascii_lowercase(), &mut bytes).map_err(|_| NameError::Serial)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A label of a host name (RFC 1123 section 2.1), in lower case.
fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    )*};
}

text_form!(Service, DnsName, Serial);

/// A name is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a service.
    #[error("service is not of the form svc.name or ops.name (a-z, 0-9, -)")]
    Service,
    /// Not a host name.
    #[error("host name is malformed (wildcards and addresses are none)")]
    Dns,
    /// Not a trust domain.
    #[error("trust domain is not of the form of a host name")]
    TrustDomain,
    /// Not 1 to 90.
    #[error("days are not 1 to 90")]
    Days,
    /// Not 32 hexadecimal digits.
    #[error("serial number is not 32 hexadecimal digits")]
    Serial,
}

const PREFIX: &str = "svc.";
const OPERATOR: &str = "ops.";
/// The folder of the CA itself.
const RESERVED: &str = "ca";
const MAX_DNS: usize = 253;
const MAX_DAYS: u8 = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_can_be_a_folder_and_a_host_name() {
        for (text, short) in [
            ("svc.actuator", Some("actuator")),
            ("actuator", Some("actuator")),
            ("a-1", Some("a-1")),
            ("svc.ca", None),
            ("ca", None),
            ("ops.auditor", Some("ops.auditor")),
            ("svc.svc.a", None),
            ("svc.ops.a", None),
            ("ops.svc.a", None),
            ("ops.", None),
            ("", None),
            ("svc.", None),
            ("..", None),
            ("../x", None),
            ("a/b", None),
            ("Actuator", None),
            ("-a", None),
            ("a-", None),
            ("a b", None),
            ("a\0", None),
        ] {
            assert_eq!(text.parse::<Service>().ok().as_ref().map(Service::short), short, "{text:?}");
        }
        let domain: TrustDomain = "corp.example".parse().unwrap();
        assert_eq!(domain.spiffe_id(&"actuator".parse().unwrap()), "spiffe://corp.example/svc.actuator");
        assert_eq!(domain.spiffe_id(&"ops.auditor".parse().unwrap()), "spiffe://corp.example/ops.auditor");
    }

    #[test]
    fn host_names_and_what_they_are_within() {
        for text in ["localhost", "a.corp.example", "A.Corp.Example", "1.example"] {
            assert!(text.parse::<DnsName>().is_ok(), "{text}");
        }
        for text in
            ["", "*.corp.example", "127.0.0.1", "::1", "a..b", ".a", "a.", "a_b.example", "ä.example", "a/b"]
        {
            assert!(text.parse::<DnsName>().is_err(), "{text}");
        }
        let domain: DnsName = "corp.example".parse().unwrap();
        for (text, within) in
            [("corp.example", true), ("a.corp.example", true), ("acorp.example", false), ("example", false)]
        {
            assert_eq!(text.parse::<DnsName>().unwrap().is_within(&domain), within, "{text}");
        }
    }

    #[test]
    fn days_and_serials() {
        for (text, good) in
            [("1", true), ("90", true), ("0", false), ("91", false), ("-1", false), ("x", false)]
        {
            assert_eq!(text.parse::<Days>().is_ok(), good, "{text}");
        }
        let serial = Serial::random().unwrap();
        assert_eq!(serial.to_string().parse(), Ok(serial));
        assert_eq!("AB:".repeat(15).parse::<Serial>(), Err(NameError::Serial));
        assert_ne!(serial, Serial::random().unwrap());
    }
}
