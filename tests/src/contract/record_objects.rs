//! The contract of [`RecordObjects`].

use portcullis_pii::{ObjectError, RecordObjects};

use super::fresh;

/// Runs the whole contract.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(objects: &impl RecordObjects) {
    what_was_put_is_read_back(objects).await;
    each_name_is_an_object_of_its_own(objects).await;
    what_was_never_put_is_not_found(objects).await;
    more_than_the_caller_takes_is_refused(objects).await;
}

async fn what_was_put_is_read_back(objects: &impl RecordObjects) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for (what, body, days) in [
        ("one byte", vec![0], 1),
        ("every byte", every_byte.clone(), 7),
        ("3 MB, as long as a webhook's body", every_byte.repeat(12_288), 30),
        ("for ten years", b"sealed".to_vec(), 3_650),
    ] {
        let object = objects.put_object(&fresh("name"), &body, days).await;
        assert!(object.is_ok(), "{what}: {object:?}");
        let object = object.unwrap_or_default();
        assert!(object.starts_with("records/"), "{what}: {object} is not where the consumer may write");
        assert!(objects.object(&object, 4 << 20).await.as_ref() == Ok(&body), "{what}");
    }
}

async fn each_name_is_an_object_of_its_own(objects: &impl RecordObjects) {
    let name = fresh("name");
    let one = objects.put_object(&name, b"one", 7).await.unwrap_or_default();
    let other = objects.put_object(&format!("{name}0"), b"other", 7).await.unwrap_or_default();
    assert_eq!(objects.put_object(&name, b"one", 7).await.as_ref(), Ok(&one), "the same again is harmless");
    assert_eq!(objects.object(&one, 10).await, Ok(b"one".to_vec()));
    assert_eq!(objects.object(&other, 10).await, Ok(b"other".to_vec()));
}

async fn what_was_never_put_is_not_found(objects: &impl RecordObjects) {
    let object = format!("records/7/{}", fresh("never"));
    assert_eq!(objects.object(&object, 10).await, Err(ObjectError::NotFound));
}

async fn more_than_the_caller_takes_is_refused(objects: &impl RecordObjects) {
    let object = objects.put_object(&fresh("large"), &[7; 1_000], 7).await.unwrap_or_default();
    assert_eq!(objects.object(&object, 1_000).await, Ok(vec![7; 1_000]));
    for max in [999, 1, 0] {
        assert_eq!(objects.object(&object, max).await, Err(ObjectError::TooLarge), "at most {max}");
    }
}
