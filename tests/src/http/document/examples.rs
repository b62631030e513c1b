//! Examples of the document: true to their schemas, and there where they help.

use super::schemas::{examples, validate};
use super::served;
use serde_json::json;

#[tokio::test]
async fn abuse_65_every_example_is_true_to_its_schema() {
    let document = served().await;
    let (mut faults, mut checked) = (Vec::new(), 0);
    examples(&document, "#", &mut |place, schema, example| {
        checked += 1;
        if let Some(fault) = validate(&document, schema, example) {
            faults.push(format!("{place}: {fault}"));
        }
    });
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let all = properties.map(|(property, schema)| (format!("{name}.{property}"), schema));
        for (name, schema) in all.chain([(name.clone(), schema)]) {
            if let Some(example) = schema.get("example") {
                checked += 1;
                faults.extend(
                    validate(&document, schema, example).map(|fault| format!("{name}: {fault}")),
                );
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 300, "only {checked} examples");
    // The negative control: the validator finds errors.
    let event = &document["components"]["schemas"]["CreateEvent"];
    assert!(validate(&document, event, &json!({"title": 1})).is_some());
}

/// Answers of the modules that are about money, apart from lists. Those of entities follow their spec.
#[tokio::test]
async fn answers_about_money_have_an_example() {
    let document = served().await;
    for name in [
        "AskedRefund",
        "Booked",
        "CardSetup",
        "Onboarding",
        "Payment",
        "PlacePrice",
        "PlacedOrder",
        "Price",
        "FeeOfQuote",
        "ScanResult",
        "Subscribed",
    ] {
        let schema = &document["components"]["schemas"][name];
        assert!(schema["properties"].is_object(), "there is no {name}");
        assert!(schema["example"].is_object(), "{name} has no example");
    }
}
