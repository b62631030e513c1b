//! `Stripe-Signature`, tested with vectors that Stripe's own library for Node.js created.
//!
//! `vectors/signatures.json` is written by `node/vectors.mjs`; the product's implementation is tested with the same
//! file.

use fake_stripe::signature::{self, LARGEST_BODY};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/signatures.json")).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_array().unwrap().iter();
    all.map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn body(vector: &Value) -> Vec<u8> {
    let text = vector["payload"].as_str().unwrap();
    match vector["repeat"].as_u64() {
        Some(times) => text.repeat(usize::try_from(times).unwrap()).into_bytes(),
        None => text.as_bytes().to_vec(),
    }
}

#[test]
fn t8_signatures_are_accepted_and_rejected_as_the_table_says() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        let accepted = signature::verify(
            &strings(&case["secrets"]),
            case["header"].as_str().unwrap(),
            &body(case),
            case["now"].as_i64().unwrap(),
        );
        assert_eq!(
            accepted,
            case["accept"].as_bool().unwrap(),
            "{}",
            case["name"]
        );
    }
    let large = cases
        .iter()
        .filter(|case| body(case).len() > LARGEST_BODY)
        .count();
    assert!(large >= 1);
}

#[test]
fn t8_signatures_of_the_fake_are_those_of_stripe() {
    for case in vectors()["signed"].as_array().unwrap() {
        let secret = case["secret"].as_str().unwrap().to_owned();
        let signed = signature::sign(&[secret], case["at"].as_i64().unwrap(), &body(case));
        assert_eq!(signed, case["header"].as_str().unwrap());
    }
}

/// The negative control: without the signature's check, a tampered body would pass.
#[test]
fn t8_signatures_change_with_every_bit() {
    let vectors = vectors();
    let case = &vectors["signed"][0];
    let secrets = [case["secret"].as_str().unwrap().to_owned()];
    let (header, at) = (
        case["header"].as_str().unwrap(),
        case["at"].as_i64().unwrap(),
    );
    let body = body(case);
    assert!(signature::verify(&secrets, header, &body, at));
    for bit in 0..body.len() * 8 {
        let mut tampered = body.clone();
        tampered[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !signature::verify(&secrets, header, &tampered, at),
            "bit {bit}"
        );
    }
}
