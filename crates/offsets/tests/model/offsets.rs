//! Offsets small enough for a model: a partition has at most eight, so that a set of them is a byte.

/// A set of offsets: bit `n` stands for offset `n`.
pub type Mask = u8;

/// At most two topics of one partition each; each job reads one of them.
pub const JOBS: usize = 2;
/// A topic may be deleted and created again once: its first and its second life.
pub const LIVES: usize = 2;

/// Offsets per job and life of its topic.
pub type Rows = [[Mask; LIVES]; JOBS];

pub fn mask(start: u8, end: u8) -> Mask {
    (start..end).fold(0, |mask, offset| mask | 1 << offset)
}

pub fn count(rows: &Rows) -> u32 {
    rows.iter().flatten().map(|mask| mask.count_ones()).sum()
}

pub fn offset_sum(mask: Mask) -> u32 {
    (0..8).filter(|offset| mask & 1 << offset != 0).sum()
}

pub fn overlap(left: &Rows, right: &Rows) -> bool {
    left.iter()
        .flatten()
        .zip(right.iter().flatten())
        .any(|(a, b)| a & b != 0)
}

pub fn union(left: &Rows, right: &Rows) -> Rows {
    combine(left, right, |a, b| a | b)
}

pub fn without(left: &Rows, right: &Rows) -> Rows {
    combine(left, right, |a, b| a & !b)
}

fn combine(left: &Rows, right: &Rows, with: impl Fn(Mask, Mask) -> Mask) -> Rows {
    let mut rows = *left;
    for job in 0..JOBS {
        for life in 0..LIVES {
            rows[job][life] = with(left[job][life], right[job][life]);
        }
    }
    rows
}

/// Progress: sorted ranges `[start, end)` that do not meet. Two suffice for a live edge with a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Lanes {
    ranges: [(u8, u8); 2],
    len: u8,
}

impl Lanes {
    pub fn new(ranges: &[(u8, u8)]) -> Self {
        let mut lanes = Self {
            ranges: [(0, 0); 2],
            len: ranges.len() as u8,
        };
        lanes.ranges[..ranges.len()].copy_from_slice(ranges);
        lanes
    }

    pub fn ranges(&self) -> &[(u8, u8)] {
        &self.ranges[..self.len as usize]
    }

    pub fn start(&self) -> u8 {
        self.ranges[0].0
    }

    pub fn mask(&self) -> Mask {
        self.ranges()
            .iter()
            .fold(0, |all, &(start, end)| all | mask(start, end))
    }

    /// Where a reader of this lane has to stop: at the start of the next one.
    pub fn limit(&self, lane: usize, log_end: u8) -> u8 {
        self.ranges().get(lane + 1).map_or(log_end, |next| next.0)
    }

    /// Moves the end of one lane, whatever stands in the way: the guard has spoken before, or was left
    /// out on purpose.
    pub fn stretch(&self, lane: usize, to: u8) -> Self {
        let mut ranges = self.ranges().to_vec();
        ranges[lane].1 = ranges[lane].1.max(to);
        if ranges.len() == 2 && ranges[0].1 >= ranges[1].0 {
            let end = ranges[0].1.max(ranges[1].1);
            return Self::new(&[(ranges[0].0, end)]);
        }
        Self::new(&ranges)
    }

    /// The lane that an unguarded range would be written to: the last one that starts at or before it.
    pub fn lane_of(&self, start: u8) -> usize {
        self.ranges()
            .iter()
            .rposition(|range| range.0 <= start)
            .unwrap_or(0)
    }
}
