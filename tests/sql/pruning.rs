//! What a query does not read: files by partition and bounds, row groups by their statistics; counted in
//! `EXPLAIN ANALYZE`.

use crate::lake::lake;

/// The metrics of the only scan of a query.
struct Scanned(String);

impl Scanned {
    fn of(query: &str) -> Self {
        let rows = lake().rows(&format!("EXPLAIN ANALYZE {query}"));
        let plan = rows
            .iter()
            .find_map(|row| row["plan"].as_str().filter(|plan| plan.contains("IcebergScan")));
        let plan = plan.unwrap_or_else(|| panic!("{query}: {rows:#?}"));
        let scan = plan.lines().find(|line| line.contains("IcebergScan"));
        Self(scan.unwrap().to_owned())
    }

    fn count(&self, metric: &str) -> u64 {
        let (_, value) = self
            .0
            .split_once(&format!(" {metric}="))
            .or_else(|| self.0.split_once(&format!("[{metric}=")))
            .unwrap_or_else(|| panic!("{metric} in {}", self.0));
        let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    fn files(&self) -> (u64, u64) {
        (self.count("files_scanned"), self.count("files_pruned"))
    }

    fn row_groups(&self) -> (u64, u64) {
        (self.count("row_groups_scanned"), self.count("row_groups_pruned"))
    }
}

#[test]
fn without_a_filter_everything_is_read() {
    let scanned = Scanned::of("SELECT order_id FROM orders");
    assert_eq!(scanned.files(), (11, 0), "{}", scanned.0);
    assert_eq!(scanned.row_groups(), (44, 0), "{}", scanned.0);
}

#[test]
fn files_are_pruned_by_partition() {
    let day = "created_at >= '2026-01-03T00:00:00Z' AND created_at < '2026-01-04T00:00:00Z'";
    let scanned = Scanned::of(&format!("SELECT order_id FROM orders WHERE {day}"));
    assert_eq!(scanned.files(), (1, 10), "{}", scanned.0);
    // A filter that cannot be judged beside one that can takes nothing away.
    let scanned = Scanned::of(&format!(
        "SELECT order_id FROM orders WHERE {day} AND length(customer) > 3"
    ));
    assert_eq!(scanned.files(), (1, 10), "{}", scanned.0);
}

#[test]
fn files_are_pruned_by_the_bounds_of_columns() {
    let scanned = Scanned::of("SELECT customer FROM orders WHERE order_id IN (150, 950)");
    assert_eq!(scanned.files(), (2, 9), "{}", scanned.0);
    let scanned = Scanned::of("SELECT customer FROM orders WHERE order_id > 5000");
    assert_eq!(scanned.files(), (0, 11), "{}", scanned.0);
    // Files from before the column came are all null in it.
    let scanned = Scanned::of("SELECT customer FROM orders WHERE note LIKE 'note 55%'");
    assert_eq!(
        scanned.row_groups().0 + scanned.row_groups().1,
        4 * scanned.files().0,
        "{}",
        scanned.0
    );
}

#[test]
fn row_groups_are_pruned_by_their_statistics() {
    let scanned = Scanned::of("SELECT customer FROM orders WHERE order_id BETWEEN 130 AND 140");
    assert_eq!(scanned.files(), (1, 10), "{}", scanned.0);
    assert_eq!(scanned.row_groups(), (1, 3), "{}", scanned.0);
    assert_eq!(
        lake().value("SELECT count(customer) FROM orders WHERE order_id BETWEEN 130 AND 140"),
        9,
        "two of the eleven have no customer"
    );
}

#[test]
fn a_limit_reads_no_more_files_than_it_needs() {
    let scanned = Scanned::of("SELECT order_id FROM orders LIMIT 10");
    assert_eq!(scanned.files().0, 1, "{}", scanned.0);
    assert_eq!(lake().rows("SELECT order_id FROM orders LIMIT 250").len(), 250);
}

#[test]
fn counting_all_rows_reads_none_and_counting_undeleted_ones_reads_them() {
    let plan = lake().prints("EXPLAIN SELECT count(*) FROM orders", "json");
    assert!(!plan.contains("IcebergScan"), "the manifests know: {plan}");
    let plan = lake().prints("EXPLAIN SELECT count(*) FROM returns", "json");
    assert!(plan.contains("IcebergScan"), "the manifests do not know: {plan}");
}

#[test]
fn files_are_spread_over_readers() {
    let plan = lake().prints("EXPLAIN SELECT order_id FROM orders", "json");
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(plan.contains(&format!("readers={}", cores.min(11))), "{plan}");
}
