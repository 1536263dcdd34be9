//! Whose address a request came from.

use std::net::{IpAddr, SocketAddr};

use portcullis_limit::LimitKey;

use crate::Request;
use crate::request::Single;

/// The key of the address limit. Requests without an address that can be read share one.
pub(crate) fn limit_key(request: &Request<'_>, viewer_header: Option<&str>) -> LimitKey {
    address(request, viewer_header)
        .map_or_else(|| LimitKey::principal("portcullis:address", "unknown"), LimitKey::address)
}

/// The address: the viewer's where a header of CloudFront's is trusted for it, else the one that connected.
pub(crate) fn address(request: &Request<'_>, viewer_header: Option<&str>) -> Option<IpAddr> {
    let viewer = match viewer_header.map(|name| request.header(name)) {
        Some(Single::One(text)) => read(text),
        _ => None,
    };
    viewer.or_else(|| read(request.source_address.as_deref()?))
}

/// An address, alone or with a port; CloudFront writes IPv6 with a port and without brackets.
fn read(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        // Eight groups are all of an IPv6 address; with `::` a port at the end would be taken for a group.
        return Some(address);
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Some(with_port.ip());
    }
    let (address, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    address.parse::<IpAddr>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port() {
        for (text, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:443", Some("203.0.113.7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]:443", Some("2001:db8::7")),
            ("2001:0db8:85a3:0000:0000:8a2e:0370:7334:443", Some("2001:db8:85a3::8a2e:370:7334")),
            ("test-invoke-source-ip", None),
            ("203.0.113.7:http", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected.map(|e| e.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_header_speaks_for_the_viewer_only_where_it_is_trusted() {
        let request = Request {
            headers: vec![("CloudFront-Viewer-Address".into(), "198.51.100.9:1234".into())],
            source_address: Some("203.0.113.7".into()),
            ..Request::default()
        };
        assert_eq!(address(&request, None), "203.0.113.7".parse().ok());
        assert_eq!(address(&request, Some("CloudFront-Viewer-Address")), "198.51.100.9".parse().ok());
        assert_eq!(address(&request, Some("X-Other")), "203.0.113.7".parse().ok());
        let nowhere = Request::default();
        assert_ne!(
            limit_key(&nowhere, None),
            limit_key(&request, None),
            "unknown ones share a limit of their own"
        );
    }
}
