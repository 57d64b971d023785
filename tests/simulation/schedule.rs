//! What happens in a schedule, drawn from its seed before anything runs. Steps name processes and partitions by
//! numbers that are taken modulo what there is, so that every step makes sense in every state.

use tabletopic_offsets::Follower;

/// One step.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Records of mixed kinds.
    Produce {
        partition: usize,
        records: u32,
    },
    /// Records that have a field which no record had before.
    ProduceNewField {
        partition: usize,
        records: u32,
    },
    /// Control records, or aborted ones: offsets that nobody is handed.
    Control {
        partition: usize,
        offsets: i64,
    },
    /// A transaction holds the last stable offset where the log ends now.
    OpenTransaction {
        partition: usize,
    },
    EndTransaction {
        partition: usize,
    },
    /// Compaction takes one record away.
    CompactRecord {
        partition: usize,
        back: i64,
    },
    ElectLeader {
        partition: usize,
    },
    AddPartition,
    /// Retention takes all but the last `left` offsets.
    Retain {
        partition: usize,
        left: i64,
    },
    /// An unclean leader election takes the last offsets away.
    CutLog {
        partition: usize,
        back: i64,
    },
    RecreateTopic,
    BrokerOutage {
        on: bool,
    },

    /// All processes go on for this long.
    Run {
        millis: u64,
    },
    StartProcess,
    /// This share of the requests of a process goes wrong, in percent.
    Trouble {
        process: usize,
        percent: u32,
    },
    /// It dies at its n-th request from now.
    DieAt {
        process: usize,
        requests: u32,
    },
    Kill {
        process: usize,
    },
    Leave {
        process: usize,
    },
    /// It is stopped (SIGSTOP), and the group gives its partitions to others.
    Stop {
        process: usize,
    },
    /// It is stopped at its n-th request from now.
    StopAt {
        process: usize,
        requests: u32,
    },
    GoOn {
        process: usize,
    },
    /// A partition goes to another process in an orderly way.
    Move {
        partition: usize,
        process: usize,
    },
    /// A partition goes to another process, and its owner does not know yet.
    Steal {
        partition: usize,
        process: usize,
    },
    /// Owners that were robbed learn of it.
    TellRobbed,

    ForeignAppend,
    ForeignCompaction,
    ForeignExpiry,
    /// Little is kept from now on: few snapshots, and manifests are merged soon.
    KeepLittle {
        merged: u32,
    },
    ForeignRollback {
        back: usize,
    },
    /// Nobody can write to this follower any more: its tag is gone.
    FollowerCutOff {
        follower: Follower,
    },
    /// The followers can be written to again.
    FollowersMended,
    /// Nobody runs for so long, or a clock jumps.
    ClocksJump {
        hours: i64,
    },
    /// Somebody answers what stands still.
    Operate,
    /// Somebody redrives the dead letters, from a host of their own: this share of its requests goes wrong, in
    /// percent, and it may die at its n-th request.
    Redrive {
        seed: u64,
        percent: u32,
        dies_in: Option<u32>,
    },
}

/// Which rare events a schedule has at all. Most schedules lack most of them, so that nothing may halt there.
#[derive(Debug, Clone, Copy)]
struct Climate {
    rollbacks: bool,
    retention: bool,
    recreation: bool,
    cuts: bool,
    foreign: bool,
    trouble: bool,
    crashes: bool,
    rebalances: bool,
    followers: bool,
    jumps: bool,
}

/// The steps of a seed.
pub fn steps(rng: &mut fastrand::Rng) -> Vec<Step> {
    let climate = Climate {
        rollbacks: rng.u8(..4) == 0,
        retention: rng.u8(..4) == 0,
        recreation: rng.u8(..6) == 0,
        cuts: rng.u8(..4) == 0,
        foreign: rng.bool(),
        trouble: rng.u8(..4) != 0,
        crashes: rng.u8(..4) != 0,
        rebalances: rng.u8(..4) != 0,
        followers: rng.u8(..4) == 0,
        jumps: rng.u8(..4) == 0,
    };
    let (begun, length) = (rng.usize(1..=3), rng.usize(10..60));
    let begin = std::iter::repeat_n(Step::StartProcess, begun);
    let created = Step::Run { millis: 1_000 };
    let keep_little = Step::KeepLittle {
        merged: rng.u32(2..5),
    };
    let upkeep = rng.bool().then_some([created, keep_little]);
    begin
        .chain(upkeep.into_iter().flatten())
        .chain((0..length).flat_map(|_| step(rng, climate)))
        .collect()
}

/// Nothing, where the climate does not have what was drawn.
fn step(rng: &mut fastrand::Rng, climate: Climate) -> Option<Step> {
    let (partition, process) = (rng.usize(..8), rng.usize(..8));
    let drawn = match rng.u8(..106) {
        0..22 => Step::Produce {
            partition,
            records: rng.u32(1..12),
        },
        22..25 => Step::ProduceNewField {
            partition,
            records: rng.u32(1..4),
        },
        25..28 => Step::Control {
            partition,
            offsets: rng.i64(1..4),
        },
        28..29 => Step::OpenTransaction { partition },
        29..31 => Step::EndTransaction { partition },
        31..32 => Step::CompactRecord {
            partition,
            back: rng.i64(1..12),
        },
        32..33 => Step::ElectLeader { partition },
        33..34 => Step::AddPartition,
        34..35 => Step::BrokerOutage { on: true },
        35..37 => Step::BrokerOutage { on: false },
        37..59 => Step::Run {
            millis: [100, 300, 1_000, 2_500, 7_000, 20_000][rng.usize(..6)],
        },
        59..61 => Step::StartProcess,
        61..63 if climate.cuts => Step::CutLog {
            partition,
            back: rng.i64(1..20),
        },
        63..68 if climate.trouble => Step::Trouble {
            process,
            percent: [0, 5, 20, 60][rng.usize(..4)],
        },
        68..72 if climate.crashes => Step::DieAt {
            process,
            requests: rng.u32(0..40),
        },
        72..73 if climate.crashes => Step::Kill { process },
        73..74 => Step::Leave { process },
        74..75 if climate.crashes => Step::Stop { process },
        75..77 if climate.crashes => Step::StopAt {
            process,
            requests: rng.u32(0..30),
        },
        77..79 => Step::GoOn { process },
        79..83 if climate.rebalances => Step::Move { partition, process },
        83..86 if climate.rebalances => Step::Steal { partition, process },
        86..88 => Step::TellRobbed,
        88..90 if climate.foreign => Step::ForeignAppend,
        90..91 if climate.foreign => Step::ForeignCompaction,
        91..93 if climate.foreign => Step::ForeignExpiry,
        93..95 if climate.rollbacks => Step::ForeignRollback {
            back: rng.usize(1..5),
        },
        95..97 if climate.retention => Step::Retain {
            partition,
            left: rng.i64(0..8),
        },
        97..98 if climate.recreation => Step::RecreateTopic,
        98..100 => Step::Operate,
        100..102 if climate.followers => Step::FollowerCutOff {
            follower: [Follower::DeadLetters, Follower::Ledger][rng.usize(..2)],
        },
        102..104 if climate.followers => Step::FollowersMended,
        104.. if climate.jumps => Step::ClocksJump {
            hours: [1, 25, 200][rng.usize(..3)],
        },
        _ => return None,
    };
    Some(drawn)
}
