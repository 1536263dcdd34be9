//! Which ports a security group rule opens to everybody.

use crate::tree::Node;

/// Ports (`22`, `0-65535`, `all`) that the request opens to `0.0.0.0/0` or `::/0`, other than those of the web, 80 and
/// 443: what serves the public serves there.
pub(crate) fn world_ports(parameters: &Node<'_>) -> Vec<String> {
    let mut permissions = Vec::new();
    for path in PERMISSIONS {
        parameters.find(path, &mut permissions);
    }
    // The short form: one permission, spread over the parameters themselves.
    permissions.push(parameters);
    permissions.into_iter().flat_map(Node::items).filter(|p| is_open(p)).filter_map(ports).collect()
}

fn is_open(permission: &Node<'_>) -> bool {
    let mut ranges = Vec::new();
    for path in RANGES {
        permission.find(path, &mut ranges);
    }
    // Every prefix of length 0 is the whole Internet, whatever address is written before it.
    ranges.into_iter().filter_map(Node::as_str).any(|range| range.ends_with("/0"))
}

fn ports(permission: &Node<'_>) -> Option<String> {
    let port = |names: [&str; 2]| {
        names.into_iter().find_map(|name| match permission.member(name) {
            Some(Node::Int(port)) => Some(*port),
            Some(Node::Str(port)) => port.parse().ok(),
            _ => None,
        })
    };
    let protocol =
        ["ipProtocol", "IpProtocol"].into_iter().find_map(|name| permission.member(name)?.as_str());
    match (port(["fromPort", "FromPort"]), port(["toPort", "ToPort"])) {
        // ICMP has types, not ports.
        _ if protocol.is_some_and(|p| p.starts_with("icmp")) => None,
        (Some(from), Some(to)) if from == to && WEB.contains(&from) => None,
        (Some(from), None) if WEB.contains(&from) => None,
        (Some(-1), _) | (None, _) => Some("all".to_owned()),
        (Some(from), Some(to)) if from != to => Some(format!("{from}-{to}")),
        (Some(from), _) => Some(from.to_string()),
    }
}

const WEB: [i64; 2] = [80, 443];

/// Where `AuthorizeSecurityGroupIngress` and `ModifySecurityGroupRules` hold their permissions.
const PERMISSIONS: [&str; 2] =
    ["ipPermissions.items", "ModifySecurityGroupRulesRequest.SecurityGroupRule.SecurityGroupRule"];

const RANGES: [&str; 7] = [
    "cidrIp",
    "cidrIpv6",
    "CidrIpv4",
    "CidrIpv6",
    "ipRanges.items.cidrIp",
    "ipv6Ranges.items.cidrIpv6",
    "ipv6Ranges.items.cidrIp",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_open_to_everybody_counts() {
        let long =
            |permission: &str| format!(r#"{{"groupId":"sg","ipPermissions":{{"items":[{permission}]}}}}"#);
        for (case, json, expected) in [
            ("short form", r#"{"cidrIp":"0.0.0.0/0","fromPort":22,"toPort":22,"ipPermissions":{}}"#.to_owned(), vec!["22"]),
            ("short form, inside", r#"{"cidrIp":"10.0.0.0/8","fromPort":22,"toPort":22}"#.to_owned(), vec![]),
            ("long form", long(r#"{"ipProtocol":"tcp","fromPort":3306,"toPort":3306,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}"#), vec!["3306"]),
            ("IPv6", long(r#"{"fromPort":22,"toPort":22,"ipv6Ranges":{"items":[{"cidrIpv6":"::/0"}]}}"#), vec!["22"]),
            ("the web", long(r#"{"fromPort":443,"toPort":443,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}"#), vec![]),
            ("from 80 to 443", long(r#"{"fromPort":80,"toPort":443,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}"#), vec!["80-443"]),
            (
                "the web, and ssh from inside",
                long(r#"{"fromPort":443,"toPort":443,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}},{"fromPort":22,"toPort":22,"ipRanges":{"items":[{"cidrIp":"10.0.0.0/8"}]}}"#),
                vec![],
            ),
            ("everything", long(r#"{"ipProtocol":"-1","ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}"#), vec!["all"]),
            ("ping", long(r#"{"ipProtocol":"icmp","fromPort":-1,"toPort":-1,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}"#), vec![]),
            (
                "a changed rule",
                r#"{"ModifySecurityGroupRulesRequest":{"SecurityGroupRule":{"SecurityGroupRule":{"CidrIpv4":"0.0.0.0/0","FromPort":22,"ToPort":22}}}}"#.to_owned(),
                vec!["22"],
            ),
        ] {
            assert_eq!(world_ports(&serde_json::from_str(&json).unwrap()), expected, "{case}");
        }
    }
}
