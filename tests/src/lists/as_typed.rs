//! Filters by slugs and handles understand them as people type them: in capitals, a handle with its `@`.

use crate::support::{TestServer, model, pages::all, resources};
use codegen::model::Ty;

#[tokio::test]
async fn slugs_and_handles_are_found_in_capitals() {
    let server = TestServer::demo().await;
    let mut tried = Vec::new();
    for entity in &model().entities {
        let Some(resource) = resources().get(entity.name.as_str()) else {
            continue;
        };
        for filter in resource.filters {
            let field = entity.field(filter.param);
            let is_slug = field.is_some_and(|field| matches!(field.ty, Ty::Slug { .. }));
            let is_handle = field.is_some_and(|field| matches!(field.ty, Ty::Handle { .. }));
            if !is_slug && !is_handle {
                continue;
            }
            let path = format!("/{}", resource.path);
            let page = server.client.get(&format!("{path}?limit=1")).await;
            let page = page.expect(200).json;
            let stored = page["data"][0][filter.param].as_str();
            let stored = stored.unwrap_or_else(|| panic!("{path} shows nothing: {page}"));
            let found = async |value: &str| {
                all(&server.client, &format!("{path}?{}={value}", filter.param)).await
            };
            let exact = found(stored).await;
            assert!(!exact.is_empty(), "{path} {stored}");
            assert_eq!(found(&stored.to_uppercase()).await, exact, "{path}");
            if is_handle {
                let sign = format!("%40{}", stored.to_uppercase());
                assert_eq!(found(&sign).await, exact, "{path}");
                let list = format!("{path}?{}.in=nobody_at_all,{sign}", filter.param);
                assert_eq!(all(&server.client, &list).await, exact);
            }
            // The control: another value is not found.
            assert!(found("nothing-like-it").await.is_empty(), "{path}");
            tried.push(path);
        }
    }
    assert!(tried.len() >= 6, "{tried:?}");
}

#[tokio::test]
async fn blanks_around_values_make_no_difference() {
    let server = TestServer::demo().await;
    let mut tried = 0;
    for resource in resources().values() {
        let path = format!("/{}", resource.path);
        let page = server.client.get(&format!("{path}?limit=1")).await;
        let Some(id) = page.json["data"][0]["id"].as_str() else {
            continue;
        };
        let exact = all(&server.client, &format!("{path}?id={id}")).await;
        assert_eq!(exact.len(), 1, "{path}");
        for query in [
            format!("id=%20{id}%20"),
            format!("id=+{id}"),
            format!("id={id}&sort=+id"),
        ] {
            let found = all(&server.client, &format!("{path}?{query}")).await;
            assert_eq!(found, exact, "{path}?{query}");
        }
        // The control: a blank inside is no id.
        let broken = format!("{path}?id={}%20{}", &id[..9], &id[9..]);
        server.client.get(&broken).await.expect(422);
        tried += 1;
    }
    assert!(tried >= 6, "{tried}");
}
