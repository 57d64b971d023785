//! Nexmark bids in every format that has fields: numbers of varying length, a few hot channels among many, a URL, and a
//! random text that fills the JSON of a record up to 283 bytes on average. `tests/instructions` counts on the same ones.

pub const DDL: &str = "CREATE TABLE bids (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR,
    url VARCHAR, dateTime TIMESTAMPTZ, extra VARCHAR)";

pub const AVRO: &str = r#"{"type": "record", "name": "Bid", "fields": [
    {"name": "auction", "type": "long"}, {"name": "bidder", "type": "long"}, {"name": "price", "type": "long"},
    {"name": "channel", "type": "string"}, {"name": "url", "type": "string"}, {"name": "dateTime", "type": "long"},
    {"name": "extra", "type": "string"}]}"#;

pub const PROTOBUF: &str = r#"syntax = "proto3"; message Bid { int64 auction = 1; int64 bidder = 2; int64 price = 3;
    string channel = 4; string url = 5; int64 dateTime = 6; string extra = 7; }"#;

/// See the module.
pub struct Bid {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: String,
    url: String,
    /// Milliseconds since the Unix epoch.
    time: u64,
    extra: String,
}

impl Bid {
    pub fn json(&self) -> Vec<u8> {
        let Self {
            auction,
            bidder,
            price,
            channel,
            url,
            time,
            extra,
        } = self;
        format!(
            "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"{channel}\",\
             \"url\":\"{url}\",\"dateTime\":{time},\"extra\":\"{extra}\"}}"
        )
        .into_bytes()
    }

    pub fn avro(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = |bytes: &mut Vec<u8>, text: &str| {
            varint(bytes, 2 * text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        };
        for number in [self.auction, self.bidder, self.price] {
            varint(&mut bytes, 2 * number);
        }
        text(&mut bytes, &self.channel);
        text(&mut bytes, &self.url);
        varint(&mut bytes, 2 * self.time);
        text(&mut bytes, &self.extra);
        bytes
    }

    pub fn protobuf(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, number) in [
            (1, self.auction),
            (2, self.bidder),
            (3, self.price),
            (6, self.time),
        ] {
            varint(&mut bytes, field << 3);
            varint(&mut bytes, number);
        }
        for (field, text) in [(4, &self.channel), (5, &self.url), (7, &self.extra)] {
            varint(&mut bytes, field << 3 | 2);
            varint(&mut bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

fn varint(bytes: &mut Vec<u8>, mut bits: u64) {
    while bits > 0x7f {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
}

/// Always the same ones.
pub fn bids(count: u64) -> Vec<Bid> {
    let mut state = 42u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..count)
        .map(|i| {
            let auction = 1_000 + i / 50 + random(100);
            let bidder = 1_000 + random(1 + i / 50 + 50);
            let digits = 2 + random(6) as u32;
            let price = 100 + random(10u64.pow(digits));
            let (channel, id) = match random(2) {
                0 => (
                    ["Google", "Facebook", "Baidu", "Apple"][random(4) as usize].to_owned(),
                    String::new(),
                ),
                _ => {
                    let channel = random(10_000);
                    (
                        format!("channel-{channel}"),
                        format!("&channel_id={}", channel << 20),
                    )
                }
            };
            let mut bid = Bid {
                auction,
                bidder,
                price,
                channel,
                url: format!("https://www.nexmark.com/abcde/fghij/klmno/item.htm?query=1{id}"),
                time: 1_767_225_600_000 + i * 40,
                extra: String::new(),
            };
            let fill = 283 - bid.json().len() + random(25) as usize - 12;
            bid.extra = (0..fill).map(|_| (b'a' + random(26) as u8) as char).collect();
            bid
        })
        .collect()
}
