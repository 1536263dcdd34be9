//! One call of a Query API: a signed form out, the XML of an answer in.

use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use http_body_util::Limited;
use portcullis_response::{PortError, PortResult};
use roxmltree::Node;

use super::endpoint::endpoint;
use super::form::Form;
use super::xml;
use crate::response::failure::failed;

/// Calls EC2 and Auto Scaling.
#[derive(Debug)]
pub(crate) struct QueryClient {
    ec2: Service,
    scaling: Service,
}

/// A Query API.
#[derive(Debug)]
pub(super) struct Api {
    /// As in host names, signatures and IAM actions.
    pub(super) name: &'static str,
    /// As in configuration.
    pub(super) id: &'static str,
    version: &'static str,
}

#[derive(Debug)]
struct Service {
    api: &'static Api,
    sdk: SdkConfig,
    /// Made at the first call. What is missing (a region, credentials) stays missing.
    operation: OnceLock<PortResult<Query>>,
}

/// From the body of a request to that of its answer.
type Query = Operation<String, String, ErrorMetadata>;

/// Why a call did not do what it should.
#[derive(Debug)]
pub(super) struct Failed {
    error: PortError,
    /// The code of the service; empty where it gave none.
    code: String,
}

impl From<Failed> for PortError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl From<PortError> for Failed {
    fn from(error: PortError) -> Self {
        Self { error, code: String::new() }
    }
}

impl QueryClient {
    /// Calls the region, with the credentials, through the HTTP client and in the time that `sdk` says.
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        let service = |api| Service { api, sdk: sdk.clone(), operation: OnceLock::new() };
        Self { ec2: service(&EC2), scaling: service(&AUTO_SCALING) }
    }

    /// Makes a call, named as IAM does (`ec2:DescribeInstances`), and reads its answer.
    pub(super) async fn call<T>(
        &self,
        action: &'static str,
        form: &Form,
        read: impl FnOnce(Node<'_, '_>) -> PortResult<T> + Send,
    ) -> Result<T, Failed> {
        let (service, operation) = action.split_once(':').unwrap_or((EC2.name, action));
        let service = if service == AUTO_SCALING.name { &self.scaling } else { &self.ec2 };
        let answer = service.call(action, operation, form).await?;
        let document = xml::parse(&answer)?;
        let root = document.root_element();
        // Anything else is somebody else's answer: that of a proxy, or of another call.
        if root.tag_name().name().strip_suffix("Response") != Some(operation) {
            return Err(xml::UNREADABLE.into());
        }
        Ok(read(root)?)
    }

    /// Makes a call that changes something. `already` are the codes that say that it is as wanted.
    pub(super) async fn write(&self, action: &'static str, form: &Form, already: &[&str]) -> PortResult<()> {
        self.changed(action, form, already).await.map(drop)
    }

    /// The same; whether the call changed anything.
    pub(super) async fn changed(
        &self,
        action: &'static str,
        form: &Form,
        already: &[&str],
    ) -> PortResult<bool> {
        match self.call(action, form, accepted).await {
            Err(failed) if already.contains(&failed.code.as_str()) => Ok(false),
            answer => Ok(answer.map(|()| true)?),
        }
    }

    /// Reads all pages.
    pub(super) async fn pages(
        &self,
        action: &'static str,
        form: &Form,
        mut read: impl FnMut(Node<'_, '_>) -> PortResult<()> + Send,
    ) -> PortResult<()> {
        let mut form_of_page = form.clone();
        for _ in 0..MAX_PAGES {
            let next = |root: Node<'_, '_>| {
                read(root)?;
                Ok(xml::text(root, "nextToken").map(str::to_owned))
            };
            let Some(token) = self.call(action, &form_of_page, next).await? else { return Ok(()) };
            form_of_page = form.clone().with("NextToken", &token);
        }
        Err(PortError::Refused("too many pages".to_owned()))
    }
}

/// Writes answer `<return>true</return>`, or with what they made.
fn accepted(root: Node<'_, '_>) -> PortResult<()> {
    match xml::text(root, "return") {
        None | Some("true") => Ok(()),
        Some(_) => Err(PortError::Refused("not done".to_owned())),
    }
}

impl Service {
    async fn call(&self, action: &'static str, operation: &str, form: &Form) -> Result<String, Failed> {
        let body = Form::default()
            .with("Action", operation)
            .with("Version", self.api.version)
            .followed_by(form)
            .into_body();
        let made = self.operation.get_or_init(|| query(&self.sdk, self.api));
        let query = made.as_ref().map_err(Clone::clone)?;
        query.invoke(body).await.map_err(|error| {
            let port_error = failed(action, &error);
            let code = code_of(&error).to_owned();
            Failed { error: meaning(&code).unwrap_or(port_error), code }
        })
    }
}

