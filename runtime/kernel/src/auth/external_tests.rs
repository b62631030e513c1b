//! An issuer whose keys are a file.

use super::*;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----";

struct Known;

impl Resolver for Known {
    fn resolve<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<Option<super::Known>>> {
        let known = super::Known {
            user: Uuid::from_u128(7),
            session: Uuid::from_u128(8),
        };
        Box::pin(async move { Ok((identity.subject == "known").then_some(known)) })
    }
}

fn issuer(name: &str) -> External {
    let key = EncodingKey::from_ed_pem(KEY.as_bytes()).unwrap();
    let mut public =
        serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap()).unwrap();
    public["kid"] = json!("k1");
    let path = std::env::temp_dir().join(format!("jwks-{name}-{}.json", Uuid::now_v7()));
    std::fs::write(
        &path,
        json!({"keys": [{"kty": "unheard-of"}, public]}).to_string(),
    )
    .unwrap();
    let mut config = IssuerConfig::new("https://id.test".into(), "app".into(), Jwks::File(path));
    config.authorized_parties.push("phone-app".into());
    External::new(config, Arc::new(Known)).unwrap()
}

fn token(kid: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid.into());
    let mut claims = json!({"iss": "https://id.test", "aud": ["app"], "sub": "known", "iat": NOW, "exp": NOW + 60});
    change(&mut claims);
    encode(
        &header,
        &claims,
        &EncodingKey::from_ed_pem(KEY.as_bytes()).unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn a_token_of_a_known_subject_is_its_user() {
    let external = issuer("known");
    assert_eq!(
        issuer_of(&token("k1", |_| ())),
        Ok("https://id.test".to_owned())
    );
    let actor = external.verify(&token("k1", |_| ()), NOW).await.unwrap();
    assert_eq!(
        actor,
        Identified {
            actor: Actor::User {
                id: Uuid::from_u128(7),
                session: Some(Uuid::from_u128(8)),
            },
            until: Some(NOW + 60),
        }
    );
    for good in [
        token("k1", |claims| claims["azp"] = json!("app")),
        token("k1", |claims| {
            claims["aud"] = json!(["app", "other"]);
            claims["azp"] = json!("phone-app");
        }),
        token("k1", |claims| claims["exp"] = json!(NOW + 24 * 3600)),
    ] {
        assert!(external.verify(&good, NOW).await.is_ok());
    }
    assert!(
        external
            .verify(&token("k1", |_| ()), NOW + 66)
            .await
            .is_err(),
        "also when it is remembered"
    );
}

#[tokio::test]
async fn what_the_issuer_did_not_say_about_us_is_refused() {
    let external = issuer("refused");
    for bad in [
        token("k2", |_| ()),
        token("k1", |claims| claims["aud"] = json!("other")),
        token("k1", |claims| claims["iss"] = json!("https://other.test")),
        token("k1", |claims| claims["sub"] = json!("unknown")),
        token("k1", |claims| claims["exp"] = json!(NOW - 60)),
        token("k1", |claims| claims["exp"] = json!(NOW + 24 * 3600 + 1)),
        token("k1", |claims| claims["iat"] = json!(i64::MIN)),
        token("k1", |claims| claims["iat"] = Value::Null),
        token("k1", |claims| claims["azp"] = json!("other-app")),
        token("k1", |claims| claims["azp"] = json!(["app"])),
        token("k1", |claims| claims["aud"] = json!(["app", "other"])),
        token("k1", |claims| {
            claims["aud"] = json!(["other", "app", "app"])
        }),
    ] {
        assert_eq!(external.verify(&bad, NOW).await.unwrap_err().status(), 401);
    }
}

#[test]
fn keys_for_encryption_verify_nothing() {
    let key = EncodingKey::from_ed_pem(KEY.as_bytes()).unwrap();
    let public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    let mut public = serde_json::to_value(public).unwrap();
    public["kid"] = json!("k1");
    for (used, count) in [(Some("sig"), 1), (None, 1), (Some("enc"), 0)] {
        public["use"] = json!(used);
        if used.is_none() {
            public.as_object_mut().unwrap().remove("use");
        }
        let set = json!({"keys": [public]}).to_string();
        assert_eq!(usable_keys(set.as_bytes()), count, "{used:?}");
    }
    for none in [
        "",
        "{}",
        "[]",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "OKP"}]}"#,
    ] {
        assert_eq!(usable_keys(none.as_bytes()), 0, "{none}");
    }
}
