//! Security events in OCSF, written before the answer that they record.
