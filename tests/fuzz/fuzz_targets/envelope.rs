//! Headers, sealed fields and wrapped keys of any bytes are refused; what was sealed opens, and no other bytes do.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_pii::envelope::hazmat::subject_key;
use portcullis_pii::envelope::{Header, MAX_FIELD_NAME_LEN};
use portcullis_pii::{Purpose, RecordBinding, RecordOpener, RecordSealer};

fuzz_target!(|input: (&[u8], &[u8], &str, u16)| {
    let (header, blob, field, flip) = input;
    let key = subject_key(Purpose::Conversation, "subject", 1, &[9; 32]);
    let binding =
        RecordBinding { table: "t", record: "r", subject: "subject", purpose: Purpose::Conversation };
    if let Ok(header) = Header::parse(header) {
        assert!(header.branch_version() > 0);
    }
    assert!(RecordOpener::new(&key, &binding, header).is_err(), "a header that nobody sealed");

    let mut sealer = RecordSealer::new(&key, &binding).unwrap();
    let mut opener = RecordOpener::new(&key, &binding, sealer.header()).unwrap();
    let (mut sealed, mut plain) = (Vec::new(), Vec::new());
    assert!(
        opener.open("field", blob, &mut plain).is_err() && plain.is_empty(),
        "a field that nobody sealed"
    );

    let named = sealer.seal(field, blob, &mut sealed).is_ok();
    assert_eq!(named, (1..=MAX_FIELD_NAME_LEN).contains(&field.len()));
    if named {
        opener.open(field, &sealed, &mut plain).unwrap();
        assert_eq!(plain, blob);
        let bit = usize::from(flip) % (sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        plain.clear();
        assert!(
            opener.open(field, &sealed, &mut plain).is_err() && plain.is_empty(),
            "bit {bit} is not protected"
        );
    }
});
