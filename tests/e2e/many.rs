//! Many topics in one process: by patterns, those included that appear later; each into a table of its own, or several
//! into one; with one memory budget, and none in the way of another.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tabletopic_testkit::{Lake, Service, Topic, eventually, must, unique};

use crate::TABLETOPIC;
use crate::environment::check;
use crate::feed::{never_halted, wait_for_rows};

/// Topics whose names begin with the same words, and the lake that they feed.
struct Many {
    prefix: String,
    bootstrap: String,
    lake: Lake,
}

impl Many {
    fn new(name: &str) -> Self {
        let bootstrap = std::env::var("TABLETOPIC_TEST_BOOTSTRAP").expect("run by `make test`");
        Self {
            prefix: unique(name),
            bootstrap,
            lake: Lake::new(),
        }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The table of a topic under `lake.${topic}`.
    fn table(&self, name: &str) -> String {
        format!("lake.{}", self.topic(name).replace('.', "_"))
    }

    /// Appends `count` records to each topic, which is made if it is not there.
    fn fill(&self, names: &[&str], count: usize) {
        let topics: Vec<String> = names.iter().map(|name| self.topic(name)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let count = count.to_string();
        let fixed = ["fill", "--bootstrap", &self.bootstrap, "--count", &count];
        must("many", &[&fixed[..], &topics].concat());
    }

    /// Each table has exactly what these topics should have brought.
    fn holds(&self, tables: &[(String, &[(&str, usize)])]) {
        let catalog = self.lake.file("catalog.db");
        let mut arguments = vec!["judge".to_owned(), "--catalog".to_owned(), catalog];
        for (table, topics) in tables {
            let topics = topics
                .iter()
                .map(|(name, count)| format!("{}:{count}", self.topic(name)));
            let topics: Vec<String> = topics.collect();
            arguments.extend(["--table".to_owned(), format!("{table}={}", topics.join(","))]);
        }
        must("many", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Writes a configuration whose topics are `sections`, where `PREFIX` stands for the topics' common words. Commits
    /// come every second, and so does a look for new topics.
    fn configure(&self, head: &str, sections: &str) -> PathBuf {
        let mut text = format!(
            "[kafka]\nbootstrap = \"{}\"\ngroup = \"{}\"\ntopic_refresh = \"1s\"\n\n[catalog]\ntype = \"sqlite\"\nuri = \
             \"catalog.db\"\nwarehouse = \"warehouse\"\n\n[admin]\nlisten = \"off\"\n{head}\n",
            self.bootstrap, self.prefix
        );
        for section in sections.split("[[topic]]").skip(1) {
            let section = section.replace("PREFIX", &self.prefix);
            write!(text, "\n[[topic]]{section}\ncommit.interval = \"1s\"\n").expect("text");
        }
        let path = self.lake.path("tabletopic.toml");
        std::fs::write(&path, text).expect("the configuration is written");
        path
    }

    /// `tabletopic COMMAND --output json`: exit code and answer.
    fn ask(&self, config: &Path, command: &[&str]) -> (i32, Value) {
        let output = Command::new(TABLETOPIC)
            .args(command)
            .args(["--output", "json", "--config"])
            .arg(config)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let answer = serde_json::from_str(&said)
            .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap_or(-1), answer)
    }
}

const EACH_ITS_OWN: &str = "[[topic]]\npattern = '^PREFIX\\.'\ntable = \"lake.${topic}\"\nformat = \"json\"";

#[test]
fn topics_of_a_pattern_become_tables_and_so_does_one_that_appears_while_it_runs() {
    let many = Many::new("pattern");
    many.fill(&["orders", "payments.eu", "raw"], 300);
    let config = many.configure(
        "",
        &format!(
            "{EACH_ITS_OWN}\nstart = \"earliest\"\n[[topic]]\nname = \"PREFIX.raw\"\ntable = \"other.bytes\"\nformat = \
             \"raw\""
        ),
    );

    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    let matched = format!(
        "2 topics: {}, {}",
        many.topic("orders"),
        many.topic("payments.eu")
    );
    assert!(said.contains(&matched), "{said}");
    let (code, plan) = many.ask(&config, &["plan"]);
    assert_eq!(code, 0, "{plan:#}");
    let tables: Vec<&str> = plan["topics"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|topic| topic["table"].as_str())
        .collect();
    assert_eq!(
        tables,
        ["other.bytes", &many.table("orders"), &many.table("payments.eu")]
    );

    let service = Service::run(TABLETOPIC, &config, &[]);
    wait_for_rows(&service, &many.table("orders"), 300);
    wait_for_rows(&service, &many.table("payments.eu"), 300);
    wait_for_rows(&service, "other.bytes", 300);
    many.fill(&["late"], 200);
    wait_for_rows(&service, &many.table("late"), 200);
    many.fill(&["late", "orders"], 50);
    wait_for_rows(&service, &many.table("late"), 250);
    wait_for_rows(&service, &many.table("orders"), 350);

    let (code, status) = many.ask(&config, &["status"]);
    assert_eq!(code, 0, "{status:#}");
    assert_eq!(status["jobs"].as_array().map(Vec::len), Some(4), "{status:#}");
    never_halted(&service.terminate());
    many.holds(&[
        (many.table("orders"), &[("orders", 350)]),
        (many.table("payments.eu"), &[("payments.eu", 300)]),
        (many.table("late"), &[("late", 250)]),
    ]);
}

#[test]
fn a_topic_that_begins_later_is_read_from_its_begin_whatever_start_says() {
    let many = Many::new("latest");
    many.fill(&["old"], 100);
    let config = many.configure("", &format!("{EACH_ITS_OWN}\nstart = \"latest\""));
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(&format!("recorded table={}", many.table("old")));
    many.fill(&["new"], 100);
    wait_for_rows(&service, &many.table("new"), 100);
    never_halted(&service.terminate());
    many.holds(&[(many.table("new"), &[("new", 100)])]);
}

#[test]
fn a_run_to_the_end_takes_the_topics_that_a_pattern_matches_at_its_start() {
    let many = Many::new("ends");
    many.fill(&["a", "b"], 500);
    many.fill(&["empty"], 0);
    let config = many.configure("", EACH_ITS_OWN);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    many.holds(&[
        (many.table("a"), &[("a", 500)]),
        (many.table("b"), &[("b", 500)]),
        (many.table("empty"), &[("empty", 0)]),
    ]);

    // A table that can't be made before there is a record, is no reason to wait.
    let again = |name: &str| many.table(name).replace("lake.", "again.");
    let section = EACH_ITS_OWN.replace("lake.", "again.");
    let config = many.configure("", &format!("{section}\npartition_by = [\"topic\"]"));
    many.fill(&["a"], 10);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    many.holds(&[(again("a"), &[("a", 510)])]);
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says("the table is made once the topic has a record");
    many.fill(&["empty"], 10);
    wait_for_rows(&service, &again("empty"), 10);
    never_halted(&service.terminate());
    many.holds(&[(again("empty"), &[("empty", 10)])]);
}

#[test]
fn a_topic_that_comes_to_the_table_of_another_is_refused_and_no_other() {
    let many = Many::new("clash");
    many.fill(&["x", "z"], 100);
    let named = "[[topic]]\nname = \"PREFIX.z\"\ntable = \"lake.PREFIX_late\"\nformat = \"json\"";
    let config = many.configure("", &format!("{EACH_ITS_OWN}\n{named}"));
    let service = Service::run(TABLETOPIC, &config, &[]);
    wait_for_rows(&service, &many.table("x"), 100);
    wait_for_rows(&service, &many.table("late"), 100);
    many.fill(&["late"], 100);
    let log = service.says(&format!("topic {} is not read", many.topic("late")));
    assert!(log.contains("give it a [[topic]] with name"), "{log}");
    many.fill(&["x", "z"], 100);
    wait_for_rows(&service, &many.table("x"), 200);
    wait_for_rows(&service, &many.table("late"), 200);
    service.terminate();
    many.holds(&[
        (many.table("x"), &[("x", 200)]),
        (many.table("late"), &[("z", 200)]),
    ]);

    let (code, said) = check(&config);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains(&format!("which is that of topic {}", many.topic("z"))),
        "{said}"
    );
    let (code, plan) = many.ask(&config, &["plan"]);
    assert_eq!(code, 4, "{plan:#}");
    let (code, _) = Service::run(TABLETOPIC, &config, &["--until-end"]).finish();
    assert_eq!(code, 4);
}

#[test]
fn a_plan_goes_on_after_a_topic_that_has_none() {
    let many = Many::new("plan");
    many.fill(&["a", "b"], 10);
    let config = many.configure(
        "",
        "[[topic]]\nname = \"PREFIX.gone\"\ntable = \"lake.gone\"\nformat = \"json\"\n[[topic]]\npattern = \
         '^PREFIX\\.'\ntable = \"lake.${topic}\"\nformat = \"json\"",
    );
    let (code, plan) = many.ask(&config, &["plan"]);
    assert_eq!(code, 2, "{plan:#}");
    let topics = plan["topics"].as_array().expect("a list");
    assert_eq!(topics.len(), 3, "{plan:#}");
    let error = topics[0]["error"].as_str().expect("its error");
    assert!(error.contains("does not know this topic"), "{error}");
    assert_eq!(topics[1]["action"], "create");
    assert_eq!(topics[2]["action"], "create");
}

const INTO_ONE: &str =
    "[[topic]]\npattern = '^PREFIX\\.'\ntable = \"lake.all\"\nformat = \"json\"\nkafka_columns = [\"topic\"]";

#[test]
fn several_topics_feed_one_table_each_with_its_own_progress() {
    let many = Many::new("one-table");
    let table = || "lake.all".to_owned();
    many.fill(&["a", "b", "c"], 400);
    let config = many.configure("", INTO_ONE);
    let service = Service::run(TABLETOPIC, &config, &[]);
    wait_for_rows(&service, "lake.all", 1200);
    many.fill(&["d"], 100);
    wait_for_rows(&service, "lake.all", 1300);

    // One of them is made anew: its job alone goes back to 0, once somebody has said so.
    let topic = Topic {
        name: many.topic("b"),
        bootstrap: many.bootstrap.clone(),
    };
    topic.admin("delete", &[]);
    many.fill(&["b"], 30);
    service.says("it was deleted and created again");
    many.fill(&["a", "c"], 100);
    wait_for_rows(&service, "lake.all", 1500);
    let resolved = Command::new(TABLETOPIC)
        .args(["resolve", "lake.all", "--adopt-topic", "--yes", "--config"])
        .arg(&config)
        .output()
        .expect("it starts");
    assert!(resolved.status.success(), "{resolved:?}");
    wait_for_rows(&service, "lake.all", 1530);
    service.terminate();

    let (code, status) = many.ask(&config, &["status", "lake.all"]);
    assert_eq!(code, 0, "{status:#}");
    let next = |name: &str| {
        let jobs = status["jobs"].as_array().expect("a list");
        let job = jobs.iter().find(|job| job["job"] == many.topic(name).as_str());
        job.map(|job| job["partitions"][0]["next_offset"].clone())
            .unwrap_or_else(|| panic!("no job {name} in {status:#}"))
    };
    assert_eq!(
        [next("a"), next("b"), next("c"), next("d")],
        [500, 30, 500, 100].map(Value::from)
    );
    // The rows of the topic that is gone are still there, beside those of the new one.
    many.holds(&[(
        table(),
        &[("a", 500), ("b", 400), ("b", 30), ("c", 500), ("d", 100)],
    )]);
}

/// What the records are, and what is made of them.
const TWO_TABLES: &str = r#"[[topic]]
name = 'PREFIX.a'
table = "shop.orders"
format = "json"
where = "i >= 0"
columns = { compute = { doubled = "i * 2" } }
[[topic]]
name = 'PREFIX.a'
job = "history"
table = "history.orders"
format = "raw""#;

/// Each of two tables of one topic has its own progress, whatever becomes of the other one.
#[test]
fn one_read_of_a_topic_feeds_two_tables_of_which_one_goes_back_and_both_are_killed() {
    let many = Many::new("two-tables");
    let (curated, history) = ("shop.orders", "history.orders");
    many.fill(&["a"], 2_000);
    let config = many.configure("", TWO_TABLES);
    let service = Service::run(TABLETOPIC, &config, &[]);
    wait_for_rows(&service, curated, 2_000);
    wait_for_rows(&service, history, 2_000);
    let kept = many.lake.foreign(&["show"])["refs"]["tabletopic"]["snapshot"].clone();
    many.fill(&["a"], 3_000);
    wait_for_rows(&service, curated, 5_000);
    wait_for_rows(&service, history, 5_000);

    // One of them stands still, and the other goes on.
    many.lake.foreign(&["rollback", "--to", &kept.to_string()]);
    many.fill(&["a"], 1_000);
    service.says("Somebody rolled the table back");
    wait_for_rows(&service, history, 6_000);

    // It reads again what the other one has, and is killed meanwhile.
    let resolve = ["resolve", curated, "--rewind", "--yes", "--config"];
    let resolved = Command::new(TABLETOPIC).args(resolve).arg(&config).output();
    assert!(resolved.expect("it starts").status.success());
    service.says("this halt is over");
    service.kill();
    many.fill(&["a"], 1_000);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    let both = [
        (curated.to_owned(), [("a", 7_000)]),
        (history.to_owned(), [("a", 7_000)]),
    ];
    many.holds(
        &both
            .each_ref()
            .map(|(table, topics)| (table.clone(), &topics[..])),
    );
    let (code, status) = many.ask(&config, &["status"]);
    assert_eq!(code, 0, "{status:#}");
    let next: Vec<&Value> = status["jobs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| &job["partitions"][0]["next_offset"])
        .collect();
    assert_eq!(next, [7_000, 7_000]);
}

/// What the process may need beside its budget, as the targets have it.
const BESIDE_THE_BUDGET_MIB: u64 = 150;

#[test]
fn fifty_topics_become_fifty_tables_in_one_process_within_its_memory_budget() {
    const BUDGET_MIB: u64 = 64;
    let many = Many::new("fifty");
    let names: Vec<String> = (0..50).map(|number| format!("t{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (idle, busy) = names.split_at(10);
    many.fill(busy, 4_000);
    many.fill(idle, 0);
    // One stands still at its first record.
    let broken = Topic {
        name: many.topic("t00"),
        bootstrap: many.bootstrap.clone(),
    };
    let lines = many.lake.file("broken.jsonl");
    std::fs::write(
        &lines,
        "{\"text\": \"no JSON\", \"kind\": \"poison\", \"reason\": \"not_json\"}\n",
    )
    .expect("a file");
    broken.produce(
        "lines",
        &["--from", &lines, "--produced", &many.lake.file("broken.parquet")],
    );

    let head = format!("[workers]\ncount = 2\n\n[memory]\nbudget = \"{BUDGET_MIB}MiB\"");
    let config = many.configure(&head, EACH_ITS_OWN);
    let began = Instant::now();
    let service = Service::run(TABLETOPIC, &config, &[]);
    for name in busy {
        wait_for_rows(&service, &many.table(name), 4_000);
    }
    println!(
        "40 busy topics of 50 are in their tables after {:?}",
        began.elapsed()
    );
    let log = service.says("halted=job");
    // Once more if its partition goes to the other worker.
    let mut halts = log.lines().filter(|line| line.contains("halted="));
    let broken = format!("halted=job {}", broken.name);
    assert!(halts.all(|line| line.contains(&broken)), "{log}");
    many.fill(&[idle[1], "appeared"], 1_000);
    wait_for_rows(&service, &many.table(idle[1]), 1_000);
    wait_for_rows(&service, &many.table("appeared"), 1_000);

    // Nobody waits for the idle ones, nor for the broken one.
    let before = service.commits();
    let began = Instant::now();
    many.fill(&[busy[0]], 10);
    wait_for_rows(&service, &many.table(busy[0]), 4_010);
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(10), "a commit took {waited:?}");
    assert_eq!(service.commits(), before + 1, "idle tables were committed to");

    let peak = service.peak_mib();
    println!("peak {peak} MiB with a budget of {BUDGET_MIB} MiB");
    assert!(peak <= BUDGET_MIB + BESIDE_THE_BUDGET_MIB, "{peak} MiB");
    service.terminate();

    let mut tables: Vec<(String, Vec<(&str, usize)>)> = Vec::new();
    for name in &busy[1..] {
        tables.push((many.table(name), vec![(name, 4_000)]));
    }
    tables.push((many.table(busy[0]), vec![(busy[0], 4_010)]));
    tables.push((many.table(idle[1]), vec![(idle[1], 1_000)]));
    tables.push((many.table("appeared"), vec![("appeared", 1_000)]));
    tables.extend(idle[2..].iter().map(|name| (many.table(name), vec![(*name, 0)])));
    let tables: Vec<(String, &[(&str, usize)])> = tables
        .iter()
        .map(|(table, topics)| (table.clone(), topics.as_slice()))
        .collect();
    many.holds(&tables);
}

#[test]
fn a_topic_that_is_deleted_stands_still_alone() {
    let many = Many::new("deleted");
    many.fill(&["goes", "stays"], 100);
    let config = many.configure("", EACH_ITS_OWN);
    let service = Service::run(TABLETOPIC, &config, &[]);
    wait_for_rows(&service, &many.table("goes"), 100);
    wait_for_rows(&service, &many.table("stays"), 100);
    let topic = Topic {
        name: many.topic("goes"),
        bootstrap: many.bootstrap.clone(),
    };
    topic.admin("delete", &[]);
    many.fill(&["stays"], 100);
    wait_for_rows(&service, &many.table("stays"), 200);
    eventually("a halt that names the topic", || {
        let log = service.log();
        let halted = log
            .lines()
            .find(|line| line.contains("halted=") && line.contains(&topic.name));
        halted.map(str::to_owned)
    });
    service.terminate();
    many.holds(&[
        (many.table("goes"), &[("goes", 100)]),
        (many.table("stays"), &[("stays", 200)]),
    ]);
}
