//! Properties of the detectors over any input, and over generated numbers.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test support: a panic is a failed test"
)]

use std::fmt::Write;
use std::sync::LazyLock;

use portcullis_pii::{Detector, Hit, PiiKind};
use proptest::prelude::*;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_give_sorted_spans_within_them(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut hits = Vec::new();
        DETECTOR.scan_into(&bytes, &mut hits);
        assert_well_formed(&hits, bytes.len())?;
    }

    #[test]
    fn any_text_gives_spans_on_character_boundaries(text in texts()) {
        let hits = DETECTOR.scan(&text);
        assert_well_formed(&hits, text.len())?;
        for hit in hits {
            prop_assert!(text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end), "{hit:?} in {text:?}");
        }
    }

    #[test]
    fn earlier_hits_of_the_caller_stay(text in texts()) {
        let earlier = Hit { start: 7, end: 9, kind: PiiKind::Phone, confidence: 0.1 };
        let mut hits = vec![earlier];
        DETECTOR.scan_into(text.as_bytes(), &mut hits);
        prop_assert_eq!(hits.first(), Some(&earlier));
        prop_assert_eq!(hits.split_off(1), DETECTOR.scan(&text));
    }

    #[test]
    fn a_cpf_is_found_and_with_a_changed_check_digit_it_is_not(
        root in digits(9), formatted: bool, flip in 1..10u8, which in 0..2usize,
    ) {
        prop_assume!(root.iter().any(|d| *d != root[0]));
        let cpf = with_check_digits(&root, 10, 11);
        prop_assert!(finds(&cpf_text(&cpf, formatted), PiiKind::Cpf));
        let mut wrong = cpf;
        wrong[9 + which] = (wrong[9 + which] + flip) % 10;
        prop_assert!(!finds(&cpf_text(&wrong, formatted), PiiKind::Cpf));
    }

    #[test]
    fn a_cnpj_is_found_and_with_a_changed_check_digit_it_is_not(
        root in "[0-9A-Z]{8}[0-9]{4}", formatted: bool, flip in 1..10u8, which in 0..2usize,
    ) {
        prop_assume!(root.bytes().any(|b| b != root.as_bytes()[0]));
        let values: Vec<u8> = root.bytes().map(|b| b - 48).collect();
        let cnpj = with_check_digits(&values, 9, 9);
        prop_assert!(finds(&cnpj_text(&root, &cnpj, formatted), PiiKind::Cnpj));
        let mut wrong = cnpj;
        wrong[12 + which] = (wrong[12 + which] + flip) % 10;
        prop_assert!(!finds(&cnpj_text(&root, &wrong, formatted), PiiKind::Cnpj));
    }

    #[test]
    fn a_card_is_found_and_with_a_changed_digit_it_is_not(
        prefix in prop_oneof![Just("4"), Just("51"), Just("55"), Just("2300"), Just("6011"), Just("3530")],
        fill in digits(15), join in prop_oneof![Just(""), Just(" "), Just("-")], flip in 1..10u8, at in 4..16usize,
    ) {
        let mut card: Vec<u8> = prefix.bytes().map(|b| b - 48).chain(fill).take(15).collect();
        card.push(luhn_digit(&card));
        let written = format!("pago com {} ontem", grouped(&card, 4, join));
        prop_assert!(finds(&written, PiiKind::Card), "{written}");
        card[at] = (card[at] + flip) % 10;
        let wrong = format!("pago com {} ontem", grouped(&card, 4, join));
        prop_assert!(!finds(&wrong, PiiKind::Card), "{wrong}");
    }

    /// However the groups are set apart, the hit is the whole number as it stands in the text.
    #[test]
    fn a_card_is_found_behind_any_signs_and_all_of_it(
        fill in digits(14), joins in joints(), edges in edges(), wide: bool,
        lead in "[xç😀]{0,3}[ \n]",
    ) {
        let mut card: Vec<u8> = [4].into_iter().chain(fill).collect();
        card.push(luhn_digit(&card));
        let groups = card.chunks(4).map(|group| written(group, wide));
        let joins = joins.into_iter().chain([String::new()]);
        let body: String = groups.zip(joins).map(|(group, join)| group + &join).collect();
        let (before, after) = edges;
        let text = format!("{lead}{before}{body}{after} ok");
        let start = lead.len() + before.len();
        let hits: Vec<_> = DETECTOR.scan(&text).into_iter().filter(|hit| hit.kind == PiiKind::Card).collect();
        prop_assert_eq!(hits.iter().map(|h| &text[h.start..h.end]).collect::<Vec<_>>(), [&body], "{:?}", text);
        prop_assert_eq!(hits[0].start, start);
    }

    /// Looking a second time, at the folded text, takes nothing away.
    #[test]
    fn unusual_signs_elsewhere_hide_nothing(text in texts(), more in joints()) {
        let alone = DETECTOR.scan(&text);
        let odd: String = more.concat();
        let all = format!("{text}\n.\n１ 1{odd}1");
        let found = DETECTOR.scan(&all);
        for hit in alone {
            let covered = found.iter().any(|other| other.start < hit.end && hit.start < other.end);
            prop_assert!(covered, "{hit:?} in {all:?}");
        }
    }

    #[test]
    fn an_iban_is_found_and_with_a_changed_digit_it_is_not(
        account in digits(18), join in prop_oneof![Just(""), Just(" ")], flip in 1..10u8, at in 0..18usize,
    ) {
        let iban = |account: &[u8], check: u32| -> String {
            let mut whole = format!("DE{check:02}");
            account.iter().for_each(|d| write!(whole, "{d}").unwrap());
            let parts: Vec<&str> = whole.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap()).collect();
            format!("iban {} ok", parts.join(join))
        };
        // `DE00` moved behind the account, letters as numbers.
        let rest = account.iter().copied().chain([1, 3, 1, 4, 0, 0]).fold(0, |n, d| (n * 10 + u32::from(d)) % 97);
        let check = 98 - rest;
        prop_assert!(finds(&iban(&account, check), PiiKind::Iban));
        let mut wrong = account;
        wrong[at] = (wrong[at] + flip) % 10;
        prop_assert!(!finds(&iban(&wrong, check), PiiKind::Iban));
    }

    #[test]
    fn an_ssn_is_found_just_where_its_parts_are_issued(area in 0..1000u32, group in 0..100u32, serial in 0..10_000u32) {
        let issued = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
        let text = format!("my ssn is {area:03}-{group:02}-{serial:04}.");
        prop_assert_eq!(finds(&text, PiiKind::Ssn), issued);
    }

    #[test]
    fn every_address_that_the_standard_library_writes_is_found(v4: std::net::Ipv4Addr, v6: std::net::Ipv6Addr) {
        let v4_text = format!("from {v4} now");
        prop_assert!(finds(&v4_text, PiiKind::Ipv4), "{v4_text}");
        let v6_text = format!("from {v6} now");
        prop_assert!(finds(&v6_text, PiiKind::Ipv6), "{v6_text}");
    }

    #[test]
    fn long_runs_of_digits_are_nothing(run in "[0-9]{20,60}") {
        prop_assert_eq!(DETECTOR.scan(&format!("x {run} y")), vec![]);
    }
}

