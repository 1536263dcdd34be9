//! The ARNs that settings hold.

use std::str::FromStr;

use aws_sdk_wafv2::types::Scope;

/// The ARN of a WAF IP set: its region, scope, name and id.
///
/// Source: [AWS WAF in the Service Authorization Reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_awswafv2.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpSetArn {
    /// Where it is kept: CloudFront's sets in us-east-1.
    pub(crate) region: String,
    pub(crate) scope: Scope,
    pub(crate) name: String,
    pub(crate) id: String,
}

/// Why a text is not taken for an ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ARN of the kind that is needed")]
pub struct ArnError;

/// What the ARN of our own role says of where we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnRole {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub(super) partition: String,
    /// Twelve digits.
    pub(super) account: String,
}

impl FromStr for IpSetArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "wafv2").ok_or(ArnError)?;
        let parts: Vec<_> = arn.resource.split('/').collect();
        let [scope, "ipset", name, id] = parts.as_slice() else { return Err(ArnError) };
        let scope = match *scope {
            "regional" => Scope::Regional,
            "global" if arn.region == "us-east-1" => Scope::Cloudfront,
            _ => return Err(ArnError),
        };
        if [arn.region, name, id].iter().any(|part| part.is_empty()) {
            return Err(ArnError);
        }
        let [region, name, id] = [arn.region, name, id].map(str::to_owned);
        Ok(Self { region, scope, name, id })
    }
}

impl FromStr for OwnRole {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let arn = Arn::parse(text).filter(|arn| matches!(arn.service, "iam" | "sts")).ok_or(ArnError)?;
        Ok(Self { partition: arn.partition.to_owned(), account: arn.account.to_owned() })
    }
}

struct Arn<'t> {
    partition: &'t str,
    service: &'t str,
    region: &'t str,
    account: &'t str,
    resource: &'t str,
}

impl<'t> Arn<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = *parts.as_slice() else { return None };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (is_account && !partition.is_empty()).then_some(Self {
            partition,
            service,
            region,
            account,
            resource,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_set_says_all_that_a_call_needs() {
        let arn = |text: &str| text.parse::<IpSetArn>();
        let set = |region: &str, scope| IpSetArn {
            region: region.into(),
            scope,
            name: "blocked".into(),
            id: "a1b2".into(),
        };
        for (text, expected) in [
            (
                "arn:aws:wafv2:eu-west-1:111122223333:regional/ipset/blocked/a1b2",
                Ok(set("eu-west-1", Scope::Regional)),
            ),
            (
                "arn:aws:wafv2:us-east-1:111122223333:global/ipset/blocked/a1b2",
                Ok(set("us-east-1", Scope::Cloudfront)),
            ),
            ("arn:aws:wafv2:eu-west-1:111122223333:global/ipset/blocked/a1b2", Err(ArnError)),
            ("arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/blocked/a1b2", Err(ArnError)),
            ("arn:aws:wafv2:eu-west-1:111122223333:regional/ipset/blocked", Err(ArnError)),
            ("arn:aws:wafv2:eu-west-1:111122223333:regional/ipset//a1b2", Err(ArnError)),
            ("arn:aws:wafv2::111122223333:regional/ipset/blocked/a1b2", Err(ArnError)),
            ("arn:aws:waf:eu-west-1:111122223333:regional/ipset/blocked/a1b2", Err(ArnError)),
            ("arn:aws:wafv2:eu-west-1:1111:regional/ipset/blocked/a1b2", Err(ArnError)),
            ("", Err(ArnError)),
        ] {
            assert_eq!(arn(text), expected, "{text}");
        }
    }

    #[test]
    fn the_arn_of_our_role_says_where_we_are() {
        let role: OwnRole = "arn:aws-us-gov:iam::111122223333:role/a/b".parse().unwrap();
        assert_eq!((role.partition.as_str(), role.account.as_str()), ("aws-us-gov", "111122223333"));
        assert!("arn:aws:s3:::bucket".parse::<OwnRole>().is_err());
    }
}
