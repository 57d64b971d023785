//! What the broker can do to a reader: take records away before they were read, or after. Each halt stops what it
//! concerns and nothing else, and after its answer reading goes on without a restart.

use tabletopic_testkit::{Broker, Topic};

use crate::feed::{Feed, JSON, POISON, REASON};
use crate::recreated::create_again;

#[test]
fn retention_past_the_reader_halts_that_partition_and_no_other() {
    let feed = Feed::new("retention", 2);
    feed.produce(600, &[]);
    feed.catch_up();
    feed.produce(600, &[]);
    feed.topic.admin("delete-records", &["--before", "0=450"]);
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "{log}");
    for words in [
        "partition 0: offsets 300 to 449 are no longer in the log",
        "resolve shop.orders --declare-lost",
    ] {
        assert!(log.contains(words), "{words:?} is missing in:\n{log}");
    }
    feed.holds(&["--lost", "0=300-600"]);

    let service = feed.run();
    service.says("offsets 300 to 449 are no longer in the log");
    feed.produce(200, &[]);
    feed.wait_for_rows(&service, 100);
    let said = feed.answer(&["--declare-lost"]);
    assert!(said.contains("150 offsets are declared lost"), "{said}");
    feed.wait_for_rows(&service, 100 + 150 + 100);
    service.terminate();

    feed.holds(&["--lost", "0=300-450"]);
    feed.lake.is_sound();
    let ledger = feed.ledger("declare-lost");
    let [row] = ledger.as_slice() else {
        panic!("not one row: {ledger:#?}")
    };
    let told = ["partition", "start_offset", "end_offset", "lost"].map(|column| row[column].as_i64());
    assert_eq!(
        (told, &row["reason"]),
        ([0, 300, 450, 150].map(Some), &REASON.into()),
        "{row:#}"
    );
}

/// A batch of 400 kB that becomes 400 MiB: more than the machine might have.
#[test]
fn a_decompression_bomb_halts_that_partition_and_no_memory_is_spent_on_it() {
    let feed = Feed::new("bomb", 2);
    feed.produce(600, &[]);
    feed.produce_kind("bomb", 400, &[]);
    feed.produce(600, &[]);
    let service = feed.run();
    let log = service.says("partition 0, offset 300: the batch there cannot be decompressed");
    for words in [
        "419430415, and 100000000 are allowed",
        "receive.message.max.bytes",
    ] {
        assert!(log.contains(words), "{words:?} is missing in:\n{log}");
    }
    feed.wait_for_rows(&service, 300 + 300 + 300);
    assert!(service.peak_mib() < 450, "{} MiB", service.peak_mib());

    // What the documentation says for one that nobody wants.
    feed.topic.admin("delete-records", &["--before", "0=301"]);
    service.terminate();
    let service = feed.run();
    service.says("offsets 300 to 300 are no longer in the log");
    feed.answer(&["--declare-lost"]);
    feed.wait_for_rows(&service, 300);
    service.terminate();
    feed.holds(&["--lost", "0=300-301"]);
}

/// As after an unclean leader election: what the service has read is gone from the log, and other records have taken its
/// offsets, up to beyond where the service stands.
#[test]
fn a_log_that_was_cut_and_written_again_halts_that_partition_and_goes_on_from_the_cut() {
    let broker = Broker::start(&[]);
    let feed = Feed::of(Topic::create_on(&broker.bootstrap, "cut", 2, &[]), JSON);
    feed.produce(600, &[]);
    feed.produce(600, POISON);
    feed.catch_up();
    feed.holds(&[]);

    broker.stop();
    let cut = broker.cut(&feed.topic.name, 0, 500);
    assert!((300..=500).contains(&cut), "the log ends at {cut}");
    broker.start_again();
    let added = feed.produce(800, &[]) / 2;
    let service = feed.run();
    let log = service.says("partition 0: the log was cut below offset 600");
    assert!(log.contains("resolve shop.orders --truncate"), "{log}");
    feed.wait_for_rows(&service, added);

    let (code, said) = feed.resolve(&["--truncate", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    let moves = format!("{}/0: goes on at offset {cut} instead of 600; ", feed.topic.name);
    for words in [&moves, "what this does:", "data files: ", "written again"] {
        assert!(said.contains(words), "{words:?} is missing in:\n{said}");
    }
    feed.answer(&["--truncate"]);
    service.says("this halt is over");
    feed.wait_for_rows(&service, added + added);
    service.terminate();

    feed.holds(&["--cut", &format!("2:0={cut}")]);
    feed.lake.is_sound();
    let ledger = feed.ledger("replace");
    let [row] = ledger.as_slice() else {
        panic!("not one row: {ledger:#?}")
    };
    let told = ["partition", "start_offset", "end_offset"].map(|column| row[column].as_i64());
    assert_eq!(
        (told, &row["reason"]),
        ([0, cut, 600].map(Some), &REASON.into()),
        "{row:#}"
    );
    let removed = ["rows", "dead_letters"].map(|column| row[column].as_i64().expect("a number"));
    assert_eq!(removed[0] + removed[1], 600 - cut, "{row:#}");

    let (code, said) = feed.resolve(&["--truncate"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("none was cut"), "{said}");
}

#[test]
fn of_two_topics_of_one_table_the_one_that_needs_an_answer_gets_it() {
    // Which topic a row is from stands in the row, for the audits.
    let settings = format!("{JSON}\nkafka_columns = [\"topic\"]");
    let feed = Feed::of(Topic::create("first-of-two", 1, &[]), &settings);
    let second = Topic::create("second-of-two", 1, &[]);
    let text = std::fs::read_to_string(&feed.config).expect("it was written");
    let section = format!(
        "\n[[topic]]\nname = \"{}\"\ntable = \"shop.orders\"\n{settings}\n\n[topic.commit]\ninterval = \"1s\"\n",
        second.name
    );
    std::fs::write(&feed.config, text + &section).expect("it can be written");
    let produce = |topic: &Topic, count: &str| {
        let account = feed.lake.file("of-two.parquet");
        topic.produce("orders", &["--count", count, "--produced", &account])
    };
    produce(&feed.topic, "200");
    produce(&second, "100");
    feed.catch_up();
    create_again(&second, &feed.lake, 100);
    produce(&second, "50");

    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "{log}");
    assert!(log.contains("resolve shop.orders --adopt-topic"), "{log}");
    let said = feed.answer(&["--adopt-topic"]);
    let goes_on = |topic: &Topic| said.contains(&format!("{}/0: goes on", topic.name));
    assert!(goes_on(&second) && !goes_on(&feed.topic), "{said}");
    feed.catch_up();
    let shown = feed.show();
    let newest = shown["snapshots"].as_array().and_then(|all| all.last());
    let total = newest.map(|snapshot| snapshot["summary"]["total-records"].clone());
    assert_eq!(total, Some("350".into()), "{newest:#?}");
    feed.lake.is_sound();
}
