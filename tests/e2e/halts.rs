//! What the broker can do to a reader: take records away before they were read, or the whole topic. Each halt stops
//! what it concerns and nothing else, and after its answer reading goes on without a restart.

use tabletopic_testkit::{Broker, Lake, Topic};

use crate::environment::check;
use crate::feed::{Feed, JSON, POISON, REASON, wait_for_rows};

/// Records of a topic before it is deleted.
const OLD: u32 = 400;

#[test]
fn a_topic_created_again_while_it_is_read_halts_alone_and_goes_on_when_it_is_adopted() {
    let feed = Feed::new("recreated", 1);
    let other = Other::beside(&feed);
    let old = feed.produce(OLD, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, old);

    create_again(&feed.topic, &feed.lake, OLD);
    let new = feed.produce(300, &[]);
    let log = service.says("halted=job");
    assert!(log.contains("resolve shop.orders --adopt-topic"), "{log}");
    let others = other.produce(200);
    wait_for_rows(&service, OTHERS, others);
    feed.holds_of_first(1);

    feed.answer(&["--adopt-topic"]);
    service.says("this halt is over");
    feed.wait_for_rows(&service, old + new);
    service.terminate();
    feed.holds(&[]);
    feed.lake.is_sound();
    other.holds(&feed);
}

#[test]
fn a_topic_created_again_while_nobody_reads_halts_alone_and_goes_on_when_it_is_adopted() {
    let feed = Feed::new("renewed", 1);
    let other = Other::beside(&feed);
    feed.produce(OLD, &[]);
    feed.catch_up();

    create_again(&feed.topic, &feed.lake, OLD);
    let new = feed.produce(300, &[]);
    other.produce(200);
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "{log}");
    for words in [
        "it was deleted and created again",
        "resolve shop.orders --adopt-topic",
    ] {
        assert!(log.contains(words), "{words:?} is missing in:\n{log}");
    }
    feed.holds_of_first(1);
    other.holds(&feed);

    let service = feed.run();
    service.says("it was deleted and created again");
    feed.answer(&["--adopt-topic"]);
    feed.wait_for_rows(&service, new);
    service.terminate();
    feed.holds(&[]);
    feed.lake.is_sound();
}

/// The new log ends below what was read of the old one, so that offsets alone would say that all is read.
#[test]
fn a_shorter_topic_under_the_old_name_is_not_taken_for_one_that_was_read() {
    let feed = Feed::new("shorter", 1);
    feed.produce(OLD, &[]);
    feed.catch_up();
    feed.topic.admin("delete", &[]);
    feed.topic.admin("create", &["--partitions", "1"]);
    let account = feed.lake.file("never-read.parquet");
    feed.topic.produce(
        "orders",
        &["--count", "10", "--seed", "99", "--produced", &account],
    );
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "{log}");
    let (code, said) = check(&feed.config);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("stands still: ") && said.contains("--adopt-topic"),
        "{said}"
    );
    feed.holds_of_first(1);
}

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

/// Deletes the topic and creates it again, so that it goes on at the very offset where the old one ended: only its id
/// tells that it is another one.
fn create_again(topic: &Topic, lake: &Lake, end: u32) {
    topic.admin("delete", &[]);
    topic.admin("create", &["--partitions", "1"]);
    let (count, account) = (end.to_string(), lake.file("never-read.parquet"));
    topic.produce(
        "orders",
        &["--count", &count, "--seed", "99", "--produced", &account],
    );
    topic.admin("delete-records", &["--before", &format!("0={end}")]);
}

const OTHERS: &str = "shop.others";

/// Another topic in the same configuration, into a table of its own.
struct Other {
    topic: Topic,
    produced: String,
}

impl Other {
    fn beside(feed: &Feed) -> Self {
        let topic = Topic::create("other", 1, &[]);
        let text = std::fs::read_to_string(&feed.config).expect("it was written");
        let section = format!(
            "\n[[topic]]\nname = \"{}\"\ntable = \"{OTHERS}\"\n{JSON}\n\n[topic.commit]\ninterval = \"1s\"\n",
            topic.name
        );
        std::fs::write(&feed.config, text + &section).expect("it can be written");
        Self {
            topic,
            produced: feed.lake.file("others.parquet"),
        }
    }

    fn produce(&self, count: u64) -> u64 {
        self.topic.produce(
            "orders",
            &["--count", &count.to_string(), "--produced", &self.produced],
        );
        count
    }

    fn holds(&self, feed: &Feed) {
        feed.lake
            .must("oracle", &["--table", OTHERS, "--produced", &self.produced]);
    }
}
