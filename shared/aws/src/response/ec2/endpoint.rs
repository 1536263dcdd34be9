//! Where a service is.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::query::Api;

/// The endpoint of a service: the one that is set for it or for all (in code, then in the environment or the profile, by
/// the same rules as the SDK's clients), else that of the region. `None` where no valid region is set either.
pub(super) fn endpoint(sdk: &SdkConfig, api: &Api) -> Option<String> {
    let all = || sdk.endpoint_url().map(str::to_owned);
    let set =
        if sdk.get_origin("endpoint_url").is_client_config() { all() } else { own(sdk, api).or_else(all) };
    set.or_else(|| {
        let region = sdk.region()?.as_ref();
        let fips = sdk.use_fips().unwrap_or_default();
        let dual_stack = sdk.use_dual_stack().unwrap_or_default();
        is_host_label(region).then(|| regional(api.name, region, fips, dual_stack))
    })
}

/// What the environment (`AWS_ENDPOINT_URL_EC2`) or the profile says about this service alone.
fn own(sdk: &SdkConfig, api: &Api) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(api.id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    sdk.service_config()?.load_config(key)
}

/// The names of `GovCloud` meet FIPS without saying so, for these services.
pub(super) fn regional(service: &str, region: &str, fips: bool, dual_stack: bool) -> String {
    let partition = PARTITIONS.iter().find(|(prefix, ..)| region.starts_with(prefix));
    let (_, plain, dual) = partition.unwrap_or(&DEFAULT_PARTITION);
    let suffix = if dual_stack { dual } else { plain };
    let fips = if fips && (dual_stack || !region.starts_with("us-gov-")) { "-fips" } else { "" };
    format!("https://{service}{fips}.{region}.{suffix}")
}

/// A region becomes a part of a host name: nothing else may come in with it.
fn is_host_label(region: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=63).contains(&region.len())
        && region.chars().all(fits)
        && !region.starts_with('-')
        && !region.ends_with('-')
}

/// Prefix of the regions, suffix of names, the same for dual stack. From the SDKs' `partitions.json`.
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];
const DEFAULT_PARTITION: (&str, &str, &str) = ("", "amazonaws.com", "api.aws");
