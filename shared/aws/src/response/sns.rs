//! Telling people and systems by SNS.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use portcullis_response::{Message, Notifier, PortError, PortResult};
use serde_json::{Value, json};
use std::sync::OnceLock;

use super::failure::failed;
use super::once;

/// [`Notifier`] over a standard SNS topic: text for people, JSON for systems, and message attributes for the filter
/// policies of subscriptions: `severity`, `incident_type`, `account`, `region`, `status`, `phase` as in the JSON, and
/// `id`, which is the same when a message is sent again.
///
/// IAM: `sns:Publish` on the topic, and `kms:GenerateDataKey` and `kms:Decrypt` on the key that encrypts it.
#[derive(Debug)]
pub struct SnsNotifier {
    sdk: SdkConfig,
    client: OnceLock<Client>,
    topic: String,
}

impl SnsNotifier {
    /// Publishes to the topic of this ARN, once a call: the engine sends again.
    pub fn new(sdk: &SdkConfig, topic_arn: impl Into<String>) -> Self {
        Self { sdk: once(sdk), client: OnceLock::new(), topic: topic_arn.into() }
    }
}

impl Notifier for SnsNotifier {
    async fn send(&self, message: &Message) -> PortResult<()> {
        let client = self.client.get_or_init(|| Client::new(&self.sdk));
        let mut call = client.publish().topic_arn(&self.topic).subject(&message.subject);
        for (name, value) in attributes(message) {
            call = call.message_attributes(name, attribute(value)?);
        }
        let call = call.message_structure("json").message(fitting(message));
        call.send().await.map_err(|e| failed("sns:Publish", &e))?;
        Ok(())
    }
}

/// What subscriptions filter by.
fn attributes(message: &Message) -> Vec<(&'static str, String)> {
    let fields: Value = serde_json::from_str(&message.json).unwrap_or_default();
    let text = |name: &&'static str| Some((*name, fields.get(*name)?.as_str()?.to_owned()));
    // SNS refuses an attribute without a value.
    let own = FILTERED.iter().filter_map(text).chain([("id", message.id.clone())]);
    own.filter(|(_, value)| !value.is_empty()).collect()
}

fn attribute(value: String) -> PortResult<MessageAttributeValue> {
    let built = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    built.map_err(|_| PortError::Refused("an attribute cannot be made".to_owned()))
}

/// The message within what SNS takes: all of it; else what every protocol gets by default, the JSON; else the subject.
/// Of something so large it is better to tell a line than nothing.
fn fitting(message: &Message) -> String {
    let shorter = [&message.json, &message.subject].map(|text| json!({ "default": text }).to_string());
    let mut all = [message.sns()].into_iter().chain(shorter);
    all.find(|text| text.len() <= MAX_BYTES).unwrap_or_else(|| json!({ "default": message.id }).to_string())
}

/// SNS takes 256 KiB with the attributes, which stay far below the rest.
const MAX_BYTES: usize = 250 * 1024;
const FILTERED: [&str; 6] = ["severity", "incident_type", "account", "region", "status", "phase"];

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: String) -> Message {
        Message { id: "inc-1-0-opened".into(), subject: "subject".into(), body: "body".into(), json }
    }

    #[test]
    fn what_is_too_large_is_cut_to_what_fits() {
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let whole = parsed(&fitting(&message("{}".into())));
        assert_eq!((&whole["default"], &whole["sms"]), (&json!("{}"), &json!("subject")));
        let json_alone = "x".repeat(100_000);
        assert_eq!(parsed(&fitting(&message(json_alone.clone()))), json!({ "default": json_alone }));
        assert_eq!(parsed(&fitting(&message("x".repeat(300_000)))), json!({ "default": "subject" }));
    }

    #[test]
    fn attributes_are_those_that_the_json_has() {
        let names =
            |json: &str| attributes(&message(json.into())).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(names(r#"{"severity":"HIGH","account":"","count":3}"#), ["severity", "id"]);
        assert_eq!(names("no json"), ["id"]);
    }
}
