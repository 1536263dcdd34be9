//! Any bytes are an authorizer's event or are not; one that is says what a full JSON parser says, and no ARN makes a
//! policy speak of more than its stage.
#![no_main]

use authorizer_function::AuthorizerEvent;
use libfuzzer_sys::fuzz_target;
use portcullis_access::{PolicyDocument, Routes};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = AuthorizerEvent::parse(bytes) else { return };
    let Some(arn) = event.arn() else { return };
    let request = event.request(&arn, None);
    assert!(request.path.starts_with('/') && !request.method.is_empty());
    let everything = arn.of_everything();
    assert!(!everything.trim_end_matches("/*").contains(['*', '?']), "{everything}");
    let routes = Routes::shipped().unwrap();
    if let Ok(document) = PolicyDocument::allow(&arn, routes.iter()) {
        let stage = everything.trim_end_matches('*');
        assert!(document.resources().all(|resource| resource.starts_with(stage)));
        assert!(serde_json::to_string(&document).unwrap().len() <= 8_192);
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let text = value["methodArn"].as_str().unwrap();
    assert_eq!(text, format!("{}{}{}", everything.trim_end_matches('*'), request.method, request.path));
});
