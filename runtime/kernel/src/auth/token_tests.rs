//! Tokens that must not count.

use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

// A key for tests only, from `openssl genpkey -algorithm ed25519`.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";
const NOW: i64 = 1_800_000_000;

fn tokens() -> Tokens {
    Tokens::new(&TokenConfig::new(
        "https://api.test".into(),
        "api".into(),
        KEY.into(),
    ))
    .unwrap()
}

fn forged(
    tokens: &Tokens,
    header: impl FnOnce(&mut Header),
    claims: impl FnOnce(&mut Value),
) -> String {
    let mut head = tokens.header.clone();
    header(&mut head);
    let mut body = json!({
        "iss": "https://api.test", "aud": "api", "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2),
        "iat": NOW, "nbf": NOW, "exp": NOW + 600,
    });
    claims(&mut body);
    encode(&head, &body, &tokens.signing).unwrap()
}

#[test]
fn an_issued_token_counts_until_it_expires() {
    let tokens = tokens();
    let issued = tokens
        .issue(Uuid::from_u128(1), Uuid::from_u128(2), NOW)
        .unwrap();
    let actor = Actor::User {
        id: Uuid::from_u128(1),
        session: Some(Uuid::from_u128(2)),
    };
    assert!(tokens.is_ours(&issued.token));
    let named = Identified {
        actor,
        until: Some(NOW + 600),
    };
    assert_eq!(tokens.verify(&issued.token, NOW), Ok(named));
    assert_eq!(tokens.verify(&issued.token, NOW + 604), Ok(named));
    assert_eq!(
        tokens.verify(&issued.token, NOW + 605),
        Err(Refused("expired")),
        "also when it is remembered"
    );
}

#[test]
fn a_former_key_still_verifies_but_does_not_sign() {
    let old = tokens();
    let mut config = TokenConfig::new(
        "https://api.test".into(),
        "api".into(),
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----".into(),
    );
    let token = old.issue(Uuid::nil(), Uuid::nil(), NOW).unwrap().token;
    assert_eq!(
        Tokens::new(&config).unwrap().verify(&token, NOW),
        Err(Refused("key"))
    );
    let public = Jwk::from_encoding_key(&old.signing, Algorithm::EdDSA).unwrap();
    let raw = match public.algorithm {
        jsonwebtoken::jwk::AlgorithmParameters::OctetKeyPair(pair) => {
            URL_SAFE_NO_PAD.decode(pair.x).unwrap()
        }
        _ => unreachable!(),
    };
    let mut der = vec![
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    der.extend(raw);
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let public = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----");
    for former in [public.as_str(), KEY] {
        assert!(is_key(former));
        config.former_keys = vec![former.to_owned().into()];
        assert!(Tokens::new(&config).unwrap().verify(&token, NOW).is_ok());
    }
    for wrong in [
        "",
        "text",
        &public.replace("PUBLIC", "PRIVATE"),
        &KEY.replace("PRIVATE", "PUBLIC"),
    ] {
        assert!(!is_key(wrong), "{wrong}");
    }
}

#[test]
fn every_claim_and_header_is_held_to_its_value() {
    let tokens = tokens();
    assert!(tokens.verify(&forged(&tokens, |_| (), |_| ()), NOW).is_ok());
    type Claim = fn(&mut Value);
    let claims: [(Claim, &str); 9] = [
        (|c| c["iss"] = json!("https://other.test"), "issuer"),
        (|c| c["aud"] = json!("other"), "audience"),
        (|c| c["aud"] = json!(["api", "other"]), "signature"),
        (|c| c["exp"] = json!(NOW - 60), "expired"),
        (|c| c["nbf"] = json!(NOW + 60), "not valid yet"),
        (|c| c["iat"] = json!(NOW + 60), "issued in the future"),
        (
            |c| drop(c.as_object_mut().unwrap().remove("exp")),
            "signature",
        ),
        (
            |c| drop(c.as_object_mut().unwrap().remove("sid")),
            "signature",
        ),
        (|c| c["sub"] = json!("admin"), "signature"),
    ];
    for (change, reason) in claims {
        assert_eq!(
            tokens.verify(&forged(&tokens, |_| (), change), NOW),
            Err(Refused(reason))
        );
    }
    type Head = fn(&mut Header);
    let headers: [(Head, &str); 6] = [
        (|h| h.typ = Some("JWT".into()), "type"),
        (|h| h.typ = None, "type"),
        (|h| h.kid = Some("other".into()), "key"),
        (|h| h.kid = None, "key"),
        (
            |h| h.jku = Some("https://evil.test/keys".into()),
            "brings its own key",
        ),
        (|h| h.crit = Some(vec!["exp".into()]), "critical header"),
    ];
    for (change, reason) in headers {
        assert_eq!(
            tokens.verify(&forged(&tokens, change, |_| ()), NOW),
            Err(Refused(reason))
        );
    }
}

#[test]
fn other_algorithms_and_damage_are_refused() {
    let tokens = tokens();
    let good = forged(&tokens, |_| (), |_| ());
    let payload = good.split('.').nth(1).unwrap();
    let kid = tokens.header.kid.clone().unwrap();

    let none =
        URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "at+jwt", "kid": kid}).to_string());
    assert_eq!(
        tokens.verify(&format!("{none}.{payload}."), NOW),
        Err(Refused("header"))
    );

    let mut hmac = Header::new(Algorithm::HS256);
    hmac.typ = Some("at+jwt".into());
    hmac.kid = Some(kid);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let public = tokens
        .keys
        .values()
        .next()
        .unwrap()
        .try_get_as_bytes()
        .unwrap();
    let confused = encode(&hmac, &claims, &EncodingKey::from_secret(public)).unwrap();
    assert_eq!(tokens.verify(&confused, NOW), Err(Refused("algorithm")));

    assert!(tokens.verify(&good[..good.len() - 2], NOW).is_err());
    assert!(tokens.verify("a.b", NOW).is_err());
    assert!(tokens.verify("", NOW).is_err());
}
