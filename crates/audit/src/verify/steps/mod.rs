//! The checks of one snapshot, one after the other.

mod rows;

use std::collections::BTreeMap;

use iceberg::spec::SnapshotRef;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{Answers, Counts, TableState};
use tabletopic_table::commit::{Base, CommitError, Tagged};
use tabletopic_table::follower::ledger::Ledger;
use tabletopic_table::follower::letters::Letters;

use super::error::VerifyError;
use super::files::{self, Inventory};
use super::ledger::{Walk, each};
use super::letters::{self, Addressed};
use super::retired::Retired;
use super::verdict::{Check, Finding, Findings, HALTED, Name};
use super::{Means, Since};

/// One snapshot of one table.
pub struct Steps<'a> {
    pub means: &'a Means<'a>,
    pub table: &'a LoadedTable,
    pub snapshot: &'a SnapshotRef,
    pub since: Option<&'a Since>,
}

/// What the ledger says, where it can be read.
struct Told<'a> {
    ledger: Ledger<'a>,
    answers: Answers,
    redriven: BTreeMap<tabletopic_offsets::TopicPartition, tabletopic_offsets::RangeSet>,
    retired: Retired,
}

/// The checks of a halted table, of which `files` alone may have been made.
pub fn halted(why: String, files: Check) -> Vec<Check> {
    let mut findings = Findings::default();
    findings.add(Finding::failed(HALTED, why));
    let mut checks = vec![Check::of(Name::History, "", findings), files];
    let later = "the table is halted: answer that first";
    let all = [
        Name::Ledger,
        Name::Offsets,
        Name::Rows,
        Name::DeadLetters,
        Name::Broker,
    ];
    checks.extend(all.map(|name| Check::not_checked(name, later)));
    checks
}

