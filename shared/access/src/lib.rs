//! Who may do what: identities, policies, the decision and its reason, and the IAM policy document.
