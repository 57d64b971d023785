//! What became of the records of a range of offsets.

/// `rows + dead_letters + filtered` can be below the number of offsets: control records, aborted and
/// compacted records have offsets too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Rows in the table.
    pub rows: u64,
    /// Records in the dead-letter table, or on the way there.
    pub dead_letters: u64,
    /// Records that configuration told us to leave out.
    pub filtered: u64,
    /// Offsets declared lost.
    pub lost: u64,
    /// The sum of the rows' offsets, modulo 2^64. With `rows` it tells whether a table still holds
    /// what we put there.
    pub offset_sum: u64,
}

impl Counts {
    /// Counts of rows alone.
    pub fn of_rows(rows: u64, offset_sum: u64) -> Self {
        Self {
            rows,
            offset_sum,
            ..Self::default()
        }
    }

    /// Counts of offsets declared lost, alone.
    pub fn of_lost(lost: u64) -> Self {
        Self {
            lost,
            ..Self::default()
        }
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// How many offsets these counts speak of.
    pub fn offsets(&self) -> u64 {
        [self.rows, self.dead_letters, self.filtered, self.lost]
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    pub fn add(&mut self, other: Counts) {
        self.rows += other.rows;
        self.dead_letters += other.dead_letters;
        self.filtered += other.filtered;
        self.lost += other.lost;
        self.offset_sum = self.offset_sum.wrapping_add(other.offset_sum);
    }

    /// `None` when `other` counts more of anything than is here.
    #[must_use]
    pub fn minus(&self, other: Counts) -> Option<Counts> {
        Some(Counts {
            rows: self.rows.checked_sub(other.rows)?,
            dead_letters: self.dead_letters.checked_sub(other.dead_letters)?,
            filtered: self.filtered.checked_sub(other.filtered)?,
            lost: self.lost.checked_sub(other.lost)?,
            offset_sum: self.offset_sum.wrapping_sub(other.offset_sum),
        })
    }
}
