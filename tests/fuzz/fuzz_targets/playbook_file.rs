//! Any text is a playbook, or is refused with a reason; a playbook that is taken decides.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_base::Timestamp;
use portcullis_response::{Facts, Incident, Mode, Playbook, SAFETY, Safety, decide, simulation};

fuzz_target!(|yaml: &str| {
    match Playbook::parse(yaml) {
        Ok(book) => {
            let now = Timestamp::UNIX_EPOCH;
            let incident = Incident::open(simulation::example_signal("f"), now);
            let plan = decide(&incident, &book, &Safety::parse(SAFETY).unwrap(), &Facts::default(), now);
            let on = |step| book.steps.iter().any(|s| s.step == step && s.mode != Mode::Off);
            assert!(plan.steps.iter().all(|step| on(step.kind)));
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
