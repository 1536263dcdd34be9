//! Whatever the bytes: hits lie inside the text, in order, apart, on character boundaries, and masking hides them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_pii::Detector;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

fuzz_target!(|bytes: &[u8]| {
    let mut hits = Vec::new();
    DETECTOR.scan_into(bytes, &mut hits);
    let mut end = 0;
    for hit in &hits {
        assert!(end <= hit.start && hit.start < hit.end && hit.end <= bytes.len());
        assert!((0.0..=1.0).contains(&hit.confidence) && hit.confidence > 0.0);
        end = hit.end;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(DETECTOR.scan(text), hits);
        for hit in &hits {
            assert!(text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end));
        }
    }
    // Scanning appends: what was found before stays.
    let before = hits.clone();
    DETECTOR.scan_into(bytes, &mut hits);
    assert_eq!(hits, [&before[..], &before[..]].concat());
});
