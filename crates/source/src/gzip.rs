//! Batches that producers compressed with gzip, decompressed within a limit. librdkafka has one for zstd only, and gzip
//! can make a thousand bytes of one: a batch that a broker takes with its default limits would grow to a gigabyte.
//!
//! It is faster, too: librdkafka decompresses twice, first to learn the size, which stands at the end (RFC 1952).

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::bufread::GzDecoder;

/// Bytes of one batch; the largest that any client of this process is configured for, since librdkafka does not say
/// for which client it decompresses.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Deflate's best: 258 bytes from two bits.
const BEST_RATIO: usize = 1032;

/// Batches up to this size are decompressed from now on.
pub(crate) fn allow(bytes: usize) {
    MOST.fetch_max(bytes, Ordering::Relaxed);
}

/// What is allowed now.
pub(crate) fn most() -> usize {
    MOST.load(Ordering::Relaxed)
}

/// Bytes that `compressed` says it takes once decompressed.
///
/// # Errors
/// It claims more than `most` or than is possible, or is no gzip: the reason.
pub(crate) fn claimed_size(compressed: &[u8], most: usize) -> Result<usize, String> {
    let Some(end) = compressed.last_chunk::<4>() else {
        return Err("it is too short for gzip".to_owned());
    };
    let size = u32::from_le_bytes(*end) as usize;
    if size > most {
        return Err(format!(
            "{} bytes become {size}, and {most} are allowed (receive.message.max.bytes)",
            compressed.len()
        ));
    }
    if size > compressed.len().saturating_mul(BEST_RATIO) {
        return Err(format!("{} bytes cannot become {size}", compressed.len()));
    }
    Ok(size)
}

/// Fills `into`, which is as long as `compressed` claims.
///
/// # Errors
/// Damaged, or of another size than it claims: the reason.
pub(crate) fn decompress(compressed: &[u8], into: &mut [u8]) -> Result<(), String> {
    let mut decoder = GzDecoder::new(compressed);
    let mut more = [0];
    let read = decoder.read_exact(into).and_then(|()| decoder.read(&mut more));
    if read.map_err(|error| error.to_string())? > 0 {
        return Err("it is larger than it says".to_owned());
    }
    // What follows would be missing in the table without a word: gzip may have several parts, Kafka's has one.
    match decoder.into_inner() {
        [] => Ok(()),
        rest => Err(format!("{} bytes follow its end", rest.len())),
    }
}

/// Logs why a batch was refused. A client that asks how old the first unread record is meets the same batch every half
/// second: nothing is said again.
pub(crate) fn say_once(reason: String) {
    static SAID: Mutex<String> = Mutex::new(String::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if *said != reason {
        tracing::warn!("a gzip batch is not decompressed: {reason}");
        *said = reason;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const ALLOWED: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decompressed(compressed: &[u8]) -> Result<Vec<u8>, String> {
        let mut into = vec![0; claimed_size(compressed, ALLOWED)?];
        decompress(compressed, &mut into)?;
        Ok(into)
    }

    #[test]
    fn what_fits_comes_back() {
        for size in [0, 1, 1000, ALLOWED] {
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            assert_eq!(decompressed(&gzip(&bytes)), Ok(bytes));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_whatever_it_claims() {
        let mut bomb = gzip(&vec![0; 8 * ALLOWED]);
        let said = decompressed(&bomb).unwrap_err();
        assert!(said.contains(&format!("become {}", 8 * ALLOWED)), "{said}");
        let end = bomb.len() - 4;
        for lie in [0, 1, ALLOWED as u32] {
            bomb[end..].copy_from_slice(&lie.to_le_bytes());
            assert!(decompressed(&bomb).is_err(), "{lie}");
        }
        let mut small = gzip(b"small");
        let end = small.len() - 4;
        small[end..].copy_from_slice(&(ALLOWED as u32).to_le_bytes());
        assert!(decompressed(&small).unwrap_err().contains("cannot become"));
    }

    #[test]
    fn what_comes_in_parts_is_refused() {
        let parts = [gzip(&[7; 50]), gzip(&[8; 50])].concat();
        assert!(decompressed(&parts).unwrap_err().contains("follow its end"));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let good = gzip(&[7; 5000]);
        for cut in 0..good.len() {
            assert!(decompressed(&good[..cut]).is_err(), "{cut}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            // The header's time and system say nothing about the contents.
            if let Ok(bytes) = decompressed(&bad) {
                assert_eq!(bytes, [7; 5000], "{index}");
            }
        }
    }
}
