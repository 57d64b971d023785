//! Bodies, as our processes build them, and what the catalog does with them.

use crate::config::{Catalog, Config, Errand, Shortcut};
use crate::offsets::{Lanes, Rows, mask};
use crate::shared::Shared;
use crate::state::{JobState, Stamp, TableState};
use crate::table::{File, Metadata, Snapshot};
use crate::world::{Attempt, Base, Kind, LEDGER, Spent, Topic, Truth, Unit, UnitRange, Violation, World};

impl World {
    pub fn start(config: &Config) -> Self {
        let mut world = Self {
            table: Shared::new(Metadata::default()),
            processes: Default::default(),
            errand: None,
            in_flight: Vec::new(),
            topics: std::array::from_fn(|_| Topic {
                life: 0,
                log_end: config.log_end,
                cut: None,
            }),
            followers: Default::default(),
            drains: Vec::new(),
            deleted: 0,
            last_id: 0,
            last_unit: 0,
            spent: Spent::default(),
            truth: Truth::default(),
            wrong: None,
        };
        if config.anchored {
            let anchor = world.anchor(config);
            world.apply(config, &anchor);
            // Followers are created with the anchor drained; their life begins after it.
            for (index, follower) in world.followers.iter_mut().enumerate() {
                let stamp = (anchor.body.seq, anchor.body.id);
                follower.progress = stamp;
                follower.now.progress = stamp;
                follower.now.ledger = if index == LEDGER { 1 << anchor.body.id } else { 0 };
            }
        }
        world
    }

    /// The first commit: where the jobs start.
    pub fn anchor(&mut self, config: &Config) -> Attempt {
        let state = self.first_state(config);
        self.attempt(config, Kind::Anchor, state, Vec::new())
    }

    pub fn first_state(&self, config: &Config) -> TableState {
        let mut state = TableState::default();
        for job in 0..config.jobs {
            state.jobs[job] = Some(JobState::anchored(
                self.topics[job].life,
                self.first_lanes(config, job),
            ));
        }
        state
    }

    pub fn first_lanes(&self, config: &Config, job: usize) -> Lanes {
        let start = if config.starts_at_latest {
            self.topics[job].log_end
        } else {
            0
        };
        match config.live_edge {
            Some(edge) => Lanes::new(&[(start, start), (edge, edge)]),
            None => Lanes::new(&[(start, start)]),
        }
    }

    pub fn next_stamp(&self) -> Stamp {
        (self.table.last_seq + 1, self.last_id + 1)
    }

    /// A body on the current table: all its files, and what the units bring.
    pub fn attempt(
        &mut self,
        config: &Config,
        kind: Kind,
        mut state: TableState,
        units: Vec<Unit>,
    ) -> Attempt {
        let stamp = self.next_stamp();
        self.last_id = stamp.1;
        if config.followers {
            state.outbox.record(stamp);
        }
        let table = &self.table;
        let mut files = table.files().to_vec();
        let append = !units.is_empty();
        files.extend(
            units
                .iter()
                .map(|unit| unit.file(config, stamp.1))
                .filter(|file| file.rows != Rows::default()),
        );
        let mut units = units;
        units.iter_mut().for_each(|unit| unit.tried.push(stamp.1));
        let body = Snapshot {
            id: stamp.1,
            parent: table.main,
            seq: stamp.0,
            append,
            files,
            state: Some(Shared::new(state)),
        };
        Attempt {
            kind,
            base: Base::of(table),
            body: Shared::new(body),
            removes: 0,
            units,
        }
    }

    /// The catalog's decision. True if the body became the table's newest snapshot.
    pub fn apply(&mut self, config: &Config, attempt: &Attempt) -> bool {
        if !attempt.base.allows(config, &self.table, attempt.body.seq) {
            return false;
        }
        self.check_lineage(attempt);
        self.note_truth(attempt);
        let mut table = (*self.table).clone();
        table.last_seq = attempt.body.seq;
        table
            .snapshots
            .retain(|snapshot| attempt.removes & 1 << snapshot.id == 0);
        table.snapshots.push(attempt.body.clone());
        table.main = Some(attempt.body.id);
        // Who walks summaries needs no tag, and so has nothing that keeps expiry away.
        table.tag = (!config.takes(Shortcut::WalkSummariesBackwards)).then_some(attempt.body.id);
        table.witness = true;
        if config.takes(Shortcut::ProgressInProperties) {
            table.property = attempt.body.state.clone();
        }
        self.put_table(config, table);
        if attempt.kind == Kind::Errand(Errand::RemoveOrphans) {
            self.remove_orphans();
        }
        true
    }

