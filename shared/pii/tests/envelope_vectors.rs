//! The vectors beside this file, written by the independent Python implementation (`tests/python/envelope.py`), are
//! reproduced byte for byte.

#[path = "support/vectors.rs"]
mod vectors;

#[test]
fn every_vector_of_the_python_implementation_is_reproduced() {
    let vectors = serde_json::from_str(include_str!("vectors/envelope-v1.json")).unwrap();
    assert_eq!(vectors::check(&vectors), [9, 21, 29, 2, 4], "vectors of each kind");
}
