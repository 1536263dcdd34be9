//! Lambda: response to GuardDuty findings, and the incidents of operators.

fn main() {}
