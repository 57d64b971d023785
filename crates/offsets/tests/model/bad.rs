//! Shortcuts, and the protocol without one of its clauses: the model must find what each breaks. A model
//! that finds nothing here would prove nothing in `good` either.

use crate::config::{Bounds, Catalog, Config, Errand, Foreign, Shortcut};
use crate::explore::explore;
use crate::world::Violation;

use Errand::{AdoptTopic, AnchorJob, DeclareLost, Rewind};
use Foreign::{Append, CherryPick, Compact, CutLog, ExpireAll, Produce, RecreateTopic, SetMain, SetProperty};
use Violation::{Corruption, Duplicate, FalseHalt, Follower, Loss};

/// The shortest counterexample breaks this invariant, and the same configuration without the shortcut
/// breaks none in as many states.
fn must_break(config: Config, shortcut: Shortcut, expected: Violation) {
    let bent = explore(&config.clone().with(shortcut));
    let Some(found) = bent.counterexample else {
        panic!("{shortcut:?} went unnoticed in {} states", bent.states);
    };
    println!("{shortcut:?}, after {} states: {found}", bent.states);
    assert_eq!(found.violation, expected, "{found}");
    if let Some(unexpected) = explore(&config).counterexample {
        panic!("breaks without {shortcut:?} too: {unexpected}");
    }
}

fn alone() -> Config {
    let bounds = Bounds {
        cuts: 2,
        crashes: 1,
        doubts: 1,
        ..Bounds::default()
    };
    Config {
        bounds,
        ..Config::named("alone")
    }
}

fn among(foreign: &'static [Foreign], most: u8) -> Config {
    let bounds = Bounds {
        cuts: 2,
        foreign: most,
        ..Bounds::default()
    };
    Config {
        foreign,
        bounds,
        ..Config::named("among others")
    }
}

fn answered(foreign: &'static [Foreign], most: u8, errands: &'static [Errand], answers: u8) -> Config {
    let bounds = Bounds {
        cuts: 2,
        foreign: most,
        errands: answers,
        ..Bounds::default()
    };
    Config {
        foreign,
        errands,
        bounds,
        ..Config::named("answered")
    }
}

fn followed(foreign: &'static [Foreign], most: u8, errands: &'static [Errand], answers: u8) -> Config {
    let bounds = Bounds {
        cuts: 2,
        foreign: most,
        errands: answers,
        drains: 2,
        ..Bounds::default()
    };
    Config {
        foreign,
        errands,
        bounds,
        followers: true,
        bad: 0b0010,
        ..Config::named("followed")
    }
}

/// The broker's topic id stays the same.
fn cut_log() -> Config {
    Config {
        topic_ids: false,
        log_end: 2,
        last_log_end: 2,
        cut_lengths: &[1, 2],
        ..answered(&[CutLog], 1, &[Errand::Truncate], 1)
    }
}

macro_rules! must_break {
    ($($name:ident: $shortcut:ident breaks $violation:ident in $config:expr;)*) => {$(
        #[test]
        fn $name() {
            must_break($config, Shortcut::$shortcut, $violation);
        }
    )*};
}

