//! What masking shows and hides.

#![expect(clippy::string_slice, reason = "test support: a panic is a failed test")]

use portcullis_pii::{Detector, Hit, PiiKind, mask, mask_all};
use proptest::prelude::*;

#[test]
fn each_kind_is_masked_in_its_way() {
    let detector = Detector::new();
    for (text, masked) in [
        ("oi, tudo bem?", "oi, tudo bem?"),
        ("cartão 4111 1111 1111 1111!", "cartão ****1111!"),
        ("amex 378282246310005", "amex ****0005"),
        ("ssn 123-45-6789", "ssn ****6789"),
        ("cpf 529.982.247-25.", "cpf ****4725."),
        ("cnpj 12.ABC.345/01DE-35", "cnpj ****DE35"),
        ("iban GB82 WEST 1234 5698 7654 32", "iban ****5432"),
        ("ligue (11) 91234-5678 já", "ligue ****5678 já"),
        ("ana@example.com", "a***@example.com"),
        ("al@example.com", "***@example.com"),
        ("é josé@exemplo.com.br", "é j***@exemplo.com.br"),
        ("ip 192.168.0.1", "ip [ipv4]"),
        ("ip 2001:db8::1", "ip [ipv6]"),
        ("nasc. 12/03/1990", "nasc. [date_of_birth]"),
        ("tenho diabetes 😢", "tenho [health] 😢"),
        ("my fingerprint is stored", "my [biometric] is stored"),
        ("ana@example.com, +55 11 91234-5678", "a***@example.com, ****5678"),
    ] {
        assert_eq!(mask(text, &detector.scan(text)), masked, "{text}");
    }
}

#[test]
fn a_whole_value_shows_its_last_four_characters_at_most() {
    for (text, masked) in [
        ("", "****"),
        ("1234", "****"),
        ("1234567", "****"),
        ("12345678", "****5678"),
        ("5511912345678", "****5678"),
        ("São José", "****José"),
        ("ação😀😀😀", "****"),
        ("coração😀", "****ção😀"),
    ] {
        assert_eq!(mask_all(text), masked, "{text}");
    }
}

#[test]
fn hits_of_another_text_hide_rather_than_show() {
    let hit = |start, end, kind| Hit { start, end, kind, confidence: 0.9 };
    let number = PiiKind::Card;
    for (label, text, hits, masked) in [
        ("past the end", "abc", vec![hit(1, 99, number)], "a****"),
        ("wholly past the end", "abc", vec![hit(5, 9, number)], "abc"),
        ("inside a character", "aéb", vec![hit(2, 3, PiiKind::Health)], "a[health]b"),
        ("empty", "abc", vec![hit(1, 1, number)], "abc"),
        ("backwards", "abc", vec![hit(2, 1, number)], "abc"),
        ("the largest", "abc", vec![hit(0, usize::MAX, number)], "****"),
        ("overlapping", "0123456789abcdef", vec![hit(6, 12, number), hit(0, 10, number)], "****6789****cdef"),
        ("out of order", "ab cd", vec![hit(3, 5, number), hit(0, 2, number)], "**** ****"),
        ("e-mail without a sign", "abcd", vec![hit(0, 4, PiiKind::Email)], "****"),
    ] {
        assert_eq!(mask(text, &hits), masked, "{label}");
    }
}

proptest! {
    #[test]
    fn a_whole_value_shows_no_more_than_four_trailing_characters(text in "\\PC{0,40}") {
        let masked = mask_all(&text);
        let shown = masked.strip_prefix("****").unwrap();
        prop_assert!(text.ends_with(shown));
        let allowed = if text.chars().count() < 8 { 0 } else { 4 };
        prop_assert_eq!(shown.chars().count(), allowed);
    }

    #[test]
    fn a_masked_number_shows_no_more_than_its_last_four(
        digits in "[0-9]{9}", before in "[a-z ]{0,12}", after in "( [a-z]{0,12})?",
    ) {
        let text = format!("{before} +55119{}{after}", &digits[1..]);
        let masked = mask(&text, &Detector::new().scan(&text));
        let runs = masked.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
        prop_assert!(runs <= Some(4), "{masked}");
        prop_assert_eq!(masked, format!("{before} ****{}{after}", &digits[5..]));
    }

    #[test]
    fn any_hits_over_any_text_are_masked_without_a_panic(
        text in "\\PC{0,40}", spans in proptest::collection::vec((0..60usize, 0..60usize, 0..12usize), 0..6),
    ) {
        let hits: Vec<Hit> = spans
            .into_iter()
            .map(|(start, end, kind)| Hit { start, end, kind: PiiKind::ALL[kind], confidence: 0.5 })
            .collect();
        let masked = mask(&text, &hits);
        if hits.iter().all(|hit| hit.start >= hit.end || hit.start >= text.len()) {
            prop_assert_eq!(masked, text);
        }
    }

    /// Masked text holds no card, social security or taxpayer number any more.
    #[test]
    fn masked_text_has_nothing_left_to_find(
        text in "(([a-z]{1,5}|4111 1111 1111 1111|123-45-6789|529[.]982[.]247-25|ana@example[.]com)(, |[.] | e ))*",
    ) {
        let detector = Detector::new();
        let masked = mask(&text, &detector.scan(&text));
        let numbers = [PiiKind::Card, PiiKind::Ssn, PiiKind::Cpf];
        prop_assert!(!detector.scan(&masked).iter().any(|hit| numbers.contains(&hit.kind)), "{masked}");
        prop_assert!(!["4111 1111", "123-45", "529.982", "ana@"].iter().any(|part| masked.contains(part)), "{masked}");
    }
}