impl Steps<'_> {
    /// A table that nobody here writes to.
    pub async fn of_others(&self) -> Result<Vec<Check>, VerifyError> {
        let inventory = self.files().await?;
        let why = "no topic feeds this table from here: it carries no progress that its rows could be compared with";
        let mut checks = vec![self.judge_files(inventory.findings, inventory.compared)];
        let all = [
            Name::History,
            Name::Ledger,
            Name::Offsets,
            Name::Rows,
            Name::DeadLetters,
            Name::Broker,
        ];
        checks.extend(all.map(|name| Check::not_checked(name, why)));
        Ok(checks)
    }

    /// A table that stands still until somebody has looked.
    pub async fn of_halted(&self, why: String) -> Result<Vec<Check>, VerifyError> {
        let inventory = self.files().await?;
        Ok(halted(
            why,
            self.judge_files(inventory.findings, inventory.compared),
        ))
    }

    /// A table of ours, whose newest snapshot is in `main`.
    pub async fn of_ours(&self, base: &Base<TableState>) -> Result<Vec<Check>, VerifyError> {
        let Some(tagged) = &base.tagged else {
            return self.of_others().await;
        };
        let state = &tagged.state;
        let mut checks = vec![Check::of(
            Name::History,
            format!(
                "our newest snapshot {} is in `main`",
                tagged.snapshot.snapshot_id()
            ),
            Findings::default(),
        )];
        let (told, ledger) = self.ledger(base, tagged).await?;
        checks.push(ledger);
        let mut inventory = self.files().await?;
        let findings = std::mem::take(&mut inventory.findings);
        checks.push(self.judge_files(findings, inventory.compared));
        let letters = self.letters(base, tagged).await?;
        let rest = self
            .rows(base, tagged, &inventory, told.as_ref(), letters)
            .await?;
        checks.extend(rest);
        tracing::debug!(jobs = state.jobs.len(), "judged");
        Ok(checks)
    }

    async fn files(&self) -> Result<Inventory, VerifyError> {
        let since = self.since.map(|since| since.sequence_number);
        files::take(
            self.means.lake,
            self.table,
            self.snapshot,
            since,
            self.means.progress,
        )
        .await
    }

    fn judge_files(&self, findings: Findings, compared: u64) -> Check {
        let says = match self.since {
            None => format!("{compared} files are there, and are what their entries say"),
            Some(_) => format!("{compared} files that are newer are there, and are what their entries say"),
        };
        Check::of(Name::Files, says, findings)
    }

    async fn ledger<'l>(
        &'l self,
        base: &Base<TableState>,
        tagged: &'l Tagged<TableState>,
    ) -> Result<(Option<Told<'l>>, Check), VerifyError> {
        let ledger = match Ledger::open(self.means.lake, base, tagged).await {
            Ok(ledger) => ledger,
            Err(CommitError::Halt(halt)) => {
                let mut findings = Findings::default();
                findings.add(Finding::failed(HALTED, halt.to_string()));
                return Ok((None, Check::of(Name::Ledger, "", findings)));
            }
            Err(error) => return Err(error.into()),
        };
        let up_to = tagged.snapshot.sequence_number();
        let answers = Answers::of(&ledger.of_kinds(&Answers::KINDS).await?, up_to);
        if let (Some(since), Some((at, kind))) = (self.since, answers.taken_back)
            && at > since.sequence_number
        {
            return Err(VerifyError::TakenBack {
                table: self.table.ident.clone(),
                since: since.snapshot_id,
                kind,
                at,
            });
        }
        let mut walk = Walk::new(&answers);
        let above = self.since.map_or(0, |since| {
            walk.go_on_from(&since.state);
            since.sequence_number
        });
        each(&ledger, above, up_to, |entry| walk.add(entry)).await?;
        let anew = self.since.is_none() && walk.is_begun_anew();
        let lacking = self.since.is_none() && !ledger.is_there() && walk.is_partial();
        let check = if anew || lacking {
            let why =
                "the ledger was dropped, and says nothing of what was before: its ranges can't be judged";
            let mut findings = Findings::default();
            findings.add(Finding::note("begun-anew", why));
            Check::of(Name::Ledger, why, findings)
        } else {
            walk.compare(&tagged.state);
            let says = format!(
                "{} ranges meet from each start up to the progress, and add up",
                walk.ranges()
            );
            Check::of(Name::Ledger, says, std::mem::take(&mut walk.findings))
        };
        let redriven = std::mem::take(&mut walk.redriven);
        let retired = std::mem::take(&mut walk.retired);
        let told = (!anew && !lacking).then_some(Told {
            ledger,
            answers,
            redriven,
            retired,
        });
        Ok((told, check))
    }

    /// The letters, judged but for those that are rows as well; or why they can't be.
    async fn letters(
        &self,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
    ) -> Result<Result<Addressed, Check>, VerifyError> {
        let failed = |says: String| {
            let mut findings = Findings::default();
            findings.add(Finding::failed(HALTED, says));
            Check::of(Name::DeadLetters, "", findings)
        };
        let counted = counted(&tagged.state, |counts| counts.dead_letters);
        if counted.saturating_mul(2) > self.means.memory as u64 {
            let why = format!("{counted} dead letters need more memory than is given: raise [memory] budget");
            return Ok(Err(Check::not_checked(Name::DeadLetters, why)));
        }
        let opened = match Letters::open(self.means.lake, base).await {
            Ok(opened) => opened,
            Err(CommitError::Halt(halt)) => return Ok(Err(failed(halt.to_string()))),
            Err(error) => return Err(error.into()),
        };
        let mut addressed = letters::read(&opened).await?;
        let ahead = opened.drained() > tagged.snapshot.sequence_number();
        addressed.compare(&tagged.state, ahead);
        Ok(Ok(addressed))
    }
}

fn counted(state: &TableState, of: impl Fn(&Counts) -> u64) -> u64 {
    let partitions = state.jobs.values().flat_map(|job| job.partitions.values());
    partitions.map(|state| of(&state.counts)).sum()
}
