//! The WAF's two block lists.

use std::net::IpAddr;

use portcullis_response::{AddressSet, Family, IpSets, PortError, PortResult};

use super::AwsAccount;
use super::arn::IpSetArn;
use super::failure::failed;
use super::pages::unreadable;

impl IpSets for AwsAccount {
    async fn address_set(&self, family: Family) -> PortResult<AddressSet> {
        let arn = self.set(family)?;
        let call = self.clients.waf(&arn.region).get_ip_set();
        let call = call.name(&arn.name).id(&arn.id).scope(arn.scope.clone());
        let answer = call.send().await.map_err(|e| failed("wafv2:GetIPSet", &e))?;
        let (set, lock_token) = answer.ip_set.zip(answer.lock_token).ok_or(unreadable())?;
        Ok(AddressSet { addresses: set.addresses.iter().map(|cidr| plain(cidr)).collect(), lock_token })
    }

    async fn update_address_set(&self, family: Family, set: &AddressSet) -> PortResult<()> {
        let arn = self.set(family)?;
        let call = self.clients.waf(&arn.region).update_ip_set();
        let call = call.name(&arn.name).id(&arn.id).scope(arn.scope.clone()).lock_token(&set.lock_token);
        let call = call.set_addresses(Some(set.addresses.iter().cloned().collect()));
        call.send().await.map_err(|e| failed("wafv2:UpdateIPSet", &e))?;
        Ok(())
    }
}

impl AwsAccount {
    fn set(&self, family: Family) -> PortResult<&IpSetArn> {
        let set = match family {
            Family::V4 => &self.block_list_v4,
            Family::V6 => &self.block_list_v6,
        };
        match set {
            Some(Ok(arn)) => Ok(arn),
            Some(Err(error)) => Err(PortError::Refused(format!("the block list: {error}"))),
            None => Err(PortError::Refused("no block list of that family is set".to_owned())),
        }
    }
}

/// A range as we write it: WAF gives IPv6 back with every zero (`2001:0db8:0000:…/128`).
fn plain(cidr: &str) -> String {
    let parsed = cidr.split_once('/').and_then(|(ip, length)| Some((ip.parse::<IpAddr>().ok()?, length)));
    parsed.map_or_else(|| cidr.to_owned(), |(ip, length)| format!("{ip}/{length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_same_however_waf_writes_it() {
        for (given, expected) in [
            ("203.0.113.7/32", "203.0.113.7/32"),
            ("2001:0db8:0000:0000:0000:0000:0000:0001/128", "2001:db8::1/128"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("what is this", "what is this"),
        ] {
            assert_eq!(plain(given), expected, "{given}");
        }
    }
}
