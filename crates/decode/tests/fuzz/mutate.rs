//! Bytes that are nearly what somebody wrote.

use fastrand::Rng;

/// Ends of ranges, of one byte and as numbers of variable length.
const EDGES: [&[u8]; 10] = [
    &[0],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x1f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
    b"1e999",
    b"\\ud800",
];

/// One of `corpus`, changed in a few places; sometimes with the end of another one.
pub fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[rng.usize(..corpus.len())].clone();
    if rng.u8(..8) == 0 {
        let other = &corpus[rng.usize(..corpus.len())];
        bytes.truncate(rng.usize(..=bytes.len()));
        bytes.extend(&other[rng.usize(..=other.len())..]);
    }
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..=bytes.len());
        let end = bytes.len().min(at + rng.usize(..=16));
        match rng.u8(..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            1 if at < bytes.len() => bytes[at] = rng.u8(..),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            4 => {
                let edge = EDGES[rng.usize(..EDGES.len())];
                drop(bytes.splice(at..end.min(at + edge.len()), edge.iter().copied()));
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}
