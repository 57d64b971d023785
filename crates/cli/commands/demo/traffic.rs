//! The shop's traffic: orders that arrive at their pace, and an account of what was sent.

use tabletopic_clock::Millis;
use tabletopic_offsets::Offset;
use tabletopic_source::{EmbeddedBroker, EmbeddedBrokerError, Outgoing};

use super::shop::{Kind, PARTITIONS, Shop};

pub const TOPIC: &str = "orders";

/// All of them are about 5 MB, so that the broker, which keeps 5 MiB of each partition, never drops one.
pub const ORDERS: u64 = 30_000;
const PER_SECOND: u64 = 1_500;

/// Orders that are in the topic before anybody reads it: the table's columns are inferred from them.
pub const OPENING: u64 = 300;

/// The shop sends a new field from this order on.
const COUPONS_FROM: u64 = ORDERS / 2;

/// What was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    pub orders: u64,
    pub late: u64,
    pub malformed: u64,
    /// The end of each partition.
    pub ends: [Offset; PARTITIONS as usize],
    /// Whether the shop has begun to send the new field.
    pub has_coupons: bool,
}

/// See the module.
pub struct Traffic<'b> {
    broker: &'b EmbeddedBroker,
    shop: Shop,
    /// When the orders after the opening began to arrive.
    started: Option<Millis>,
    sent: Sent,
}

impl<'b> Traffic<'b> {
    pub fn new(broker: &'b EmbeddedBroker) -> Self {
        Self {
            broker,
            shop: Shop::new(COUPONS_FROM),
            started: None,
            sent: Sent::default(),
        }
    }

    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    pub fn is_over(&self) -> bool {
        self.sent.orders >= ORDERS
    }

    /// # Errors
    /// Those of the broker.
    pub fn send_opening(&mut self, now: Millis) -> Result<(), EmbeddedBrokerError> {
        self.send_up_to(OPENING, now)?;
        self.broker.flush(TOPIC)
    }

    /// Sends what has arrived by `now`.
    ///
    /// # Errors
    /// Those of the broker.
    pub fn send_due(&mut self, now: Millis) -> Result<(), EmbeddedBrokerError> {
        if self.is_over() {
            return Ok(());
        }
        let started = *self.started.get_or_insert(now);
        let arrived = u64::try_from(now - started).unwrap_or(0) * PER_SECOND / 1_000;
        self.send_up_to((OPENING + arrived).min(ORDERS), now)
    }

    fn send_up_to(&mut self, orders: u64, now: Millis) -> Result<(), EmbeddedBrokerError> {
        while self.sent.orders < orders {
            let record = self.shop.next(now);
            self.broker.send(Outgoing {
                topic: TOPIC,
                partition: record.partition,
                timestamp: now,
                key: record.key.as_bytes(),
                value: &record.value,
            })?;
            self.sent.orders += 1;
            self.sent.late += u64::from(record.kind == Kind::Late);
            self.sent.malformed += u64::from(record.kind == Kind::Malformed);
            self.sent.has_coupons |= record.has_coupon;
            self.sent.ends[record.partition as usize] += 1;
        }
        Ok(())
    }
}
