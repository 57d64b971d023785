//! Partitions that move between two processes of one group.

use tabletopic_testkit::{Service, eventually};

use super::{Case, JSON};
use crate::TABLETOPIC;

/// Members hear of a rebalance by their heartbeats.
const CLASSIC: &str = "[kafka.properties]\n\"heartbeat.interval.ms\" = \"300\"";
const CONSUMER: &str = "group_protocol = \"consumer\"";

#[test]
fn two_processes_share_a_cooperative_group() {
    rebalance("classic", CLASSIC);
}

#[test]
fn two_processes_share_a_kip_848_group() {
    rebalance("kip848", CONSUMER);
}

/// One process stays; another joins, leaves, joins, leaves and joins.
fn rebalance(name: &str, kafka: &str) {
    let mut case = Case::new(name, 4);
    case.produce(500, &[]);
    let config = case.configure("tabletopic", kafka, JSON);
    let load = case.load(800);
    let stays = Service::run(TABLETOPIC, &config, &[]);
    eventually("a commit", || (stays.commits() > 0).then_some(()));
    for round in 0..3 {
        let comes_and_goes = Service::run(TABLETOPIC, &config, &[]);
        eventually(&format!("a commit of its own, round {round}"), || {
            (comes_and_goes.commits() > 0).then_some(())
        });
        comes_and_goes.terminate();
    }
    stays.terminate();
    load.stop();
    case.holds_everything(&config);
}
