//! The ports over AWS services: one module and one feature per service, SDK error in, port error out.
//!
//! Each port method makes one kind of call, so that the IAM policy of a function can be read off the ports it uses.

#[cfg(all(feature = "dynamodb", feature = "eventbridge"))]
mod audit;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "eventbridge")]
mod eventbridge;
mod failure;
#[cfg(feature = "history")]
mod history;
#[cfg(feature = "kms")]
mod kms;
#[cfg(feature = "limits")]
mod limits;
#[cfg(feature = "response")]
mod response;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "secretsmanager")]
mod secretsmanager;
mod settings;
#[cfg(feature = "sqs")]
mod sqs;

#[cfg(all(feature = "dynamodb", feature = "eventbridge"))]
pub use audit::{AwsAudit, audit_sink};
pub use aws_config::SdkConfig;
#[cfg(feature = "correlation")]
pub use dynamodb::DynamoCorrelation;
#[cfg(feature = "incidents")]
pub use dynamodb::DynamoIncidents;
#[cfg(feature = "dynamodb")]
pub use dynamodb::{DynamoAudit, DynamoCredentials, DynamoKeys, DynamoLimits, DynamoRecords, DynamoTokens};
#[cfg(feature = "eventbridge")]
pub use eventbridge::EventBridgeAudit;
#[cfg(feature = "history")]
pub use history::CloudTrailHistory;
#[cfg(feature = "kms")]
pub use kms::{KmsSealer, KmsSigner, KmsSigningKeys, KmsWrapper};
#[cfg(feature = "limits")]
pub use limits::{FunctionLimits, LimitsError, limit_store};
#[cfg(feature = "response")]
pub use response::{AccountSettings, ArnError, AwsAccount, IpSetArn, SnsNotifier};
#[cfg(feature = "s3")]
pub use s3::S3Claims;
#[cfg(feature = "secretsmanager")]
pub use secretsmanager::SecretsManager;
pub use settings::{SdkSettings, connect};
#[cfg(feature = "sqs")]
pub use sqs::{SqsDeadLetters, SqsQueues};
