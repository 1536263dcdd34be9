//! The SDK's clients, each made when it is first needed: an incident needs a few of them, and a cold start none.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use aws_config::{Region, SdkConfig};

/// The clients of an account.
#[derive(Debug)]
pub(super) struct Clients {
    sdk: SdkConfig,
    guardduty: OnceLock<aws_sdk_guardduty::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    lambda: OnceLock<aws_sdk_lambda::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    /// By region.
    waf: Mutex<BTreeMap<String, aws_sdk_wafv2::Client>>,
}

impl Clients {
    /// Clients of this configuration.
    pub(super) const fn new(sdk: SdkConfig) -> Self {
        Self {
            sdk,
            guardduty: OnceLock::new(),
            iam: OnceLock::new(),
            lambda: OnceLock::new(),
            s3: OnceLock::new(),
            waf: Mutex::new(BTreeMap::new()),
        }
    }

    /// The region of all of them but WAF's.
    pub(super) fn region(&self) -> Option<&Region> {
        self.sdk.region()
    }

    pub(super) fn guardduty(&self) -> &aws_sdk_guardduty::Client {
        self.guardduty.get_or_init(|| aws_sdk_guardduty::Client::new(&self.sdk))
    }

    pub(super) fn iam(&self) -> &aws_sdk_iam::Client {
        self.iam.get_or_init(|| aws_sdk_iam::Client::new(&self.sdk))
    }

    pub(super) fn lambda(&self) -> &aws_sdk_lambda::Client {
        self.lambda.get_or_init(|| aws_sdk_lambda::Client::new(&self.sdk))
    }

    pub(super) fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| aws_sdk_s3::Client::new(&self.sdk))
    }

    /// WAF's, of the region that keeps the set.
    pub(super) fn waf(&self, region: &str) -> aws_sdk_wafv2::Client {
        let mut clients = self.waf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(region) {
            return client.clone();
        }
        let sdk = self.sdk.clone().into_builder().region(Region::new(region.to_owned())).build();
        let client = aws_sdk_wafv2::Client::new(&sdk);
        clients.insert(region.to_owned(), client.clone());
        client
    }
}
