//! A topic becomes a table.

use tabletopic_testkit::{Lake, Service, Topic};

use crate::TABLETOPIC;

const JSON: &str = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"dead-letter\"";

#[test]
fn every_record_is_in_the_table_or_set_aside_with_its_reason() {
    let (topic, lake) = (Topic::create("orders", 3, &[]), Lake::new());
    let produced = lake.file("produced.parquet");
    topic.produce(
        "orders",
        &[
            "--count",
            "20000",
            "--seed",
            "1",
            "--poison",
            "0.01",
            "--tombstones",
            "0.01",
            "--nested",
            "--headers",
            "--produced",
            &produced,
        ],
    );
    let config = lake.configure("tabletopic", &topic, "", JSON);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    lake.holds(&[&produced], &["--dead-letters"]);
    lake.is_sound();
}
