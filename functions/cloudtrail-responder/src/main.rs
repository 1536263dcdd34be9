//! Lambda: detection on CloudTrail events, and the audit of what EventBridge lost.

fn main() {}
