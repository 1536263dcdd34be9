//! Labelled texts: what is marked in them is found, and nothing else.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "test support: a panic is a failed test")]

use std::sync::LazyLock;

use portcullis_pii::{Detector, PiiKind};

type Span = (usize, usize, PiiKind);

#[test]
fn what_is_marked_is_found_and_nothing_else() {
    let detector = Detector::new();
    let wrong: Vec<String> = cases()
        .filter_map(|case| {
            let (text, wanted) = unmark(case);
            let found: Vec<Span> = detector.scan(&text).iter().map(|h| (h.start, h.end, h.kind)).collect();
            (found != wanted).then(|| format!("{case}\n  found {}", shown(&text, &found)))
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_cases_cover_every_kind_with_and_without_hits() {
    let spans: Vec<Span> = cases().flat_map(|case| unmark(case).1).collect();
    for kind in PiiKind::ALL {
        assert!(spans.iter().filter(|(.., k)| *k == kind).count() >= 5, "{}", kind.as_str());
    }
    assert!(cases().filter(|case| unmark(case).1.is_empty()).count() >= 100);
    assert!(cases().count() >= 250);
}

/// A text keeps its hits wherever it stands: in the middle of a long line, across the blocks of the first pass.
#[test]
fn hits_do_not_depend_on_where_the_text_stands() {
    let detector = Detector::new();
    for case in cases() {
        let (text, wanted) = unmark(case);
        for shift in [1, 2, 3, 13, 14, 15, 16, 17, 31, 32, 33, 1000] {
            let padded = format!("{}\n{text}\n{}", ".".repeat(shift), " ".repeat(shift));
            let found: Vec<Span> = detector
                .scan(&padded)
                .iter()
                .map(|h| (h.start - shift - 1, h.end - shift - 1, h.kind))
                .collect();
            assert_eq!(found, wanted, "{case} shifted by {shift}");
        }
    }
}

fn cases() -> impl Iterator<Item = &'static str> {
    CASES.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// `<U+202F>` stands for that character: many of them show nothing.
static CASES: LazyLock<String> = LazyLock::new(|| {
    let mut parts = include_str!("detect_cases.txt").split("<U+");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('>').unwrap();
        text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        text.push_str(rest);
    }
    text
});

/// Takes the marks out of a case.
fn unmark(case: &str) -> (String, Vec<Span>) {
    let (mut text, mut spans, mut rest) = (String::new(), Vec::new(), case);
    while let Some((open, kind)) = next_mark(rest) {
        text.push_str(&rest[..open]);
        let body = &rest[open + 2 + kind.as_str().len()..];
        let close = body.find('}').unwrap();
        spans.push((text.len(), text.len() + close, kind));
        text.push_str(&body[..close]);
        rest = &body[close + 1..];
    }
    text.push_str(rest);
    (text.replace("\\n", "\n"), spans)
}

fn next_mark(text: &str) -> Option<(usize, PiiKind)> {
    PiiKind::ALL
        .into_iter()
        .filter_map(|kind| Some((text.find(&format!("{{{}|", kind.as_str()))?, kind)))
        .min_by_key(|(open, _)| *open)
}

fn shown(text: &str, spans: &[Span]) -> String {
    spans.iter().map(|(a, b, kind)| format!("{}|{} ", kind.as_str(), &text[*a..*b])).collect()
}
