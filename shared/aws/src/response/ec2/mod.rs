//! EC2 and Auto Scaling by their Query APIs.

use aws_config::SdkConfig;

/// Calls EC2 and Auto Scaling.
#[derive(Debug)]
pub(crate) struct QueryClient {
    #[expect(dead_code, reason = "the calls come next")]
    sdk: SdkConfig,
}

impl QueryClient {
    /// Calls the region of `sdk`.
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone() }
    }
}