must_break! {
    progress_in_table_properties_loses_after_a_rollback:
        ProgressInProperties breaks Loss in among(&[SetMain], 1);
    walking_summaries_backwards_doubles_after_compaction_and_expiry:
        WalkSummariesBackwards breaks Duplicate in among(&[Compact, ExpireAll], 2);
    a_guard_outside_the_retry_loop_doubles:
        GuardOutsideRetryLoop breaks Duplicate in Config { processes: 2, ..alone() };
    deleting_files_of_a_doubtful_commit_corrupts:
        DeleteFilesOfDoubtfulCommits breaks Corruption in alone();
    a_guard_that_forgets_the_units_accepted_doubles:
        GuardForgetsUnitsAccepted breaks Duplicate in alone();
    dropping_only_the_fenced_range_doubles:
        FencedRangeDropsOnlyItself breaks Duplicate in Config { jobs: 2, mixed_units: true, ..alone() };
    a_range_that_passes_the_start_of_the_next_doubles:
        RangesMayPassTheNextStart breaks Duplicate
        in Config { live_edge: Some(1), ..alone() };
    a_generation_that_is_not_guarded_loses_where_brokers_tell_no_topic_ids:
        GenerationNotGuarded breaks Loss in Config {
            topic_ids: false,
            log_end: 2,
            last_log_end: 2,
            ..answered(&[RecreateTopic], 1, &[AdoptTopic], 1)
        };
    a_generation_that_is_not_guarded_loses_where_a_log_was_cut:
        GenerationNotGuarded breaks Loss in cut_log();
    a_truncation_that_keeps_rows_doubles:
        TruncateKeepsRows breaks Duplicate in cut_log();
    a_truncation_that_leaves_drained_letters_doubles_them:
        TruncateKeepsDrainedLetters breaks Follower in Config {
            topic_ids: false,
            ..followed(&[CutLog], 1, &[Errand::Truncate], 1)
        };
    a_topic_id_that_is_not_checked_loses:
        TopicIdNotChecked breaks Loss in among(&[RecreateTopic], 1);
    ignoring_the_witness_doubles:
        WitnessIgnored breaks Duplicate in among(&[Foreign::DropTag], 1);
    an_anchor_that_waits_for_the_first_data_loses:
        AnchorOnlyWithFirstData breaks Loss in Config {
            anchored: false,
            starts_at_latest: true,
            log_end: 1,
            last_log_end: 4,
            foreign: &[Produce],
            bounds: Bounds { cuts: 2, crashes: 1, foreign: 2, ..Bounds::default() },
            ..Config::named("late start")
        };
    two_foreign_appends_with_expiry_of_the_first_halt_without_the_rule_of_equal_counters:
        NoEqualCountersRule breaks FalseHalt in among(&[Append, ExpireAll], 3);
    looking_only_at_references_takes_a_passing_refusal_for_a_permanent_one:
        OnlyReferencesCountAsChanged breaks FalseHalt
        in Config { catalog: Catalog::Rest, ..among(&[SetProperty], 1) };
    maintenance_that_skips_section_four_loses:
        MaintenanceSkipsSectionFour breaks Loss
        in answered(&[SetMain, Append], 2, &[Errand::Renew, Errand::RemoveOrphans], 1);
    orphan_removal_without_a_fence_corrupts:
        OrphansRemovedWithoutFence breaks Corruption
        in Config { errands: &[Errand::RemoveOrphans], bounds: Bounds { errands: 1, ..alone().bounds }, ..alone() };
    committing_a_unit_older_than_orphans_corrupts:
        OldUnitsAreCommitted breaks Corruption
        in Config { errands: &[Errand::RemoveOrphans], bounds: Bounds { errands: 1, ..alone().bounds }, ..alone() };
    a_rewind_that_keeps_abandoned_snapshots_doubles_once_one_is_cherry_picked:
        RewindKeepsAbandonedSnapshots breaks Duplicate
        in answered(&[SetMain, Append, CherryPick], 3, &[Rewind], 1);
    a_rewind_that_removes_only_our_snapshots_doubles_once_a_foreign_pick_is_picked:
        RewindRemovesOnlyOurSnapshots breaks Duplicate
        in answered(&[SetMain, Append, CherryPick], 5, &[Rewind], 1);
    a_rewind_that_forgets_unknown_partitions_loses:
        RewindForgetsUnknownPartitions breaks Loss in Config {
            starts_at_latest: true,
            log_end: 1,
            last_log_end: 3,
            ..answered(&[SetMain, Produce], 3, &[AnchorJob, Rewind], 3)
        };
    a_rewind_of_one_job_loses_in_the_other:
        RewindOnlyOneJob breaks Loss in Config { jobs: 2, ..answered(&[SetMain], 1, &[Rewind], 1) };
    a_rewind_that_forgets_old_progress_loses_when_the_topic_is_gone:
        RewindForgetsOldProgress breaks Loss
        in answered(&[SetMain, RecreateTopic], 2, &[Rewind, AdoptTopic], 2);
    a_rewind_over_an_adoption_that_forgets_old_progress_loses:
        AdoptionForgetsOldProgress breaks Loss
        in answered(&[SetMain, RecreateTopic], 2, &[Rewind, AdoptTopic], 3);
    a_rewind_below_rows_of_main_doubles:
        RewindIgnoresRowsAbove breaks Duplicate
        in answered(&[SetMain, Append, CherryPick], 3, &[Rewind], 1);
    declaring_the_difference_of_two_states_lost_counts_rows_twice:
        DeclareLostByDifference breaks Duplicate
        in answered(&[SetMain, Append, CherryPick], 3, &[DeclareLost], 1);
    declaring_lost_only_what_the_present_topic_lacks_loses_what_came_before_it:
        DeclareLostForgetsClosedTopics breaks Loss
        in answered(&[SetMain, RecreateTopic], 2, &[AdoptTopic, DeclareLost], 2);
    declaring_lost_again_while_lost_rows_are_back_counts_them_twice:
        DeclareLostAcceptsLostRows breaks Duplicate
        in answered(&[SetMain, Append, CherryPick], 4, &[DeclareLost], 2);
    a_tag_that_somebody_moved_back_doubles_unless_newer_snapshots_of_ours_halt_us:
        SectionFourTrustsTheTag breaks Duplicate in among(&[Foreign::MoveTag], 1);
    building_on_an_abandoned_snapshot_spoils_the_ledger:
        AbandonedNearestAccepted breaks Follower
        in answered(&[SetMain], 2, &[DeclareLost, Rewind], 2);
    a_rewind_that_leaves_drained_letters_doubles_them:
        RewindKeepsDrainedLetters breaks Follower in followed(&[SetMain], 1, &[Rewind], 1);
    an_outbox_taken_from_main_forgets_ledger_rows:
        RewindTakesOutboxFromMain breaks Follower in followed(&[SetMain], 1, &[Rewind], 1);
    a_drain_that_adds_before_it_deletes_loses_letters:
        DrainAddsBeforeDeletes breaks Loss
        in Config { bounds: Bounds { cuts: 2, foreign: 1, errands: 1, drains: 2, ..Bounds::default() },
            ..followed(&[SetMain], 1, &[Rewind], 1) };
    a_drain_without_compare_and_swap_doubles_letters:
        DrainWithoutCompareAndSwap breaks Duplicate in followed(&[], 0, &[], 0);
    acknowledging_a_drain_that_was_only_sent_loses:
        AcknowledgeWhatWasOnlySent breaks Loss in followed(&[], 0, &[Errand::Acknowledge], 1);
    a_follower_that_skips_section_four_loses_letters:
        FollowerSkipsSectionFour breaks Loss in Config {
            bounds: Bounds { cuts: 2, foreign: 1, errands: 1, drains: 3, ..Bounds::default() },
            ..followed(&[Foreign::RollBackFollower], 1, &[Errand::Acknowledge], 1)
        };
    a_rebuild_with_old_stamps_loses_letters:
        RebuildKeepsOldStamps breaks Loss in Config {
            bounds: Bounds { cuts: 1, foreign: 1, errands: 1, drains: 2, ..Bounds::default() },
            ..followed(&[Foreign::RollBackFollower], 1, &[Errand::RebuildFollower], 1)
        };
    a_redrive_that_deletes_the_letter_loses_it_after_a_rollback:
        RedriveDeletesTheLetter breaks Loss in Config {
            bounds: Bounds { cuts: 1, foreign: 1, errands: 2, drains: 2, ..Bounds::default() },
            ..followed(&[SetMain], 1, &[Errand::Redrive, Rewind], 2)
        };
    a_redrive_that_ignores_rows_of_main_doubles:
        RedriveIgnoresRowsOfMain breaks Duplicate in Config {
            bounds: Bounds { cuts: 1, errands: 2, drains: 1, ..Bounds::default() },
            ..followed(&[], 0, &[Errand::Redrive], 2)
        };
}
