//! A topic that is deleted and created again under its name. Its job halts, however alike the two are, and nothing else
//! does; once the new topic is adopted, it is read without a restart.

use tabletopic_testkit::{Lake, Topic};

use crate::environment::check;
use crate::feed::{Feed, JSON, wait_for_rows};

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

/// Nobody writes to the new topic, which ends right where the old one was read to: nothing that is read tells.
#[test]
fn a_topic_created_again_that_has_nothing_to_read_halts_too() {
    let feed = Feed::new("quiet", 1);
    let old = feed.produce(OLD, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, old);

    // While the new log is shorter, it would tell by an offset that is out of range.
    service.signal("STOP");
    create_again(&feed.topic, &feed.lake, OLD);
    service.signal("CONT");
    let log = service.says("halted=job");
    assert!(log.contains("resolve shop.orders --adopt-topic"), "{log}");
    feed.holds_of_first(1);

    let new = feed.produce(300, &[]);
    feed.answer(&["--adopt-topic"]);
    feed.wait_for_rows(&service, old + new);
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

/// Deletes the topic and creates it again, so that it goes on at the very offset where the old one ended: only its id
/// tells that it is another one.
pub fn create_again(topic: &Topic, lake: &Lake, end: u32) {
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
