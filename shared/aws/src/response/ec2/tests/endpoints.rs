//! Where the requests go.

use aws_config::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use portcullis_response::{AutoScaling, Instances, PortError};

use super::super::endpoint::regional;
use super::{account, done, recorded, sdk};

#[test]
fn names_are_those_of_the_partition() {
    for (region, fips, dual_stack, expected) in [
        ("eu-west-1", false, false, "https://ec2.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", false, false, "https://ec2.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", false, false, "https://ec2.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", false, false, "https://ec2.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", false, false, "https://ec2.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", false, false, "https://ec2.us-isob-east-1.sc2s.sgov.gov"),
        ("us-east-1", true, false, "https://ec2-fips.us-east-1.amazonaws.com"),
        ("us-gov-west-1", true, false, "https://ec2.us-gov-west-1.amazonaws.com"),
        ("us-east-1", false, true, "https://ec2.us-east-1.api.aws"),
        ("cn-north-1", false, true, "https://ec2.cn-north-1.api.amazonwebservices.com.cn"),
        ("us-gov-west-1", true, true, "https://ec2-fips.us-gov-west-1.api.aws"),
    ] {
        assert_eq!(regional("ec2", region, fips, dual_stack), expected, "{region} {fips} {dual_stack}");
    }
}

/// What the environment says: a place for EC2 alone.
#[derive(Debug)]
struct OwnPlace;

impl LoadServiceConfig for OwnPlace {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let ours =
            (key.service_id(), key.env(), key.profile()) == ("EC2", "AWS_ENDPOINT_URL", "endpoint_url");
        ours.then(|| "http://127.0.0.1:5001".to_owned())
    }
}

#[tokio::test]
async fn the_place_of_a_service_goes_before_the_place_of_all() {
    let (_, client) = recorded(&[(200, &done("DeleteTags")), (400, "")]);
    let all = sdk().http_client(client.clone()).endpoint_url("http://127.0.0.1:4701/base");
    let account = account(&all.service_config(OwnPlace).build());
    account.untag_instance("i-1", "k").await.unwrap();
    account.attach("i-1", "web").await.unwrap_err();
    let places: Vec<_> = client.actual_requests().map(|request| request.uri().to_owned()).collect();
    assert_eq!(places, ["http://127.0.0.1:5001/", "http://127.0.0.1:4701/base/"]);
}

#[tokio::test]
async fn without_a_region_credentials_or_with_a_region_that_is_no_name_nothing_is_sent() {
    let refused = |why: &str| Err(PortError::Refused(why.into()));
    for (label, region, expected) in [
        ("none", None, refused("no valid region is set")),
        ("a host", Some("x.evil.example/"), refused("no valid region is set")),
        ("a user", Some("x@evil"), refused("no valid region is set")),
        ("empty", Some(""), refused("no valid region is set")),
    ] {
        let (_, client) = recorded(&[]);
        let mut sdk = sdk().http_client(client.clone());
        sdk.set_region(region.map(Region::from_static));
        assert_eq!(account(&sdk.build()).untag_instance("i-1", "k").await, expected, "{label}");
        assert_eq!(client.actual_requests().count(), 0, "{label}");
    }
    let (_, client) = recorded(&[]);
    let mut sdk = sdk().http_client(client.clone());
    sdk.set_credentials_provider(None);
    let expected = refused("no credentials or region are set");
    assert_eq!(account(&sdk.build()).untag_instance("i-1", "k").await, expected);
    assert_eq!(client.actual_requests().count(), 0);
}