/// Work stays linear in the length of the text: what would be quadratic takes minutes here.
#[test]
fn hostile_repetition_is_scanned_in_time() {
    for piece in [
        "@",
        "a@",
        "1 ",
        "1-",
        "1.",
        "4111 ",
        ":",
        "a:",
        "f::",
        "diabetes ",
        "(1)",
        "+1",
        "/",
        "1990 ",
        "hiv ",
        "_",
        "1_",
        "1  ",
        "1 - ",
        "1\u{200b}",
        "４",
        "\u{200b}",
        "a@公",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        assert_well_formed(&DETECTOR.scan(&text), text.len()).unwrap();
    }
}

fn assert_well_formed(hits: &[Hit], len: usize) -> Result<(), TestCaseError> {
    prop_assert!(hits.iter().all(|h| h.start < h.end && h.end <= len && (0.0..=1.0).contains(&h.confidence)));
    prop_assert!(hits.windows(2).all(|pair| pair[0].end <= pair[1].start), "{hits:?}");
    Ok(())
}

fn finds(text: &str, kind: PiiKind) -> bool {
    DETECTOR.scan(text).iter().any(|hit| hit.kind == kind)
}

/// Texts of pieces that wake the detectors, and of any characters.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,4}",
        "[0-9]{1,19}",
        "[-. ()+:/@#]",
        Just("tenho ".to_owned()),
        Just("câncer".to_owned()),
        Just("Íris HIV".to_owned()),
        Just("nasc. 12/03/1990".to_owned()),
        Just("joão@exemplo.com".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("2001:db8::1".to_owned()),
        Just("\u{a0}\u{2011}ç😀".to_owned()),
        Just("４１１１ ".to_owned()),
        Just("1111\u{202f}".to_owned()),
        Just("1\u{200b}\u{fe0f}  - ".to_owned()),
        Just("_＠．公司_".to_owned()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What people and their devices put between the groups of one number: nothing to see, blanks, or dashes.
fn joints() -> impl Strategy<Value = Vec<String>> {
    let of = |kind: &'static [&'static str]| {
        proptest::collection::vec(proptest::sample::select(kind).prop_map(str::to_owned), 3)
    };
    prop_oneof![
        of(&["", "\u{200b}", "\u{2060}", "\u{ad}", "\u{200b}\u{fe0f}"]),
        of(&[" ", "  ", "\u{a0}", "\u{2007}", "\u{2009}", "\u{202f}", "\u{3000}", " \u{202f}", "\u{200b} "]),
        of(&["-", " - ", "- ", "\u{2212}", " – ", "\u{2011}", "\u{200b}-", "\u{ff0d}"]),
    ]
}

/// What may stand around a number without being a part of it.
fn edges() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop_oneof![
        Just(("", "")),
        Just(("_", "_")),
        Just(("*_", "_*")),
        Just(("(", ")")),
        Just(("\u{202a}", "\u{202c}")),
        Just(("", ",123")),
        Just(("", "-12/27")),
    ]
}

