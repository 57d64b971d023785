//! Where partitions start: evaluated once, and at 0 for those that appear later.

use tabletopic_testkit::{Service, eventually};

use super::{Case, JSON};
use crate::TABLETOPIC;

const LATEST: &str = "start = \"latest\"";

#[test]
fn latest_is_where_the_first_process_began() {
    let mut case = Case::new("latest", 2);
    case.produce(500, &[]);
    let config = case.configure(
        "tabletopic",
        "assignment = \"static\"",
        &format!("{LATEST}\npartitions = [0, 1]\n{JSON}"),
    );
    let first = Service::run(TABLETOPIC, &config, &[]);
    first.says("created the table");
    eventually("the anchor", || {
        case.lake.foreign(&["show"])["refs"].get("tabletopic").map(|_| ())
    });
    let log = first.kill();
    assert!(
        !log.contains(" committed table="),
        "there is nothing to commit:\n{log}"
    );
    // While nobody reads.
    case.produce(400, &["--first", "1000"]);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    case.holds(&case.produced[1..]);
    case.lake.is_sound();
}

#[test]
fn partitions_that_are_added_while_it_runs_are_read_from_their_first_record() {
    let mut case = Case::new("added", 2);
    case.produce(500, &[]);
    let seen_soon = "[kafka.properties]\n\"topic.metadata.refresh.interval.ms\" = \"500\"";
    let config = case.configure("tabletopic", seen_soon, &format!("{LATEST}\n{JSON}"));
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says("created the table");
    eventually("the anchor", || {
        case.lake.foreign(&["show"])["refs"].get("tabletopic").map(|_| ())
    });
    // Frozen, so that it does not see the new partitions before they have records.
    service.signal("STOP");
    case.topic.admin("add-partitions", &["--to", "4"]);
    case.produce(400, &["--first", "1000"]);
    service.signal("CONT");
    case.until_committed(&case.ends());
    service.terminate();
    case.holds(&case.produced[1..]);
    case.lake.is_sound();
}
