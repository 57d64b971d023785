//! Raw records, and the Kafka columns with everything on.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use tabletopic_decode::{
    DecodeError, DecodeSettings, Format, KafkaColumns, Reason, create_schema, decoder, infer,
};
use tabletopic_records::{Headers, NoHeaders, Record};

fn record<'a>(offset: i64, timestamp: Option<i64>, headers: &'a dyn Headers) -> Record<'a> {
    Record {
        partition: 1,
        offset,
        timestamp,
        key: Some(b"k"),
        value: None,
        headers,
    }
}

#[test]
fn a_raw_row_is_the_whole_record() {
    let mut settings = DecodeSettings::new("orders", Format::Raw);
    settings.kafka_columns = KafkaColumns {
        topic: true,
        key: true,
        headers: false,
    };
    let schema = create_schema(&infer(&[], &settings).unwrap(), &settings).unwrap();
    let mut decoder = decoder(&settings, &schema).unwrap();
    let headers = vec![("h".to_owned(), Some(b"1".to_vec())), ("h".to_owned(), None)];
    let full = Record {
        value: Some(b"\xff"),
        ..record(7, Some(1_769_851_616_123), &headers)
    };
    let absurd = record(8, Some(-1), &NoHeaders);
    let overflowing = record(9, Some(i64::MAX), &NoHeaders);
    let bare = Record {
        key: None,
        ..record(10, None, &NoHeaders)
    };
    let decoded = decoder.decode(&[full, absurd, overflowing, bare]).unwrap();

    let bad: Vec<_> = decoded.bad.iter().map(|bad| (bad.index, bad.reason)).collect();
    assert_eq!(bad, [(1, Reason::AbsurdEventTime), (2, Reason::OutOfRange)]);
    let options = FormatOptions::default().with_null("NULL");
    let row = |row: usize| -> Vec<String> {
        let show = |column| {
            ArrayFormatter::try_new(column, &options)
                .unwrap()
                .value(row)
                .to_string()
        };
        decoded
            .batch
            .columns()
            .iter()
            .map(|column| show(column.as_ref()))
            .collect()
    };
    let headers = "[{key: h, value: 31}, {key: h, value: NULL}]";
    assert_eq!(
        row(0),
        [
            "6b",
            "ff",
            "1",
            "7",
            "2026-01-31T09:26:56.123Z",
            "orders",
            "6b",
            headers
        ]
    );
    assert_eq!(
        row(1),
        ["NULL", "NULL", "1", "10", "NULL", "orders", "NULL", "[]"]
    );
    let ids: Vec<&str> = decoded
        .batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.metadata()["PARQUET:field_id"].as_str())
        .collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let mut settings = DecodeSettings::new("orders", Format::Raw);
    let schema = create_schema(&infer(&[], &settings).unwrap(), &settings).unwrap();
    settings.event_time = Some("at".into());
    assert!(matches!(
        decoder(&settings, &schema),
        Err(DecodeError::Settings { .. })
    ));
    let json = DecodeSettings {
        format: Format::Json,
        ..settings
    };
    let error = decoder(&json, &schema).err().unwrap().to_string();
    assert!(
        error.contains("at") && error.contains("no such column"),
        "{error}"
    );
    let without = iceberg::spec::Schema::builder().build().unwrap();
    let error = decoder(&json, &without).err().unwrap().to_string();
    assert!(error.contains("_kafka_partition"), "{error}");
}
