//! Every contract over AWS, through the real SDK: ministack, and moto for the KMS calls that ministack gets wrong.
//! What neither gets right is tested at the HTTP boundary, in `shared/aws/tests/wire`.
#![cfg(test)]

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use portcullis_aws::{DynamoKeys, DynamoRecords, KmsWrapper, S3Claims, SdkConfig, SqsDeadLetters, SqsQueues};
use portcullis_pii::{KeyError, KeyStore, KeyWrapper, PageRequest, Purpose, RecordError, Records};
use portcullis_tests::contract::dead_letters::{DeadLetterReader, Found};
use portcullis_tests::contract::item_queue::QueueConsumer;
use portcullis_tests::contract::{claim_check, dead_letters, item_queue, key_store, record_objects, records};
use portcullis_tests::emulators::{Emulator, Stack, deploy_stack};
use portcullis_webhook::{ClaimCheck, ClaimCheckError, ItemQueue, Lane, Outgoing, QueueError};

async fn stack() -> (SdkConfig, Stack) {
    let account = Emulator::ministack().account();
    (account.config().await, deploy_stack(&account).await)
}

/// Takes and removes all messages of a queue.
async fn drain(config: &SdkConfig, url: &str) -> Vec<Message> {
    let client = aws_sdk_sqs::Client::new(config);
    let mut drained = Vec::new();
    loop {
        let answer = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_system_attribute_names(Attribute::All)
            .message_attribute_names("All")
            .send()
            .await
            .unwrap();
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            return drained;
        }
        for message in messages {
            let handle = message.receipt_handle().unwrap();
            client.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
            drained.push(message);
        }
    }
}

fn attribute(message: &Message, name: &Attribute) -> String {
    message.attributes().unwrap()[name].clone()
}

struct SqsConsumer {
    config: SdkConfig,
    stack: Stack,
}

impl QueueConsumer for SqsConsumer {
    async fn drain(&self, lane: Lane) -> Vec<Outgoing> {
        let url = match lane {
            Lane::Text => &self.stack.text_queue_url,
            Lane::Media => &self.stack.media_queue_url,
        };
        let outgoing = |message: Message| Outgoing {
            group: attribute(&message, &Attribute::MessageGroupId),
            dedup_id: attribute(&message, &Attribute::MessageDeduplicationId),
            body: message.body.unwrap(),
        };
        drain(&self.config, url).await.into_iter().map(outgoing).collect()
    }
}

#[tokio::test]
async fn item_queue_on_sqs() {
    let (config, stack) = stack().await;
    let queue = SqsQueues::new(&config, &stack.text_queue_url, &stack.media_queue_url);
    item_queue::suite(&queue, &SqsConsumer { config: config.clone(), stack: stack.clone() }).await;

    let missing = SqsQueues::new(&config, format!("{}-missing", stack.text_queue_url), "");
    let item = Outgoing { group: "g".into(), dedup_id: "d".into(), body: "b".into() };
    assert_eq!(missing.send_batch(Lane::Text, &[item]).await, Err(QueueError::Refused), "no such queue");
}

struct SqsReader {
    config: SdkConfig,
    stack: Stack,
}

impl DeadLetterReader for SqsReader {
    async fn read(&self, lane: &str) -> Vec<Found> {
        let url = if lane == "text" { &self.stack.text_dlq_url } else { &self.stack.media_dlq_url };
        let found = |message: Message| Found {
            group: attribute(&message, &Attribute::MessageGroupId),
            dedup_id: attribute(&message, &Attribute::MessageDeduplicationId),
            reason: message.message_attributes().unwrap()["reason"].string_value().unwrap().to_owned(),
            body: message.body.unwrap(),
        };
        drain(&self.config, url).await.into_iter().map(found).collect()
    }
}

#[tokio::test]
async fn dead_letters_on_sqs() {
    let (config, stack) = stack().await;
    let letters = SqsDeadLetters::new(&config, &stack.text_dlq_url, &stack.media_dlq_url);
    dead_letters::suite(&letters, &SqsReader { config, stack }).await;
}

#[tokio::test]
async fn claim_check_on_s3() {
    let (config, stack) = stack().await;
    let key = Some(stack.conversation_key_id.clone());
    for kms_key in [None, key] {
        let bucket = S3Claims::new(&config, &stack.claim_check_bucket, kms_key);
        claim_check::suite(&bucket).await;
        record_objects::suite(&bucket).await;
    }
    let missing = S3Claims::new(&config, "portcullis-no-such-bucket", None);
    assert_eq!(missing.put("k", b"b").await, Err(ClaimCheckError::Refused));
    assert_eq!(
        missing.get("k", 10).await,
        Err(ClaimCheckError::Refused),
        "a missing bucket is not a missing key"
    );
}

#[tokio::test]
async fn records_on_dynamodb() {
    let (config, stack) = stack().await;
    records::suite(&DynamoRecords::new(&config, &stack.conversations_table)).await;

    let missing = DynamoRecords::new(&config, "no-such-table");
    let page = PageRequest { limit: 1, after: None };
    assert_eq!(missing.conversation("c", &page).await, Err(RecordError::Refused));
    let (put, name) = (aws_sdk_dynamodb::Client::new(&config), &stack.conversations_table);
    let string = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.into());
    let put = put.put_item().table_name(name).item("conversation", string("foreign"));
    put.item("item", string("i")).item("position", string("p")).send().await.unwrap();
    let records = DynamoRecords::new(&config, name);
    assert_eq!(records.conversation("foreign", &page).await, Err(RecordError::Malformed));
}

