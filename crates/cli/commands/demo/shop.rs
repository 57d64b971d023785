//! The shop: an endless stream of orders, the same ones in every demo, with the faults that real streams have.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use tabletopic_clock::{Entropy, Millis, SeededEntropy};

/// Partitions of the topic. A customer's orders stay in one of them, in order.
pub const PARTITIONS: i32 = 3;

const SEED: u64 = 42;
const CUSTOMERS: u64 = 900;
/// Name and price in cents.
const PRODUCTS: [(&str, u64); 6] = [
    ("notebook", 450),
    ("pencils", 320),
    ("desk lamp", 3990),
    ("chair", 14900),
    ("kettle", 2750),
    ("teapot", 1980),
];
const COUNTRIES: [&str; 5] = ["DE", "FR", "JP", "BR", "KE"];
const COUPONS: [&str; 3] = ["SPRING", "FRIEND", "THANKS"];

const HOUR: Millis = 3_600_000;
/// The latest order comes in three days after it was made.
const LATEST: u64 = 72 * HOUR as u64;
/// Far before 1970, which nobody's shop can have meant.
const CENTURY: Millis = 100 * 365 * 24 * HOUR;

/// One order in so many.
const LATE: u64 = 50;
const MALFORMED: u64 = 500;
const WITH_COUPON: u64 = 5;

/// See the module.
#[derive(Debug)]
pub struct Shop {
    entropy: SeededEntropy,
    made: u64,
    /// From this order on the shop sends a field that it never sent before.
    coupons_from: u64,
}

/// An order as a record.
#[derive(Debug)]
pub struct Record {
    pub partition: i32,
    pub key: String,
    pub value: Vec<u8>,
    pub kind: Kind,
    pub has_coupon: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OnTime,
    /// It happened on an earlier hour or day than it arrives.
    Late,
    /// It can't become a row.
    Malformed,
}

#[derive(Serialize)]
struct Order<'a> {
    order_id: u64,
    customer_id: u64,
    created_at: String,
    product: &'a str,
    quantity: u64,
    amount: Amount,
    country: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Amount {
    Number(f64),
    /// A mistake of the shop's.
    Text(&'static str),
}

impl Shop {
    /// `coupons_from` is the number of an order, counted from 0.
    pub fn new(coupons_from: u64) -> Self {
        Self {
            entropy: SeededEntropy::new(SEED),
            made: 0,
            coupons_from,
        }
    }

    /// The next order, as it arrives at `now`.
    pub fn next(&mut self, now: Millis) -> Record {
        let number = self.made;
        self.made += 1;
        let customer = self.below(CUSTOMERS);
        let (product, cents) = self.one_of(&PRODUCTS);
        let quantity = 1 + self.below(4);
        let kind = match (self.below(MALFORMED), self.below(LATE)) {
            (0, _) => Kind::Malformed,
            (_, 0) => Kind::Late,
            _ => Kind::OnTime,
        };
        let age = match kind {
            Kind::Late => HOUR + self.below(LATEST) as Millis,
            Kind::OnTime | Kind::Malformed => self.below(1_000) as Millis,
        };
        // The first one has it, so that it is known where the field begins.
        let has_coupon =
            number >= self.coupons_from && (number == self.coupons_from || self.below(WITH_COUPON) == 0);
        let mut order = Order {
            order_id: 100_000 + number,
            customer_id: customer,
            created_at: time(now - age),
            product,
            quantity,
            amount: Amount::Number((quantity * cents) as f64 / 100.0),
            country: self.one_of(&COUNTRIES),
            coupon: has_coupon.then(|| self.one_of(&COUPONS)),
        };
        let cut = match kind {
            Kind::Malformed => self.spoil(&mut order, now),
            Kind::OnTime | Kind::Late => 0,
        };
        let mut value = serde_json::to_vec(&order).unwrap_or_default();
        value.truncate(value.len() - cut);
        Record {
            partition: (customer % PARTITIONS as u64) as i32,
            key: customer.to_string(),
            value,
            kind,
            has_coupon,
        }
    }

    /// Gives an order one of three faults; answers how many bytes are missing at its end.
    fn spoil(&mut self, order: &mut Order<'_>, now: Millis) -> usize {
        match self.below(3) {
            0 => return 20,
            1 => order.amount = Amount::Text("free"),
            _ => order.created_at = time(now - CENTURY),
        }
        0
    }

    fn below(&self, bound: u64) -> u64 {
        self.entropy.next_u64() % bound
    }

    fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn time(at: Millis) -> String {
    DateTime::from_timestamp_millis(at)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_790_000_000_000;

    #[test]
    fn every_demo_has_the_same_orders() {
        let (mut one, mut other) = (Shop::new(50), Shop::new(50));
        for _ in 0..200 {
            assert_eq!(one.next(NOW).value, other.next(NOW).value);
        }
    }

    #[test]
    fn the_new_field_begins_where_it_is_said_to() {
        let mut shop = Shop::new(50);
        let with: Vec<bool> = (0..100).map(|_| shop.next(NOW).has_coupon).collect();
        assert_eq!(with.iter().position(|has| *has), Some(50));
    }

    #[test]
    fn what_is_not_malformed_is_json() {
        let mut shop = Shop::new(0);
        for _ in 0..2_000 {
            let record = shop.next(NOW);
            if record.kind != Kind::Malformed {
                serde_json::from_slice::<serde_json::Value>(&record.value).unwrap();
            }
        }
    }
}
