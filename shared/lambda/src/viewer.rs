//! Whose address a request came from.

use std::net::{IpAddr, SocketAddr};

/// The caller's address: the viewer's, where a header of CloudFront's that is trusted for it says one that can be read, else
/// the one that connected. The header is to be asked for only where nobody reaches the API past CloudFront, which
/// overwrites what the viewer wrote there; of a repeated one nothing is to be taken.
pub fn caller_address(viewer: Option<&str>, connected: Option<&str>) -> Option<IpAddr> {
    viewer.and_then(read).or_else(|| read(connected?))
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
    fn the_viewer_speaks_before_whoever_connected() {
        let edge = Some("203.0.113.7");
        for (label, viewer, connected, expected) in [
            ("viewer", Some("198.51.100.9:1234"), edge, Some("198.51.100.9")),
            ("no viewer", None, edge, edge),
            ("a viewer that cannot be read", Some("localhost"), edge, edge),
            ("nobody", None, None, None),
        ] {
            let expected = expected.map(|e| e.parse().unwrap());
            assert_eq!(caller_address(viewer, connected), expected, "{label}");
        }
    }
}