#[tokio::test]
async fn a_page_cut_short_at_one_megabyte_goes_on() {
    let (config, stack) = stack().await;
    let records = DynamoRecords::new(&config, &stack.conversations_table);
    for n in 0..8 {
        let record = portcullis_pii::StoredRecord {
            conversation: "large".into(),
            item: format!("i{n}"),
            position: format!("p{n}"),
            subject: None,
            kind: "text".into(),
            class: "PII".into(),
            received_at: n,
            expires_at: 4_102_444_800,
            header: vec![1],
            fields: [("body".to_owned(), vec![7; 190_000])].into(),
            outside: [].into(),
        };
        records.put_if_absent(&record).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = records.conversation("large", &PageRequest { limit: 100, after }).await.unwrap();
        assert!(!page.records.is_empty());
        seen.extend(page.records.into_iter().map(|record| record.received_at));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn key_store_on_dynamodb() {
    let (config, stack) = stack().await;
    key_store::suite(&DynamoKeys::new(&config, &stack.subject_keys_table)).await;
    let missing = DynamoKeys::new(&config, "no-such-table");
    assert_eq!(missing.index_key().await, Err(KeyError::Refused));
}

/// ministack is right about contexts and about the state of keys, but not about purposes and changed ciphertexts.
#[tokio::test]
async fn key_wrapper_on_ministack() {
    let (config, stack) = stack().await;
    let wrapper = KmsWrapper::new(&config, &stack.conversation_key_id, &stack.media_key_id);
    let context = [("table", "t"), ("version", "1")];
    for purpose in [Purpose::Conversation, Purpose::Media] {
        let key = wrapper.generate(purpose, &context).await.unwrap();
        assert_eq!(wrapper.unwrap(purpose, &context, &key.wrapped).await.unwrap(), key.plaintext);
        for wrong in [&context[..1], &[("table", "t"), ("version", "2")][..], &[]] {
            assert_eq!(
                wrapper.unwrap(purpose, wrong, &key.wrapped).await,
                Err(KeyError::Invalid),
                "{wrong:?}"
            );
        }
    }

    let kms = aws_sdk_kms::Client::new(&config);
    let wrapped = wrapper.generate(Purpose::Media, &context).await.unwrap().wrapped;
    let refused = async |state: &str| {
        let generated = wrapper.generate(Purpose::Media, &context).await.map(drop);
        assert_eq!(generated, Err(KeyError::Refused), "{state}");
        let unwrapped = wrapper.unwrap(Purpose::Media, &context, &wrapped).await;
        assert_eq!(unwrapped, Err(KeyError::Refused), "{state}");
    };
    kms.disable_key().key_id(&stack.media_key_id).send().await.unwrap();
    refused("disabled").await;
    kms.enable_key().key_id(&stack.media_key_id).send().await.unwrap();
    assert!(wrapper.unwrap(Purpose::Media, &context, &wrapped).await.is_ok());
    let deletion = kms.schedule_key_deletion().key_id(&stack.media_key_id).pending_window_in_days(7);
    deletion.send().await.unwrap();
    refused("pending deletion").await;
    let unknown = KmsWrapper::new(&config, "00000000-0000-4000-8000-000000000000", "alias/none");
    assert_eq!(unknown.generate(Purpose::Media, &context).await.map(drop), Err(KeyError::Refused));
}

/// moto authenticates ciphertexts as KMS does. It answers `AccessDeniedException` to a ciphertext of another key, where
/// KMS answers `IncorrectKeyException` (tested at the HTTP boundary), and to one whose first 36 bytes, its id of the
/// key, were changed: hence not the suite's own cases.
#[tokio::test]
async fn changed_ciphertexts_on_moto() {
    let config = Emulator::moto().account().config().await;
    let kms = aws_sdk_kms::Client::new(&config);
    let key = async || kms.create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap();
    let wrapper = KmsWrapper::new(&config, key().await, key().await);
    let context = [("table", "t")];
    let key = wrapper.generate(Purpose::Conversation, &context).await.unwrap();
    for at in 36..key.wrapped.len() {
        let mut changed = key.wrapped.clone();
        changed[at] ^= 1;
        let answer = wrapper.unwrap(Purpose::Conversation, &context, &changed).await;
        assert_eq!(answer, Err(KeyError::Invalid), "byte {at} changed");
    }
    let answer = wrapper.unwrap(Purpose::Conversation, &context, &key.wrapped[..key.wrapped.len() - 1]).await;
    assert_eq!(answer, Err(KeyError::Invalid), "cut short");
    let other = wrapper.unwrap(Purpose::Media, &context, &key.wrapped).await;
    assert_eq!(other, Err(KeyError::Refused), "the key of the other purpose does not open it");
    assert_eq!(wrapper.unwrap(Purpose::Conversation, &context, &key.wrapped).await.unwrap(), key.plaintext);
}
