//! Where a call came from.

use std::net::IpAddr;

use ipnet::IpNet;

/// What `sourceIPAddress` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An AWS service, by its name: it called on behalf of somebody.
    Service,
    /// An address of the user's own networks.
    Known,
    /// An address that is not routed on the Internet: the call went through an endpoint in a VPC.
    Private,
    /// Any other address, and whatever is no address at all.
    Public,
}

pub(crate) fn origin(source: &str, known: &[IpNet]) -> Origin {
    let Ok(address) = source.parse::<IpAddr>() else {
        // AWS writes the service's name; what is neither that nor an address is not trusted.
        let service = source == "AWS Internal"
            || source.ends_with(".amazonaws.com")
            || source.ends_with(".amazonaws.com.cn");
        return if service { Origin::Service } else { Origin::Public };
    };
    let address = address.to_canonical();
    if known.iter().any(|network| network.contains(&address)) {
        Origin::Known
    } else if is_private(address) {
        Origin::Private
    } else {
        Origin::Public
    }
}

/// Not routed on the Internet (RFC 1918, RFC 6598, RFC 4193, link-local, loopback).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_known_private_a_service_or_public() {
        let known = ["203.0.113.0/24".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()];
        for (source, expected) in [
            ("203.0.113.9", Origin::Known),
            ("::ffff:203.0.113.9", Origin::Known),
            ("2001:db8:1::7", Origin::Known),
            ("198.51.100.1", Origin::Public),
            ("2001:db8:2::7", Origin::Public),
            ("10.1.2.3", Origin::Private),
            ("172.31.0.1", Origin::Private),
            ("100.64.0.1", Origin::Private),
            ("100.128.0.1", Origin::Public),
            ("fd00::1", Origin::Private),
            ("cloudformation.amazonaws.com", Origin::Service),
            ("AWS Internal", Origin::Service),
            ("evil.example/.amazonaws.com.example", Origin::Public),
            ("08.1.250.216", Origin::Public),
            ("", Origin::Public),
        ] {
            assert_eq!(origin(source, &known), expected, "{source}");
        }
    }
}
