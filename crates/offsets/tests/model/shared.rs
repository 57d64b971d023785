//! Immutable parts of a world, shared between the worlds that have them in common. Each carries its
//! digest, so that hashing a world costs the same whatever the length of the table's history.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

#[derive(Debug, Clone)]
pub struct Shared<T>(Rc<(u64, T)>);

impl<T: Hash> Shared<T> {
    pub fn new(value: T) -> Self {
        let digest = digest_of(&value);
        Self(Rc::new((digest, value)))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0.0);
    }
}

pub fn digest_of(value: &impl Hash) -> u64 {
    let mut hasher = Digest(0x9e37_79b9_7f4a_7c15);
    value.hash(&mut hasher);
    hasher.finish()
}

/// A fingerprint, not a defence: 64 bits make a collision among a million states a one in 30 million
/// chance, and the standard SipHash is several times slower in a development build.
struct Digest(u64);

impl Digest {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0.rotate_left(29) ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value) | 0x100);
    }

    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value) | 0x1_0000);
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        let mut last = Digest(self.0);
        last.mix(0xff51_afd7_ed55_8ccd);
        last.0
    }
}