fn written(digits: &[u8], wide: bool) -> String {
    let zero = if wide { u32::from('０') } else { u32::from('0') };
    digits.iter().map(|d| char::from_u32(zero + u32::from(*d)).unwrap()).collect()
}

fn digits(len: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..10u8, len)
}

fn with_check_digits(values: &[u8], heaviest_first: u32, heaviest_second: u32) -> Vec<u8> {
    let mut all = values.to_vec();
    for heaviest in [heaviest_first, heaviest_second] {
        let weights = (2..=heaviest).cycle();
        let sum: u32 = all.iter().rev().zip(weights).map(|(v, w)| u32::from(*v) * w).sum();
        all.push(u8::try_from((sum * 10) % 11 % 10).unwrap());
    }
    all
}

fn luhn_digit(digits: &[u8]) -> u8 {
    let sum: u8 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| if i % 2 == 0 { d * 2 / 10 + d * 2 % 10 } else { *d })
        .sum();
    (10 - sum % 10) % 10
}

fn grouped(digits: &[u8], size: usize, join: &str) -> String {
    let parts: Vec<String> =
        digits.chunks(size).map(|c| c.iter().map(|d| char::from(d + 48)).collect()).collect();
    parts.join(join)
}

fn cpf_text(d: &[u8], formatted: bool) -> String {
    let s = grouped(d, 11, "");
    if formatted {
        format!("cpf {}.{}.{}-{}", &s[..3], &s[3..6], &s[6..9], &s[9..])
    } else {
        format!("cpf {s}")
    }
}

fn cnpj_text(root: &str, values: &[u8], formatted: bool) -> String {
    let (r, c) = (root, grouped(&values[12..], 2, ""));
    if formatted {
        format!("cnpj {}.{}.{}/{}-{c}", &r[..2], &r[2..5], &r[5..8], &r[8..])
    } else {
        format!("cnpj {r}{c}")
    }
}