fn code_of(error: &SdkError<ErrorMetadata, HttpResponse>) -> &str {
    error.as_service_error().and_then(ErrorMetadata::code).unwrap_or_default()
}

/// What only these services say.
fn meaning(code: &str) -> Option<PortError> {
    match code {
        "SnapshotCreationPerVolumeRateExceeded" | "ConcurrentSnapshotLimitExceeded" => {
            Some(PortError::Throttled)
        }
        "ConcurrentTagAccess" | "ScalingActivityInProgress" => Some(PortError::Conflict),
        _ => None,
    }
}

fn query(sdk: &SdkConfig, api: &'static Api) -> PortResult<Query> {
    let refused = |why: &str| PortError::Refused(why.to_owned());
    let endpoint = endpoint(sdk, api).ok_or_else(|| refused("no valid region is set"))?;
    let mut builder = Operation::builder()
        .service_name(api.name)
        .operation_name("Query")
        .endpoint_url(&endpoint)
        .timeout_config(timeouts(sdk))
        .no_retry()
        .interceptor(BoundedAnswer)
        .runtime_plugin(signing(sdk, api).ok_or_else(|| refused("no credentials or region are set"))?);
    if let Some(version) = sdk.behavior_version() {
        builder = builder.behavior_version(version);
    }
    if let Some(client) = sdk.http_client() {
        builder = builder.http_client(client);
    }
    if let Some(sleep) = sdk.sleep_impl() {
        builder = builder.sleep_impl(sleep);
    }
    if let Some(clock) = sdk.time_source() {
        builder = builder.time_source(clock);
    }
    Ok(builder.serializer(request).deserializer(body).build())
}

/// Signature version 4 over the body, with the credentials that the SDK's clients use, kept as they keep them.
fn signing(sdk: &SdkConfig, api: &'static Api) -> Option<StaticRuntimePlugin> {
    let mut layer = Layer::new("query");
    layer
        .store_put(AuthSchemeOptionResolverParams::new(()))
        .store_put(SigV4OperationSigningConfig::default())
        .store_put(SigningName::from_static(api.name))
        .store_put(SigningRegion::from(sdk.region()?.clone()));
    let components = RuntimeComponentsBuilder::new("query")
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
        .with_auth_scheme(SigV4AuthScheme::new())
        .with_identity_cache(sdk.identity_cache())
        .with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(sdk.credentials_provider()?));
    Some(StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components))
}

/// Every call is bounded, whether or not the configuration says how.
fn timeouts(sdk: &SdkConfig) -> TimeoutConfig {
    let mut timeouts = sdk.timeout_config().cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
    timeouts.take_defaults_from(
        &TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build(),
    );
    timeouts
}

fn request(form: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(form));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    request.headers_mut().insert("user-agent", concat!("portcullis/", env!("CARGO_PKG_VERSION")));
    Ok(request)
}

fn body(response: &HttpResponse) -> Result<String, OrchestratorError<ErrorMetadata>> {
    let text = response.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    if response.status().is_success() {
        return text.map(str::to_owned).ok_or_else(|| OrchestratorError::response("not UTF-8".into()));
    }
    let (code, request_id) = text.map(xml::error).unwrap_or_default();
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code {
        error = error.code(code);
    }
    if let Some(request_id) = request_id {
        error = error.custom("aws_request_id", request_id);
    }
    Err(OrchestratorError::operation(error.build()))
}

/// Ends an answer that is longer than any that we ask for.
#[derive(Debug)]
struct BoundedAnswer;

impl Intercept for BoundedAnswer {
    fn name(&self) -> &'static str {
        "BoundedAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let bounded = SdkBody::from_body_1_x(Limited::new(response.take_body(), MAX_ANSWER));
        *response.body_mut() = bounded;
        Ok(())
    }
}

static EC2: Api = Api { name: "ec2", id: "EC2", version: "2016-11-15" };
static AUTO_SCALING: Api = Api { name: "autoscaling", id: "Auto Scaling", version: "2011-01-01" };

/// Bytes. A page of a thousand rules is a tenth of it.
pub(super) const MAX_ANSWER: usize = 4 * 1024 * 1024;
const MAX_PAGES: usize = 100;
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
const CALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
