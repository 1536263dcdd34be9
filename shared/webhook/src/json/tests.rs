use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn accepts(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.value().is_ok() && reader.end().is_ok()
}

#[test]
fn texts_are_accepted_exactly_as_rfc_8259_has_it() {
    for good in [
        "0",
        "-0",
        "10",
        "-1.5e+10",
        "1E5",
        "0.0",
        "true",
        "false",
        "null",
        "\"\"",
        "[]",
        "{}",
        " \t\r\n1 ",
        "[1,[2,[{}]]]",
        r#"{"a":{"b":[]},"a":1}"#,
        r#""\u00e9\n\"\\\/\b\f\r\t""#,
        r#""\ud83d""#,
        "\"\u{7f}é😀\"",
    ] {
        assert!(accepts(good), "{good}");
    }
    for bad in [
        "",
        " ",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "tru",
        "truee",
        "nul",
        "'a'",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\u{0}\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "[]]",
        "{}{}",
        "\u{feff}1",
        "[1]\u{a0}",
        "/**/1",
        "[1,\u{b}2]",
    ] {
        assert!(!accepts(bad), "{bad:?}");
    }
}

#[test]
fn nesting_is_followed_to_any_depth_without_recursion() {
    for depth in [1, 62, 63, 64, 65, 127, 128, 500, 1_000_000] {
        let arrays = "[".repeat(depth) + &"]".repeat(depth);
        assert!(accepts(&arrays), "{depth}");
        let (short, long) = ("[".repeat(depth) + &"]".repeat(depth - 1), arrays + "]");
        assert!(!accepts(&short) && !accepts(&long), "{depth}");
        let mixed = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth);
        assert!(accepts(&mixed), "{depth}");
        let crossed = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth - 1) + "]}";
        assert!(!accepts(&crossed), "{depth}");
    }
}

#[test]
fn values_are_handed_out_byte_for_byte() {
    let mut reader = Reader::new(" [ {\"a\" : [1 , 2]} ,\"x\\/y\", 1.50 ] ");
    let mut values = Vec::new();
    let mut started = false;
    while reader.element(&mut started).unwrap() {
        values.push(reader.value().unwrap());
    }
    reader.end().unwrap();
    assert_eq!(values, ["{\"a\" : [1 , 2]}", "\"x\\/y\"", "1.50"]);
}

#[test]
fn half_a_surrogate_pair_is_json_but_has_no_decoded_form() {
    for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\ude00\ud83d""#] {
        assert!(accepts(half) && Reader::new(half).long_text().is_err(), "{half}");
        let text = Reader::new(half).text().unwrap().unwrap();
        assert_eq!(text.decode(), half.trim_matches('"'), "passed on as written");
    }
}

/// JSON, near-JSON and noise, with the characters that matter to a scanner.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"[\[\]{}:,"\\u0-9a-fnrtE+. -]{0,40}"#,
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        (r#"[ -~é\n]{0,40}"#, any::<String>()).prop_map(|(a, b)| format!(r#"{{"{a}":["{b}",{{}}]}}"#)),
        proptest::collection::vec(any::<char>(), 0..40)
            .prop_map(|c| {
                c.iter().map(|c| format!("\\u{:04x}", u32::from(*c) & 0xffff)).collect::<String>()
            })
            .prop_map(|s| format!("\"{s}\"")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn verdict_is_that_of_serde_json(text in texts()) {
        prop_assert_eq!(accepts(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok());
    }

    #[test]
    fn decoded_strings_are_those_of_serde_json(text in texts()) {
        if !text.starts_with('"') {
            return Ok(());
        }
        let mut reader = Reader::new(&text);
        let decoded = reader.long_text().and_then(|t| reader.end().map(|()| t));
        let Ok(expected) = serde_json::from_str::<String>(&text) else {
            prop_assert!(decoded.is_err());
            return Ok(());
        };
        match decoded.unwrap().unwrap() {
            LongText::Plain(plain) => prop_assert_eq!(plain, &*expected),
            LongText::Decoded(decoded) => prop_assert_eq!(decoded.bytes(), expected.as_bytes()),
        }
        prop_assert_eq!(Reader::new(&text).text().unwrap().unwrap().decode(), expected);
    }

    #[test]
    fn a_nested_text_is_read_as_if_it_stood_alone(text in texts()) {
        let outer = serde_json::to_string(&text).unwrap();
        let inner = Reader::new(&outer).long_text().unwrap().unwrap();
        if let LongText::Decoded(decoded) = inner {
            let mut nested = Reader::nested(&decoded).unwrap();
            let (value, end) = (nested.value(), nested.end());
            let mut alone = Reader::new(&text);
            prop_assert_eq!(value, alone.value());
            prop_assert_eq!(end, alone.end());
        }
    }

    #[test]
    fn written_numbers_are_read_back(number in any::<u64>(), bits in 0..64_u32) {
        for number in [number >> bits, 0, u64::MAX] {
            let mut out = String::new();
            write_number(&mut out, number);
            prop_assert_eq!(out, number.to_string());
        }
    }

    #[test]
    fn written_strings_are_read_back_and_fit_a_queue_message(text in any::<String>()) {
        let mut out = String::new();
        write_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        let allowed = out.chars().all(|c| c >= ' ' && !('\u{fffe}'..='\u{ffff}').contains(&c));
        prop_assert!(allowed, "{out:?}");
    }
}
