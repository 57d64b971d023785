//! What was found in one check: the first of each kind, and how many there are.

use std::collections::BTreeMap;

use serde::Serialize;
use tabletopic_offsets::OffsetRange;

use super::verdict::Outcome;

/// Findings of one kind that are told one by one; all are counted.
pub const TOLD: u64 = 20;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: &'static str,
    /// [`Outcome::Note`] or [`Outcome::Failed`].
    pub outcome: Outcome,
    /// A sentence for a person.
    pub says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// `[start, end)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<(i64, i64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

impl Finding {
    pub fn failed(kind: &'static str, says: impl Into<String>) -> Self {
        Self {
            kind,
            outcome: Outcome::Failed,
            says: says.into(),
            topic: None,
            partition: None,
            offsets: None,
            files: Vec::new(),
        }
    }

    pub fn note(kind: &'static str, says: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Note,
            ..Self::failed(kind, says)
        }
    }

    #[must_use]
    pub fn of(mut self, topic: Option<&str>, partition: i32) -> Self {
        self.topic = topic.map(str::to_owned);
        self.partition = Some(partition);
        self
    }

    #[must_use]
    pub fn at(mut self, range: OffsetRange) -> Self {
        self.offsets = Some((range.start, range.end));
        self
    }

    #[must_use]
    pub fn in_file(mut self, path: &str) -> Self {
        self.files.push(path.to_owned());
        self
    }
}

/// Findings of one check: the first of each kind, all counted.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub(super) told: Vec<Finding>,
    pub(super) counted: BTreeMap<&'static str, u64>,
    pub(super) worst: Option<Outcome>,
}

impl Findings {
    pub fn add(&mut self, finding: Finding) {
        self.add_many(finding, 1);
    }

    /// One finding that stands for `times` of them, such as the offsets of a run.
    pub fn add_many(&mut self, finding: Finding, times: u64) {
        if times == 0 {
            return;
        }
        self.worst = self.worst.max(Some(finding.outcome));
        let counted = self.counted.entry(finding.kind).or_default();
        let told = self.told.iter().filter(|told| told.kind == finding.kind).count() as u64;
        *counted += times;
        if told < TOLD {
            self.told.push(finding);
        }
    }

    /// Takes those of another part of the same check.
    pub fn append(&mut self, other: Self) {
        let told: BTreeMap<&'static str, u64> =
            other.told.iter().fold(BTreeMap::new(), |mut told, finding| {
                *told.entry(finding.kind).or_default() += 1;
                told
            });
        other.told.into_iter().for_each(|finding| self.add(finding));
        for (kind, times) in other.counted {
            let told = told.get(kind).copied().unwrap_or_default();
            *self.counted.entry(kind).or_default() += times.saturating_sub(told);
        }
    }

    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    pub fn has(&self, kind: &str) -> bool {
        self.counted.contains_key(kind)
    }

    pub fn is_failed(&self) -> bool {
        self.worst == Some(Outcome::Failed)
    }

    /// Those that are told, to be said more of.
    pub fn told_mut(&mut self) -> impl Iterator<Item = &mut Finding> {
        self.told.iter_mut()
    }
}