    /// Every change of the table goes through here: a new metadata location, after which some bodies
    /// on their way can never apply any more.
    pub fn put_table(&mut self, config: &Config, mut table: Metadata) {
        table.version += 1;
        self.table = Shared::new(table);
        let table = &self.table;
        self.in_flight.retain(|attempt| match config.catalog {
            Catalog::Sql => attempt.base.version == table.version,
            Catalog::Rest => attempt.body.seq > table.last_seq,
        });
    }

    /// Files that no snapshot names go; units that could still name one are too old from now on.
    pub fn remove_orphans(&mut self) {
        let named = self.table.snapshots.iter().flat_map(|snapshot| &snapshot.files);
        let kept = named.fold(0_u32, |kept, file| kept | 1 << file.unit);
        let issued = (1_u32 << (self.last_unit + 1)) - 2;
        self.deleted |= issued & !kept;
        self.processes
            .iter_mut()
            .flat_map(|process| &mut process.waiting)
            .for_each(|unit| unit.old = true);
    }

    /// Only a command may be built on a `main` that no longer has the tag's snapshot, unless it holds the
    /// very rows that the tag counts: then nothing but empty snapshots was lost.
    fn check_lineage(&mut self, attempt: &Attempt) {
        let command = matches!(attempt.kind, Kind::Errand(Errand::Rewind | Errand::DeclareLost));
        let Some(tagged) = self.table.tagged().filter(|_| !command) else {
            return;
        };
        let same_rows = tagged
            .state
            .as_ref()
            .is_some_and(|state| self.table.counters_equal(state));
        if self.truth.ancestry(self.table.main) & 1 << tagged.id == 0 && !same_rows {
            self.wrong = Some(Violation::MissedHalt);
        }
    }

    fn note_truth(&mut self, attempt: &Attempt) {
        let body = &attempt.body;
        self.truth.parents.push((body.id, body.parent.unwrap_or(0)));
        self.truth.ours.push((body.seq, body.id));
        let Some(state) = &body.state else { return };
        for (job, known) in state.known_jobs() {
            let anchor = &mut self.truth.anchors[job][known.life as usize];
            *anchor = anchor.or(Some(known.lanes.start()));
            self.truth.claimed[job][known.life as usize] |= known.lanes.mask();
            if attempt.kind == Kind::Errand(Errand::Truncate) && known.life > 0 {
                // What had not been read below the cut is read as part of the second life.
                let topic = &mut self.topics[job];
                topic.cut = topic.cut.map(|cut| cut.min(known.lanes.start()));
            }
        }
    }
}

impl Base {
    pub fn of(table: &Metadata) -> Self {
        Self {
            version: table.version,
            main: table.main,
            tag: table.tag,
            last_seq: table.last_seq,
        }
    }

    /// The requirements, as the catalog checks them.
    pub fn allows(&self, config: &Config, table: &Metadata, seq: u8) -> bool {
        match config.catalog {
            Catalog::Sql => self.version == table.version,
            Catalog::Rest => self.main == table.main && self.tag == table.tag && seq > table.last_seq,
        }
    }
}

impl Unit {
    fn file(&self, config: &Config, entry: u8) -> File {
        let mut rows = Rows::default();
        for (job, range) in self.ranges.iter().enumerate() {
            if let Some(range) = range {
                rows[job][range.true_life as usize] |= config.rows(range.mask());
            }
        }
        File {
            unit: self.id,
            entry,
            rows,
            picked: false,
        }
    }
}

impl UnitRange {
    pub fn mask(&self) -> u8 {
        mask(self.start, self.end)
    }
}
