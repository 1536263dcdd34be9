//! Any text is an answer of EC2's or is refused: reading it ends, and takes apart no more than it may hold.
#![no_main]

// The reader alone: its room links the whole SDK, which a fuzz target has no use for.
#[path = "../../../shared/aws/src/response/ec2/xml.rs"]
#[allow(dead_code, reason = "the adapters use the rest")]
mod xml;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (code, request) = xml::error(text);
    for found in [code, request].into_iter().flatten() {
        assert!(!found.is_empty() && found.trim() == found);
    }
    let Ok(document) = xml::parse(text) else { return };
    let root = document.root_element();
    for list in ["reservationSet", "securityGroupInfo", "AutoScalingInstances"] {
        for item in xml::items(root, list) {
            for name in ["instanceId", "vpcId", "groupId", "ownerId"] {
                assert_eq!(xml::required(item, name).ok(), xml::text(item, name));
                assert!(xml::text(item, name).is_none_or(|found| found.len() <= text.len()));
            }
        }
    }
});
